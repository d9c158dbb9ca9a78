//! Sends 200,000 requests of every kind to the real binary while GoTrue fails at random.
//!
//! Two gateways, each with its own GoTrue, share the requests: one verifies tokens with the key set, the
//! other has neither secret nor key set and asks GoTrue.
//!
//! 1. Each response fulfils the assertions of [`client`].
//! 2. The memory after the second half is at most a tenth above that after the first half, no file descriptor
//!    leaks, the log has no line of level ERROR, and the process exits with status 0.
//!
//! After each half the benchmark waits until the entries of the revocation list have expired, because memory
//! in use by live entries is no leak. `cargo bench --bench soak`, or `SOAK_REQUESTS=20000 SOAK_SEED=7 cargo
//! bench …`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the soak reads its size from the environment, prints its results and panics on a failure"
)]

mod checks;
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

/// One row per gateway: its name, the algorithm of the tokens, and the number of concurrent clients.
const GATEWAYS: [(&str, Algorithm, usize); 2] =
    [("by the key set", Algorithm::Es256, 24), ("by GoTrue", Algorithm::Hs256, 8)];
/// The lifetime of access tokens, and so of revocations, in seconds.
const LIFETIME: u64 = 20;
/// How long the benchmark sends nothing before it measures memory: a token's lifetime and a little more than
/// the minute between two purges, so that the revocation list is empty.
const QUIET: Duration = Duration::from_secs(LIFETIME + 65);

/// The state that all clients of one gateway share.
struct Soak {
    name: &'static str,
    app: TestApp,
    gateway: GatewayProcess,
    /// Whether this gateway cannot verify tokens itself and asks GoTrue.
    gotrue_verifies: bool,
    at_once: usize,
    requests_left: Cell<usize>,
    /// How many clients need a GoTrue without faults at this moment; while the number is above 0, no fault is
    /// injected.
    clients_needing_gotrue: Cell<usize>,
    counts: RefCell<BTreeMap<String, usize>>,
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
        let gotrue_verifies = algorithm == Algorithm::Hs256;
        let (requests_left, clients_needing_gotrue, counts) =
            (Cell::default(), Cell::default(), RefCell::default());
        Rc::new(Self {
            name,
            app,
            gateway,
            gotrue_verifies,
            at_once,
            requests_left,
            clients_needing_gotrue,
            counts,
        })
    }

    fn count(&self, what: impl Into<String>) {
        *self.counts.borrow_mut().entry(what.into()).or_default() += 1;
    }

    /// Counts down the requests that the client may still send; returns `false` if none is left.
    fn next(&self) -> bool {
        let requests_left = self.requests_left.get();
        self.requests_left.set(requests_left.saturating_sub(1));
        requests_left > 0
    }
}

/// The resident memory and the number of open file descriptors of a process.
#[derive(Clone, Copy, Debug)]
struct ProcessUsage {
    kibibytes: usize,
    descriptors: usize,
}

fn process_usage(id: u32) -> ProcessUsage {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kibibytes = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    ProcessUsage {
        kibibytes,
        descriptors: std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count(),
    }
}

/// Injects a random fault every 20 to 200 ms. With half of the faults GoTrue still carries out the request.
async fn keep_failing(soak: Rc<Soak>, mut random: fastrand::Rng) {
    loop {
        sleep(Duration::from_millis(random.u64(20..200))).await;
        if soak.requests_left.get() == 0 || soak.clients_needing_gotrue.get() > 0 {
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

/// Sets the mock's clock to the real time again and again.
async fn keep_time(soak: Rc<Soak>) {
    loop {
        let behind = Clock::system().unix_seconds() - soak.app.clock.now();
        soak.app.advance_time(behind);
        sleep(Duration::from_millis(20)).await;
    }
}

/// Lets all clients together send `requests` requests, and then waits for [`QUIET`].
async fn run_half(
    soaks: &[Rc<Soak>],
    requests: usize,
    random: &mut fastrand::Rng,
) -> Vec<ProcessUsage> {
    let start = Instant::now();
    let all: usize = soaks.iter().map(|soak| soak.at_once).sum();
    let mut clients = JoinSet::new();
    for soak in soaks {
        soak.requests_left.set(requests * soak.at_once / all);
        for _ in 0..soak.at_once {
            clients.spawn_local(Client::new(soak.clone(), random.fork()).run());
        }
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("no client has a failed assertion");
    }
    println!(
        "{requests} requests in {:.0} s; then a wait of {:?}",
        start.elapsed().as_secs_f64(),
        QUIET
    );
    for soak in soaks {
        soak.app.mock.clear_faults();
    }
    sleep(QUIET).await;
    soaks.iter().map(|soak| process_usage(soak.gateway.pid())).collect()
}

async fn run(requests: usize, seed: u64) {
    println!("{requests} requests, SOAK_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut soaks, mut background_tasks) = (Vec::new(), JoinSet::new());
    for gateway in GATEWAYS {
        let soak = Soak::start(gateway).await;
        background_tasks.spawn_local(keep_failing(soak.clone(), random.fork()));
        background_tasks.spawn_local(keep_time(soak.clone()));
        soaks.push(soak);
    }
    let idle: Vec<ProcessUsage> =
        soaks.iter().map(|soak| process_usage(soak.gateway.pid())).collect();
    let first = run_half(&soaks, requests / 2, &mut random).await;
    let last = run_half(&soaks, requests - requests / 2, &mut random).await;
    background_tasks.shutdown().await;
    for (n, soak) in soaks.into_iter().enumerate() {
        check_gateway(soak, idle[n], first[n], last[n]);
    }
    println!("passed");
}

fn check_gateway(soak: Rc<Soak>, idle: ProcessUsage, first: ProcessUsage, last: ProcessUsage) {
    println!("tokens verified {}:", soak.name);
    for (what, count) in soak.counts.borrow().iter() {
        println!("{count:>8} {what}");
    }
    println!("idle {idle:?}\nafter the first half {first:?}\nafter the last half {last:?}");

    // The gateway may keep connections to GoTrue open, but must close the connections of clients that have
    // gone.
    assert!(
        last.descriptors <= first.descriptors.max(idle.descriptors + soak.at_once),
        "file descriptors leak"
    );
    assert!(last.kibibytes * 10 <= first.kibibytes * 11, "memory has grown by more than a tenth");
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
