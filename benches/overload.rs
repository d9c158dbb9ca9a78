//! What becomes of the logouts that succeed when more are asked for than the gateway takes on.
//!
//! Capacity is what `GATEWAY_MAX_IN_FLIGHT` lets through to a GoTrue that takes 20 ms for each: as
//! many clients, each asking again as soon as it is answered. Then requests arrive at four times that
//! rate, whether earlier ones are answered or not. Goodput is logouts answered 2xx in a second.
//!
//! `cargo bench --bench overload`; client, gateway and mock share the machine.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark that fails tells nothing"
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
const TIMES: u32 = 4;

/// How one request went.
struct Answered {
    status: u16,
    took: Duration,
}

/// Clients on one thread: connections that wait for work, and what came of it.
struct Clients {
    app: TestApp,
    requests: Vec<Vec<u8>>,
    next: Cell<usize>,
    idle: RefCell<Vec<Connection>>,
    answered: RefCell<Vec<Answered>>,
}

impl Clients {
    fn new(app: TestApp) -> Rc<Self> {
        let request =
            |tokens: Tokens| app.post("/api/auth/logout").bearer(&tokens.access_token).bytes(false);
        let requests = (0..SESSIONS).map(|_| request(app.sign_up())).collect();
        let (idle, answered) = (RefCell::default(), RefCell::default());
        Rc::new(Self { app, requests, next: Cell::new(0), idle, answered })
    }

    /// One logout, on a connection that nobody waits on.
    async fn logout(&self) {
        let at = self.next.replace((self.next.get() + 1) % SESSIONS);
        let begun = Instant::now();
        let waiting = self.idle.borrow_mut().pop();
        let mut connection = match waiting {
            Some(connection) => connection,
            None => Connection::open(self.app.address).await,
        };
        connection.write(&self.requests[at]).await;
        let status = connection.reply(false).await.unwrap().status;
        self.answered.borrow_mut().push(Answered { status, took: begun.elapsed() });
        self.idle.borrow_mut().push(connection);
    }

    /// As many at once as the gateway takes on, for one round.
    async fn at_capacity(self: Rc<Self>) -> Round {
        let begun = Instant::now();
        let mut clients = JoinSet::new();
        for _ in 0..IN_FLIGHT {
            let one = self.clone();
            clients.spawn_local(async move {
                while begun.elapsed() < ROUND {
                    one.logout().await;
                }
            });
        }
        clients.join_all().await;
        self.over(begun.elapsed())
    }

    /// So many in a second, for one round.
    async fn arriving(self: Rc<Self>, rate: f64) -> Round {
        let begun = Instant::now();
        let mut requests = JoinSet::new();
        let mut sent = 0;
        while begun.elapsed() < ROUND {
            while f64::from(sent) < begun.elapsed().as_secs_f64() * rate {
                let one = self.clone();
                requests.spawn_local(async move { one.logout().await });
                sent += 1;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        requests.join_all().await;
        self.over(begun.elapsed())
    }

    fn over(&self, lasted: Duration) -> Round {
        // The gateway closes what is idle for long.
        self.idle.take();
        let answered = self.answered.take();
        let of = |good: bool| {
            let these = answered.iter().filter(|a| (a.status < 300) == good);
            let mut took: Vec<_> = these.map(|a| a.took).collect();
            took.sort_unstable();
            Took { per_second: took.len() as f64 / lasted.as_secs_f64(), took }
        };
        assert!(answered.iter().all(|a| a.status == 200 || a.status == 503));
        Round { good: of(true), refused: of(false) }
    }
}

/// Requests of one kind in one round.
struct Took {
    per_second: f64,
    /// In order.
    took: Vec<Duration>,
}

struct Round {
    good: Took,
    refused: Took,
}

impl Took {
    fn told(&self) -> String {
        let at = |percent| self.took.get(self.took.len() * percent / 100);
        let milliseconds = |took: Option<&Duration>| took.map_or(0.0, |t| t.as_secs_f64() * 1e3);
        let (median, most) = (milliseconds(at(50)), milliseconds(at(99)));
        format!("{:>7.0}/s   p50 {median:>6.1} ms   p99 {most:>6.1} ms", self.per_second)
    }
}

impl Round {
    fn print(&self, name: &str) {
        println!("{name:>12}   2xx {}   503 {}", self.good.told(), self.refused.told());
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
        let rate = capacity.good.per_second * f64::from(TIMES);
        let over = clients.clone().arriving(rate).await;
        over.print(&format!("at {TIMES} times"));
        ratios.push(over.good.per_second / capacity.good.per_second);
    }
    ratios.sort_by(f64::total_cmp);
    let (least, median) = (ratios[0], ratios[ROUNDS / 2]);
    assert!(median >= 0.9, "too much is lost to refusing");
    println!(
        "goodput at {TIMES} times capacity: {median:.2} of that at capacity, {least:.2} at least"
    );
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, run());
}
