//! The gateway beside its peers: every subject runs all the time, and each round measures each of them in turn,
//! so that what else the machine does meets them alike.

use std::path::Path;

use super::{
    cases::{BATCH, BATCHES, Carrier, Logouts, ROUND, auth_request, verify},
    checks,
    environment::describe,
    goals::{Bound, Goal},
    measure::Cost,
    process::Process,
    report::{Report, Section},
    subjects::{World, gateway, kind::Kind, nginx, node, oauth2_proxy},
};

/// The connections that a reverse proxy keeps open.
pub(crate) const CONNECTIONS: usize = 64;
/// Node.js takes some twenty times as long for a logout.
const NODE_BATCH: usize = 250;
const NODE_BATCHES: usize = 2;

#[derive(Clone, Copy)]
enum Work {
    Logout { carrier: Carrier, is_known: bool },
    Verify(Carrier),
}

/// One comparison: the work, the subjects that do it, and the goal for the gateway's ratio to nginx.
struct Case {
    title: &'static str,
    work: Work,
    subjects: &'static [(Kind, &'static str)],
    goal: f64,
}

const GATEWAY: &str = gateway::NAME;
const PASSING_ON: &str = "nginx, which passes it on unchecked";
const RETURN_200: &str = "nginx, return 200";
const SSR: &str = "Node.js, @supabase/ssr with the same checks";
const GET_CLAIMS: &str = "Node.js, getClaims()";

const CASES: [Case; 5] = [
    Case {
        title: "logout by cookie with CSRF token, known access token",
        work: Work::Logout { carrier: Carrier::Cookie, is_known: true },
        subjects: &[(Kind::Gateway, GATEWAY), (Kind::Nginx, PASSING_ON), (Kind::Node, SSR)],
        goal: 1.7,
    },
    Case {
        title: "logout by Bearer, known access token",
        work: Work::Logout { carrier: Carrier::Bearer, is_known: true },
        subjects: &[(Kind::Gateway, GATEWAY), (Kind::Nginx, PASSING_ON)],
        goal: 1.8,
    },
    Case {
        title: "logout by Bearer, access token never seen before",
        work: Work::Logout { carrier: Carrier::Bearer, is_known: false },
        subjects: &[(Kind::Gateway, GATEWAY), (Kind::Nginx, PASSING_ON)],
        goal: 5.0,
    },
    Case {
        title: "verify by Bearer, known access token",
        work: Work::Verify(Carrier::Bearer),
        subjects: &[
            (Kind::Gateway, GATEWAY),
            (Kind::Nginx, RETURN_200),
            (Kind::Oauth2Proxy, oauth2_proxy::NAME),
            (Kind::Node, GET_CLAIMS),
        ],
        goal: 1.05,
    },
    Case {
        title: "verify by cookie, known access token",
        work: Work::Verify(Carrier::Cookie),
        subjects: &[(Kind::Gateway, GATEWAY), (Kind::Nginx, RETURN_200), (Kind::Node, GET_CLAIMS)],
        goal: 1.25,
    },
];

/// The subjects that could be started.
struct Peers {
    world: World,
    running: Vec<(Kind, Process)>,
}

pub(crate) async fn run(binary: &Path, rounds: usize) -> Report {
    let mut environment = describe(binary);
    let mut left_out = Vec::new();
    let peers = Peers::start(binary, &mut environment, &mut left_out).await;
    environment.push(format!(
        "{} threads of the gateway, as many workers of nginx; {CONNECTIONS} connections; {rounds} rounds; CPU of the \
         subject's own processes",
        peers.world.threads
    ));
    environment.push(
        "The gateway writes a log line for each logout to a pipe that is read; the other subjects' access logs are off."
            .to_owned(),
    );
    for (kind, process) in &peers.running {
        checks::refuses_what_is_wrong(&peers.world, *kind, process).await;
    }
    let mut sections: Vec<_> = CASES.iter().map(|case| Section::new(case.title, "µs")).collect();
    let mut asked = Section::new("a page behind nginx's auth_request by Bearer", "µs");
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for (case, section) in CASES.iter().zip(&mut sections) {
            peers.push_costs(case, round, section).await;
        }
        peers.push_auth_request(&mut asked).await;
    }
    let gateway = peers.process(Kind::Gateway).unwrap();
    checks::logged_out_is_refused(&peers.world, gateway).await;
    for section in &mut sections {
        section.divide_by_others(GATEWAY);
    }
    let goals = CASES.iter().zip(&sections).map(|(case, section)| goal(case, section)).collect();
    sections.extend((!asked.rows.is_empty()).then_some(asked));
    let title = "CPU time of a request: logout-gateway beside its peers";
    Report { title, environment, left_out, sections, goals }
}

/// The goal of a case: how many times the CPU time of nginx the gateway may take.
fn goal(case: &Case, section: &Section) -> Goal {
    let (_, nginx) = case.subjects[1];
    let text = format!("{}: CPU time to that of {nginx}", case.title);
    Goal::new(text, Bound::AtMost(case.goal), section.ratio(nginx))
}

impl Peers {
    /// Starts the gateway, and each other subject that this machine has. Adds their versions, and what is missing.
    async fn start(
        binary: &Path,
        environment: &mut Vec<String>,
        left_out: &mut Vec<String>,
    ) -> Self {
        let oauth2_proxy = oauth2_proxy::install();
        let node = node::install();
        let world = World::start(binary, std::time::Duration::ZERO).await;
        let gateway = gateway::start(&world).await;
        let address = gateway.address;
        let mut running = vec![(Kind::Gateway, gateway)];
        match nginx::installed() {
            Some(version) => {
                environment.push(version);
                running.push((Kind::Nginx, nginx::start(&world, address).await.0));
            }
            None => left_out.push("nginx: it is not installed".to_owned()),
        }
        match oauth2_proxy {
            Ok(version) => {
                environment.push(version);
                running.push((Kind::Oauth2Proxy, oauth2_proxy::start(&world).await));
            }
            Err(error) => left_out.push(format!("oauth2-proxy: {error}")),
        }
        match node {
            Ok(version) => {
                environment.push(version);
                running.push((Kind::Node, node::start(&world).await.0));
            }
            Err(error) => left_out.push(format!("Node.js: {error}")),
        }
        Self { world, running }
    }

    fn process(&self, kind: Kind) -> Option<&Process> {
        self.running.iter().find(|(other, _)| *other == kind).map(|(_, process)| process)
    }

    /// Measures each subject of a case once. Each round begins with another subject; the rows keep the order of the
    /// case.
    async fn push_costs(&self, case: &Case, round: usize, section: &mut Section) {
        let mut costs = Vec::new();
        for at in 0..case.subjects.len() {
            let place = (at + round) % case.subjects.len();
            let (kind, name) = case.subjects[place];
            if let Some(cost) = self.cost(case.work, kind).await {
                costs.push((place, name, cost));
            }
        }
        costs.sort_by_key(|(place, ..)| *place);
        for (_, name, cost) in &costs {
            section.push_cost(name, cost);
        }
    }

    /// Measures one subject once; `None` if it is missing.
    async fn cost(&self, work: Work, kind: Kind) -> Option<Cost> {
        let process = self.process(kind)?;
        Some(match work {
            Work::Verify(carrier) => {
                verify(&self.world, (kind, process), carrier, CONNECTIONS, ROUND).await
            }
            Work::Logout { carrier, is_known } => {
                let is_node = kind == Kind::Node;
                let (batch, batches) =
                    if is_node { (NODE_BATCH, NODE_BATCHES) } else { (BATCH, BATCHES) };
                let logouts =
                    Logouts { carrier, is_known, connections: CONNECTIONS, batch, batches };
                logouts.run(&self.world, kind, process).await
            }
        })
    }

    /// Measures pages behind an `auth_request` to the gateway, and to a stub that checks nothing.
    async fn push_auth_request(&self, section: &mut Section) {
        let Some(nginx) = self.process(Kind::Nginx) else { return };
        let gateway = self.process(Kind::Gateway).unwrap();
        let asked = [
            (nginx::PROTECTED_BY_GATEWAY, gateway, "gateway"),
            (nginx::PROTECTED_BY_STUB, &self.world.upstream, "a stub that checks nothing"),
        ];
        for (path, process, name) in asked {
            let cost = auth_request(&self.world, nginx, (path, process), CONNECTIONS).await;
            section.push_cost(&format!("nginx, which asks {name}"), &cost);
            section.push(&format!("{name}, asked by nginx"), cost.cpu_us[1]);
        }
    }
}
