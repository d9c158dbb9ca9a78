//! Two hundred thousand requests of every kind at the real binary, while GoTrue fails at random.
//!
//! Two gateways share them, each beside a GoTrue of its own: one judges tokens by the key set, the
//! other has no secret and asks GoTrue.
//!
//! 1. What [`client`] asserts of each answer.
//! 2. Memory after the last half is within a tenth of that after the first, no descriptor leaks, no
//!    line of the log speaks of a bug, and it ends with status 0.
//!
//! Each half is followed by as much quiet as the revocation list takes to forget: what it remembers by
//! design is no leak. `cargo bench --bench soak`, or `SOAK_REQUESTS=20000 SOAK_SEED=7 cargo bench …`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a soak reads its size from the environment, prints what it sees and fails"
)]

mod client;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    process::Command,
    rc::Rc,
    time::{Duration, Instant},
};

use gotrue_mock::Algorithm;
use logout_gateway::Clock;
use serde_json::json;
use tokio::{
    task::{JoinSet, LocalSet},
    time::sleep,
};

use self::client::Client;
use test_harness::{GatewayProcess, Setup, TestApp};

/// Who judges tokens, and how many clients ask at once.
const GATEWAYS: [(&str, Algorithm, usize); 2] =
    [("by the key set", Algorithm::Es256, 24), ("by GoTrue", Algorithm::Hs256, 8)];
/// Seconds that access tokens live, and so how long a logout is remembered here.
const LIFETIME: u64 = 20;
/// A token's life, and the minute between two rounds of forgetting.
const QUIET: Duration = Duration::from_secs(LIFETIME + 65);

/// What all clients of one gateway share.
struct Soak {
    name: &'static str,
    app: TestApp,
    gateway: GatewayProcess,
    /// It has no way to judge a token but to ask GoTrue.
    gotrue_judges: bool,
    at_once: usize,
    left: Cell<usize>,
    /// How many clients need a GoTrue that is well.
    calm: Cell<usize>,
    told: RefCell<BTreeMap<String, usize>>,
}

impl Soak {
    async fn start((name, algorithm, at_once): (&'static str, Algorithm, usize)) -> Rc<Self> {
        let setup =
            Setup::new().start_time(Clock::system().unix_seconds()).token_lifetime(LIFETIME);
        let app = setup.algorithm(algorithm).start().await;
        let lifetime = format!("{LIFETIME}s");
        let environment = [
            ("GATEWAY_MAX_TOKEN_LIFETIME", lifetime.as_str()),
            ("GATEWAY_UPSTREAM_TIMEOUT", "300ms"),
            ("GATEWAY_THREADS", "2"),
            ("RUST_LOG", "error,logout_gateway::gateway=info"),
        ];
        let mut command = Command::new("env");
        command.args(["-u", "SUPABASE_JWT_SECRET", env!("CARGO_BIN_EXE_logout-gateway")]);
        let gateway = GatewayProcess::start_with_command(command, &app, &environment).await;
        let gotrue_judges = algorithm == Algorithm::Hs256;
        let (left, calm, told) = (Cell::default(), Cell::default(), RefCell::default());
        Rc::new(Self { name, app, gateway, gotrue_judges, at_once, left, calm, told })
    }

    fn count(&self, what: impl Into<String>) {
        *self.told.borrow_mut().entry(what.into()).or_default() += 1;
    }

    /// Takes the next request's place, unless none is left.
    fn next(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}

/// What the process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    kibibytes: usize,
    descriptors: usize,
}

fn held(id: u32) -> Held {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kibibytes = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    Held { kibibytes, descriptors: std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count() }
}

/// A fault now and then; half of them let the request take effect.
async fn keep_failing(soak: Rc<Soak>, mut random: fastrand::Rng) {
    loop {
        sleep(Duration::from_millis(random.u64(20..200))).await;
        if soak.left.get() == 0 || soak.calm.get() > 0 {
            continue;
        }
        let operation = ["logout", "logout", "logout", "token", "token", "user", "user", "jwks"]
            [random.usize(0..8)];
        let mut fault = match random.usize(0..10) {
            0 => json!({"kind": "hang"}),
            1 => json!({"kind": "delay", "seconds": 0.05}),
            2..5 => json!({"kind": (["reset", "garbage", "truncate"][random.usize(0..3)])}),
            5 => json!({"kind": (["oversize", "redirect"][random.usize(0..2)])}),
            _ => {
                json!({"kind": "status", "status": ([401, 403, 429, 500, 502, 503, 504][random.usize(0..7)])})
            }
        };
        soak.count(format!("fault {}", fault["kind"].as_str().unwrap()));
        fault["operation"] = json!(operation);
        fault["times"] = json!(random.u32(1..4));
        fault["effect"] = json!(random.bool());
        soak.app.inject_fault(fault);
    }
}

/// The mock's clock goes as fast as the gateway's.
async fn keep_time(soak: Rc<Soak>) {
    loop {
        let behind = Clock::system().unix_seconds() - soak.app.clock.now();
        soak.app.advance_time(behind);
        sleep(Duration::from_millis(20)).await;
    }
}

/// So many requests by all clients, and then quiet.
async fn half(soaks: &[Rc<Soak>], requests: usize, random: &mut fastrand::Rng) -> Vec<Held> {
    let begun = Instant::now();
    let all: usize = soaks.iter().map(|soak| soak.at_once).sum();
    let mut clients = JoinSet::new();
    for soak in soaks {
        soak.left.set(requests * soak.at_once / all);
        for _ in 0..soak.at_once {
            clients.spawn_local(Client::new(soak.clone(), random.fork()).run());
        }
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("no client finds anything wrong");
    }
    println!(
        "{requests} requests in {:.0} s; then {:?} of quiet",
        begun.elapsed().as_secs_f64(),
        QUIET
    );
    for soak in soaks {
        soak.app.mock.clear_faults();
    }
    sleep(QUIET).await;
    soaks.iter().map(|soak| held(soak.gateway.pid())).collect()
}

async fn run(requests: usize, seed: u64) {
    println!("{requests} requests, SOAK_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut soaks, mut beside) = (Vec::new(), JoinSet::new());
    for gateway in GATEWAYS {
        let soak = Soak::start(gateway).await;
        beside.spawn_local(keep_failing(soak.clone(), random.fork()));
        beside.spawn_local(keep_time(soak.clone()));
        soaks.push(soak);
    }
    let idle: Vec<Held> = soaks.iter().map(|soak| held(soak.gateway.pid())).collect();
    let first = half(&soaks, requests / 2, &mut random).await;
    let last = half(&soaks, requests - requests / 2, &mut random).await;
    beside.shutdown().await;
    for (n, soak) in soaks.into_iter().enumerate() {
        judge(soak, idle[n], first[n], last[n]);
    }
    println!("it holds");
}

fn judge(soak: Rc<Soak>, idle: Held, first: Held, last: Held) {
    println!("tokens judged {}:", soak.name);
    for (what, count) in soak.told.borrow().iter() {
        println!("{count:>8} {what}");
    }
    println!("idle {idle:?}\nafter the first half {first:?}\nafter the last half {last:?}");

    // GoTrue's connections may stay open; clients' do not.
    assert!(
        last.descriptors <= first.descriptors.max(idle.descriptors + soak.at_once),
        "descriptors leak"
    );
    assert!(last.kibibytes * 10 <= first.kibibytes * 11, "memory grows");
    let log = Rc::into_inner(soak).unwrap().gateway.stop();
    assert!(log.lines.iter().all(|line| line["level"] != "ERROR"), "{}", log.text);
}

fn main() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let requests = usize::try_from(number("SOAK_REQUESTS").unwrap_or(200_000)).unwrap();
    let seed = number("SOAK_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, run(requests, seed));
}
