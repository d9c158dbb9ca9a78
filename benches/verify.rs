//! What it costs to let a request pass whose token is known: the CPU time of the real binary by the
//! kernel's own count, in its own code and in the kernel's, which reads and writes the octets.
//!
//! By Bearer, and by the cookie that `@supabase/ssr` writes; beside them `/healthz`, which is what the
//! HTTP server alone costs. The revocation list holds [`LOGGED_OUT`] other sessions.
//!
//! `cargo bench --bench verify`; client, gateway and mock share the machine.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails tells nothing")]

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use gotrue_mock::Tokens;
use logout_gateway::Clock;
use tokio::task::{JoinSet, LocalSet};

use test_harness::{Connection, CookieFormat, GatewayProcess, Setup, session_cookies};

use test_harness::cpu_time::CpuTime;

/// As a proxy holds them open.
const CONNECTIONS: usize = 64;
const KNOWN: usize = 1000;
const LOGGED_OUT: usize = 2000;
const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;
/// Requests of one kind.
struct Kind {
    name: &'static str,
    requests: Vec<Vec<u8>>,
}

/// Each on a connection that stays open, one after the other; answers how many.
async fn ask(gateway: Rc<GatewayProcess>, kind: Rc<Kind>, from: usize, until: Instant) -> u32 {
    let mut connection = Connection::open(gateway.address).await;
    let mut asked = 0;
    for request in kind.requests.iter().cycle().skip(from) {
        connection.write(request).await;
        assert_eq!(connection.reply(false).await.unwrap().status, 200, "{}", kind.name);
        asked += 1;
        if Instant::now() > until {
            break;
        }
    }
    asked
}

/// Asks for so long, and tells what each request took.
async fn round(gateway: &Rc<GatewayProcess>, kind: &Rc<Kind>) -> String {
    let (begun, before) = (Instant::now(), CpuTime::of_process(gateway.pid()));
    let mut clients = JoinSet::new();
    for n in 0..CONNECTIONS {
        let from = n * KNOWN / CONNECTIONS;
        clients.spawn_local(ask(gateway.clone(), kind.clone(), from, begun + ROUND));
    }
    let asked: u32 = clients.join_all().await.iter().sum();
    let after = CpuTime::of_process(gateway.pid());
    let each = |of: fn(CpuTime) -> Duration| {
        of(after).saturating_sub(of(before)).as_secs_f64() * 1e6 / f64::from(asked)
    };
    let (itself, kernel) = (each(|used| used.user), each(|used| used.system));
    let rate = f64::from(asked) / begun.elapsed().as_secs_f64();
    let name = kind.name;
    format!("{name:>17}   {itself:>5.1} µs itself   {kernel:>5.1} µs in the kernel   {rate:>7.0}/s")
}

async fn run() {
    let app = Setup::new().start_time(Clock::system().unix_seconds()).start().await;
    let gateway = Rc::new(
        GatewayProcess::start(&app, &[("RUST_LOG", "error,logout_gateway::gateway=info")]).await,
    );
    for _ in 0..LOGGED_OUT {
        let token = app.sign_up().access_token;
        let reply = gateway.request("POST", "/logout").bearer(&token).send().await;
        assert_eq!(reply.status, 200);
    }
    let known: Vec<_> = (0..KNOWN).map(|_| app.sign_up()).collect();
    let verify = || gateway.request("GET", "/api/auth/verify");
    let cookies = |tokens: &Tokens| {
        let (access, refresh) = (&tokens.access_token, &tokens.refresh_token);
        session_cookies("sb-127-auth-token", access, refresh, CookieFormat::Base64)
    };
    let by_bearer = known.iter().map(|tokens| verify().bearer(&tokens.access_token).bytes(false));
    let by_cookie = known.iter().map(|tokens| verify().cookies(&cookies(tokens)).bytes(false));
    let kinds = [
        ("healthz", vec![gateway.request("GET", "/healthz").bytes(false)]),
        ("verify by Bearer", by_bearer.collect()),
        ("verify by cookie", by_cookie.collect()),
    ];
    for (name, requests) in kinds {
        let kind = Rc::new(Kind { name, requests });
        // From here on each token is known.
        round(&gateway, &kind).await;
        for _ in 0..ROUNDS {
            println!("{}", round(&gateway, &kind).await);
        }
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, run());
}
