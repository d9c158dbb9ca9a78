//! What it costs to watch: logouts in a second with nothing written, with the audit line and somebody
//! who scrapes `/metrics`, and with traces as well; one after the other, round by round.
//!
//! Counting cannot be switched off: what it takes is measured by itself, and taken off the first kind's
//! time. Each logout is by cookie, with CSRF token, of a session that lives.
//!
//! Twice: with a GoTrue that takes [`GOTRUE_SECONDS`] for each, which is faster than the real one was
//! seen to be, and with one that takes no time, where client, gateway and mock have nothing to wait for
//! and fight for the machine. The first is what is held to five in a hundred; the second, and the CPU
//! time by the kernel's count, tell what it costs whoever has no CPU to spare.
//!
//! `cargo bench --bench watching`

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that fails tells nothing"
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
/// Of the logouts with nothing watched.
const LEAST: f64 = 0.95;
/// One round's; each once.
const LOGOUTS: usize = 5_000;
const ROUNDS: usize = 5;
const SCRAPED_EVERY: Duration = Duration::from_secs(1);

/// The log only says where it listens.
const QUIET: (&str, &str) = ("RUST_LOG", "error,logout_gateway::gateway=info");
const LOUD: (&str, &str) = ("RUST_LOG", "info");

/// Logouts of sessions that were not there before, as bytes.
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
    /// Of the gateway's own and of the kernel's for it, in microseconds for each logout.
    cpu: f64,
}

async fn round(gateway: Rc<GatewayProcess>, watched: bool, requests: Vec<Vec<u8>>) -> Round {
    let (begun, before) = (Instant::now(), CpuTime::of_process(gateway.pid()));
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
        if !watched {
            std::future::pending::<()>().await;
        }
        loop {
            Request::new(gateway.admin_address.unwrap(), "GET", "/metrics").send().await;
            tokio::time::sleep(SCRAPED_EVERY).await;
        }
    };
    tokio::select! { _ = clients.join_all() => {}, () = scraping => {} }
    let (took, after) = (begun.elapsed(), CpuTime::of_process(gateway.pid()));
    let cpu = (after.user + after.system).saturating_sub(before.user + before.system);
    let each = |time: Duration| time.as_secs_f64() / f64::from(u32::try_from(LOGOUTS).unwrap());
    Round { per_second: 1.0 / each(took), cpu: each(cpu) * 1e6 }
}

/// What it takes to count one logout, in seconds.
fn counting() -> f64 {
    const TIMES: u32 = 200_000;
    let metrics = Metrics::new();
    let begun = Instant::now();
    for n in 0..TIMES {
        let took = Duration::from_micros(u64::from(n));
        metrics.gotrue_try(Operation::Logout, TryResult::Ok, took);
        metrics.logout(Route::Envelope, (Outcome::Revoked, None), took, 4);
    }
    begun.elapsed().as_secs_f64() / f64::from(TIMES)
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
        [("takes 5 ms", Some(slow), Some(LEAST)), ("takes no time", None, None)]
    {
        app.mock.clear_faults();
        if let Some(fault) = fault {
            app.inject_fault(fault);
        }
        for _ in 0..=ROUNDS {
            for (name, gateway, rates) in &mut gateways {
                let requests = requests(&app, gateway).await;
                let watched = **name != "off";
                let Round { per_second, cpu } = round(gateway.clone(), watched, requests).await;
                println!("{name:>16}   {per_second:>7.0}/s   {cpu:>6.1} µs of the gateway's");
                rates.push(per_second);
            }
        }
        // The first round is for warming up.
        let rates: Vec<Vec<f64>> =
            gateways.iter_mut().map(|(.., rates)| rates.drain(..).skip(1).collect()).collect();
        let off: Vec<f64> = rates[0].iter().map(|rate| 1.0 / (1.0 / rate - counting)).collect();
        for (at, (name, ..)) in gateways.iter().enumerate().skip(1) {
            let share = median(rates[at].iter().zip(&off).map(|(on, off)| on / off).collect());
            println!(
                "GoTrue {gotrue}, {name}: {:.1} % of the logouts with nothing watched",
                share * 100.0
            );
            assert!(least.is_none_or(|least| share >= least), "watching is noticed");
        }
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, run());
}
