//! How many logouts succeed when more requests arrive than the gateway can handle.
//!
//! The benchmark measures the capacity with a GoTrue that takes 20 ms for each logout and with
//! `GATEWAY_MAX_IN_FLIGHT` clients, each of which sends the next request after the response. Then requests
//! arrive at four times that rate, without waiting for earlier responses. Goodput is the number of logouts
//! per second with a 2xx response.
//!
//! `cargo bench --bench overload`; clients, gateway and mock share the machine.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark that fails has no result"
)]

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use gotrue_mock::Tokens;
use serde_json::json;
use tokio::task::{JoinSet, LocalSet};

use test_harness::{Connection, TestApp};

const IN_FLIGHT: usize = 32;
const GOTRUE_SECONDS: f64 = 0.02;
const SESSIONS: usize = 2000;
const ROUND: Duration = Duration::from_secs(4);
const ROUNDS: usize = 3;
const OVERLOAD_FACTOR: u32 = 4;

/// The status and the duration of one request.
struct CompletedRequest {
    status: u16,
    durations: Duration,
}

/// All clients of the benchmark, on one thread: their idle connections and the results of their requests.
struct Clients {
    app: TestApp,
    requests: Vec<Vec<u8>>,
    next: Cell<usize>,
    idle: RefCell<Vec<Connection>>,
    completed: RefCell<Vec<CompletedRequest>>,
}

impl Clients {
    fn new(app: TestApp) -> Rc<Self> {
        let request =
            |tokens: Tokens| app.post("/api/auth/logout").bearer(&tokens.access_token).bytes(false);
        let requests = (0..SESSIONS).map(|_| request(app.sign_up())).collect();
        let (idle, completed) = (RefCell::default(), RefCell::default());
        Rc::new(Self { app, requests, next: Cell::new(0), idle, completed })
    }

    /// Sends one logout on an idle connection, or on a new one if none is idle.
    async fn logout(&self) {
        let at = self.next.replace((self.next.get() + 1) % SESSIONS);
        let start = Instant::now();
        let idle = self.idle.borrow_mut().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => Connection::open(self.app.address).await,
        };
        connection.write(&self.requests[at]).await;
        let status = connection.reply(false).await.unwrap().status;
        self.completed.borrow_mut().push(CompletedRequest { status, durations: start.elapsed() });
        self.idle.borrow_mut().push(connection);
    }

    /// Runs one round in which `IN_FLIGHT` clients send one logout after the other.
    async fn at_capacity(self: Rc<Self>) -> Round {
        let start = Instant::now();
        let mut clients = JoinSet::new();
        for _ in 0..IN_FLIGHT {
            let one = self.clone();
            clients.spawn_local(async move {
                while start.elapsed() < ROUND {
                    one.logout().await;
                }
            });
        }
        clients.join_all().await;
        self.finish_round(start.elapsed())
    }

    /// Runs one round in which `rate` logouts start per second, whether earlier ones have a response or not.
    async fn at_rate(self: Rc<Self>, rate: f64) -> Round {
        let start = Instant::now();
        let mut requests = JoinSet::new();
        let mut sent = 0;
        while start.elapsed() < ROUND {
            while f64::from(sent) < start.elapsed().as_secs_f64() * rate {
                let one = self.clone();
                requests.spawn_local(async move { one.logout().await });
                sent += 1;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        requests.join_all().await;
        self.finish_round(start.elapsed())
    }

    /// Takes the results of a round that has lasted `lasted`.
    fn finish_round(&self, lasted: Duration) -> Round {
        // The gateway closes connections that are idle for long: do not use them in the next round.
        self.idle.take();
        let completed = self.completed.take();
        let of = |successful: bool| {
            let these = completed.iter().filter(|a| (a.status < 300) == successful);
            let mut durations: Vec<_> = these.map(|a| a.durations).collect();
            durations.sort_unstable();
            Requests { per_second: durations.len() as f64 / lasted.as_secs_f64(), durations }
        };
        assert!(completed.iter().all(|a| a.status == 200 || a.status == 503));
        Round { successful: of(true), refused: of(false) }
    }
}

/// The requests of one round that had the same kind of response.
struct Requests {
    per_second: f64,
    /// The durations of the requests, shortest first.
    durations: Vec<Duration>,
}

/// The results of one round: the requests with a 2xx response and those with a 503.
struct Round {
    successful: Requests,
    refused: Requests,
}

impl Requests {
    fn summary(&self) -> String {
        let at = |percent| self.durations.get(self.durations.len() * percent / 100);
        let milliseconds =
            |durations: Option<&Duration>| durations.map_or(0.0, |t| t.as_secs_f64() * 1e3);
        let (median, most) = (milliseconds(at(50)), milliseconds(at(99)));
        format!("{:>7.0}/s   p50 {median:>6.1} ms   p99 {most:>6.1} ms", self.per_second)
    }
}

impl Round {
    fn print(&self, name: &str) {
        println!("{name:>12}   2xx {}   503 {}", self.successful.summary(), self.refused.summary());
    }
}

async fn run() {
    let in_flight = IN_FLIGHT.to_string();
    let app = TestApp::with_flags(&[("max-in-flight", &in_flight)]).await;
    app.inject_fault(json!({"operation": "logout", "kind": "delay", "seconds": GOTRUE_SECONDS}));
    let clients = Clients::new(app);
    clients.clone().at_capacity().await;
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let capacity = clients.clone().at_capacity().await;
        capacity.print("at capacity");
        let rate = capacity.successful.per_second * f64::from(OVERLOAD_FACTOR);
        let finish_round = clients.clone().at_rate(rate).await;
        finish_round.print(&format!("at {OVERLOAD_FACTOR} times"));
        ratios.push(finish_round.successful.per_second / capacity.successful.per_second);
    }
    ratios.sort_by(f64::total_cmp);
    let (least, median) = (ratios[0], ratios[ROUNDS / 2]);
    assert!(median >= 0.9, "the gateway loses more than 10 % of its capacity by refusing requests");
    println!(
        "goodput at {OVERLOAD_FACTOR} times the capacity: {median:.2} of the capacity, at least {least:.2}"
    );
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, run());
}
