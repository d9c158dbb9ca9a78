//! Two hundred thousand requests of every kind at the real binary, while GoTrue fails at random.
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
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a soak reads its size from the environment, prints what it sees and fails"
)]

#[path = "../../tests/api"]
mod api {
    #[expect(dead_code, unused_imports, reason = "shared with the tests, which use all of it")]
    pub(crate) mod harness;
}
mod client;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::{Duration, Instant},
};

use logout_gateway::clock::Clock;
use serde_json::json;
use tokio::{
    task::{JoinSet, LocalSet},
    time::sleep,
};

use self::client::Client;
use crate::api::harness::{Serving, Setup, Stage};

const AT_ONCE: usize = 32;
/// Seconds that access tokens live, and so how long a logout is remembered here.
const LIFETIME: u64 = 20;
/// A token's life, and the minute between two rounds of forgetting.
const QUIET: Duration = Duration::from_secs(LIFETIME + 65);

/// What all clients share.
struct Soak {
    stage: Stage,
    serving: Serving,
    left: Cell<usize>,
    told: RefCell<BTreeMap<String, usize>>,
}

impl Soak {
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
        if soak.left.get() == 0 {
            continue;
        }
        let operation = ["logout", "logout", "token"][random.usize(0..3)];
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
        soak.stage.fault(fault);
    }
}

/// The mock's clock goes as fast as the gateway's.
async fn keep_time(soak: Rc<Soak>) {
    loop {
        let behind = Clock::system().unix_seconds() - soak.stage.time.now();
        soak.stage.pass(behind);
        sleep(Duration::from_millis(20)).await;
    }
}

/// So many requests by all clients, and then quiet.
async fn half(soak: &Rc<Soak>, requests: usize, random: &mut fastrand::Rng) -> Held {
    let (begun, id) = (Instant::now(), soak.serving.id());
    soak.left.set(requests);
    let mut clients = JoinSet::new();
    for _ in 0..AT_ONCE {
        clients.spawn_local(Client::new(soak.clone(), random.fork()).run());
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("no client finds anything wrong");
    }
    println!(
        "{requests} requests in {:.0} s; then {:?} of quiet",
        begun.elapsed().as_secs_f64(),
        QUIET
    );
    soak.stage.mock.clear_faults();
    sleep(QUIET).await;
    held(id)
}

async fn run(requests: usize, seed: u64) {
    println!("{requests} requests, {AT_ONCE} at once, SOAK_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let setup = Setup::new().at(Clock::system().unix_seconds()).token_lifetime(LIFETIME);
    let stage = setup.start().await;
    let lifetime = format!("{LIFETIME}s");
    let environment = [
        ("GATEWAY_MAX_TOKEN_LIFETIME", lifetime.as_str()),
        ("GATEWAY_UPSTREAM_TIMEOUT", "300ms"),
        ("GATEWAY_THREADS", "2"),
        ("RUST_LOG", "error,logout_gateway::gateway=info"),
    ];
    let serving = Serving::start(&stage, &environment).await;
    let idle = held(serving.id());
    let (left, told) = (Cell::default(), RefCell::default());
    let soak = Rc::new(Soak { stage, serving, left, told });
    let failing = tokio::task::spawn_local(keep_failing(soak.clone(), random.fork()));
    let timing = tokio::task::spawn_local(keep_time(soak.clone()));

    let first = half(&soak, requests / 2, &mut random).await;
    let last = half(&soak, requests - requests / 2, &mut random).await;
    failing.abort();
    timing.abort();
    let _ = (failing.await, timing.await);
    for (what, count) in soak.told.borrow().iter() {
        println!("{count:>8} {what}");
    }
    println!("idle {idle:?}\nafter the first half {first:?}\nafter the last half {last:?}");

    // GoTrue's connections may stay open; clients' do not.
    assert!(
        last.descriptors <= first.descriptors.max(idle.descriptors + AT_ONCE),
        "descriptors leak"
    );
    assert!(last.kibibytes * 10 <= first.kibibytes * 11, "memory grows");
    let soak = Rc::into_inner(soak).unwrap();
    let log = soak.serving.ended();
    assert!(log.lines.iter().all(|line| line["level"] != "ERROR"), "{}", log.text);
    println!("it holds");
}

fn main() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let requests = usize::try_from(number("SOAK_REQUESTS").unwrap_or(200_000)).unwrap();
    let seed = number("SOAK_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, run(requests, seed));
}
