//! The cost of observability: logouts per second without log lines, with audit lines and a scraper of
//! `/metrics`, and with traces in addition. Each round measures the three configurations in turn.
//!
//! Counters cannot be switched off, so the benchmark measures the time of counting separately and subtracts
//! it from the time of a logout without log lines. Each logout is by cookie with a CSRF token, of a live
//! session.
//!
//! The benchmark measures everything twice: with a GoTrue that takes [`GOTRUE_SECONDS`] for each logout,
//! which is faster than the real one in our measurements, and with a GoTrue that takes no time, so that
//! clients, gateway and mock compete for the CPU. With the slower GoTrue, observability may cost at most 5 %
//! of the logouts per second. The run with the immediate GoTrue, and the CPU time, show the cost on a machine
//! without spare CPU.
//!
//! `cargo bench --bench observability`

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that fails has no result"
)]

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use logout_gateway::{
    Clock,
    internals::{
        gotrue::{Operation, TryResult},
        outcome::{Outcome, Route},
        telemetry::metrics::Metrics,
    },
};
use serde_json::json;
use tokio::task::{JoinSet, LocalSet};

use test_harness::{
    Browser, Connection, CookieFormat, GatewayProcess, Request, Setup, TestApp, TraceCollector,
};

use test_harness::cpu_time::CpuTime;

const CONNECTIONS: usize = 8;
const GOTRUE_SECONDS: f64 = 0.005;
/// The least share of the logouts per second that must remain when observability is switched on.
const MIN_SHARE: f64 = 0.95;
/// The number of logouts in one round; each logout ends another session.
const LOGOUTS: usize = 5_000;
const ROUNDS: usize = 5;
const SCRAPED_EVERY: Duration = Duration::from_secs(1);

/// A log filter that leaves only the line with the gateway's address, which the benchmark needs.
const QUIET: (&str, &str) = ("RUST_LOG", "error,logout_gateway::gateway=info");
const LOUD: (&str, &str) = ("RUST_LOG", "info");

/// Signs up [`LOGOUTS`] sessions and returns the bytes of a logout request for each.
async fn requests(app: &TestApp, gateway: &GatewayProcess) -> Vec<Vec<u8>> {
    let mut requests = Vec::with_capacity(LOGOUTS);
    let mut connection = Connection::open(gateway.address).await;
    for _ in 0..LOGOUTS {
        let tokens = app.sign_up();
        let mut browser = Browser::signed_in_at(gateway.address, &tokens, CookieFormat::Base64);
        connection.write(&browser.request("GET", "/api/auth/csrf").bytes(false)).await;
        browser.store_cookies(&connection.reply(false).await.unwrap());
        requests.push(browser.logout_request("/api/auth/logout").bytes(false));
    }
    requests
}

struct Round {
    per_second: f64,
    /// The CPU time of the gateway in user and kernel mode, in microseconds per logout.
    cpu: f64,
}

async fn round(gateway: Rc<GatewayProcess>, observed: bool, requests: Vec<Vec<u8>>) -> Round {
    let (start, before) = (Instant::now(), CpuTime::of_process(gateway.pid()));
    let (requests, next) = (Rc::new(requests), Rc::new(Cell::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (requests, next, address) = (requests.clone(), next.clone(), gateway.address);
        clients.spawn_local(async move {
            let mut connection = Connection::open(address).await;
            while let Some(request) = requests.get(next.replace(next.get() + 1)) {
                connection.write(request).await;
                assert_eq!(connection.reply(false).await.unwrap().status, 200);
            }
        });
    }
    let scraping = async {
        if !observed {
            std::future::pending::<()>().await;
        }
        loop {
            Request::new(gateway.admin_address.unwrap(), "GET", "/metrics").send().await;
            tokio::time::sleep(SCRAPED_EVERY).await;
        }
    };
    tokio::select! { _ = clients.join_all() => {}, () = scraping => {} }
    let (took, after) = (start.elapsed(), CpuTime::of_process(gateway.pid()));
    let cpu = (after.user + after.system).saturating_sub(before.user + before.system);
    let each = |time: Duration| time.as_secs_f64() / f64::from(u32::try_from(LOGOUTS).unwrap());
    Round { per_second: 1.0 / each(took), cpu: each(cpu) * 1e6 }
}

/// Measures the time, in seconds, that the metrics need to count one logout.
fn counting() -> f64 {
    const TIMES: u32 = 200_000;
    let metrics = Metrics::new();
    let start = Instant::now();
    for n in 0..TIMES {
        let took = Duration::from_micros(u64::from(n));
        metrics.gotrue_try(Operation::Logout, TryResult::Ok, took);
        metrics.logout(Route::Envelope, (Outcome::Revoked, None), took, 4);
    }
    start.elapsed().as_secs_f64() / f64::from(TIMES)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn run() {
    let counting = counting();
    println!("counting a logout: {:.2} µs", counting * 1e6);
    let app = Setup::new().start_time(Clock::system().unix_seconds()).start().await;
    let collector = TraceCollector::start().await;
    let admin = ("GATEWAY_ADMIN_BIND", "127.0.0.1:0");
    let kinds: [(&str, Vec<(&str, &str)>); 3] = [
        ("off", vec![QUIET, admin]),
        ("on", vec![LOUD, admin]),
        ("on, with traces", vec![LOUD, admin, collector.endpoint_variable()]),
    ];
    let mut gateways = Vec::new();
    for (name, environment) in &kinds {
        let gateway = GatewayProcess::start(&app, environment).await;
        gateways.push((name, Rc::new(gateway), Vec::new()));
    }
    let slow = json!({"operation": "logout", "kind": "delay", "seconds": GOTRUE_SECONDS});
    for (gotrue, fault, least) in
        [("takes 5 ms", Some(slow), Some(MIN_SHARE)), ("takes no time", None, None)]
    {
        app.mock.clear_faults();
        if let Some(fault) = fault {
            app.inject_fault(fault);
        }
        for _ in 0..=ROUNDS {
            for (name, gateway, rates) in &mut gateways {
                let requests = requests(&app, gateway).await;
                let observed = **name != "off";
                let Round { per_second, cpu } = round(gateway.clone(), observed, requests).await;
                println!("{name:>16}   {per_second:>7.0}/s   {cpu:>6.1} µs CPU of the gateway");
                rates.push(per_second);
            }
        }
        // The first round is a warm-up: its rate is not used.
        let rates: Vec<Vec<f64>> =
            gateways.iter_mut().map(|(.., rates)| rates.drain(..).skip(1).collect()).collect();
        let off: Vec<f64> = rates[0].iter().map(|rate| 1.0 / (1.0 / rate - counting)).collect();
        for (at, (name, ..)) in gateways.iter().enumerate().skip(1) {
            let share = median(rates[at].iter().zip(&off).map(|(on, off)| on / off).collect());
            println!(
                "GoTrue {gotrue}, {name}: {:.1} % of the logouts without observability",
                share * 100.0
            );
            assert!(
                least.is_none_or(|least| share >= least),
                "observability costs more than 5 % of the logouts"
            );
        }
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, run());
}
