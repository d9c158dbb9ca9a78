//! Measures the CPU time that the gateway's process needs for a request to `/api/auth/verify` with a token
//! that it has verified before, in user mode and in kernel mode (reading and writing the sockets).
//!
//! The benchmark sends the token as a bearer token and in the cookie of `@supabase/ssr`. For comparison it
//! also requests `/healthz`, which costs only the HTTP server. The revocation list has [`LOGGED_OUT`]
//! sessions, none of which the requests use.
//!
//! `cargo bench --bench verify`; client, gateway and mock share the machine.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails has no result")]

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use gotrue_mock::Tokens;
use logout_gateway::Clock;
use tokio::task::{JoinSet, LocalSet};

use test_harness::{Connection, CookieFormat, GatewayProcess, Setup, session_cookies};

use test_harness::cpu_time::CpuTime;

/// The number of connections that stay open during a round, as those of a reverse proxy do.
const CONNECTIONS: usize = 64;
const KNOWN: usize = 1000;
const LOGGED_OUT: usize = 2000;
const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;
/// The requests of one row of the result, with the name of that row.
struct Kind {
    name: &'static str,
    requests: Vec<Vec<u8>>,
}

/// Sends requests one after the other on one connection until `until`; returns how many it sent.
async fn send_requests(
    gateway: Rc<GatewayProcess>,
    kind: Rc<Kind>,
    from: usize,
    until: Instant,
) -> u32 {
    let mut connection = Connection::open(gateway.address).await;
    let mut sent = 0;
    for request in kind.requests.iter().cycle().skip(from) {
        connection.write(request).await;
        assert_eq!(connection.reply(false).await.unwrap().status, 200, "{}", kind.name);
        sent += 1;
        if Instant::now() > until {
            break;
        }
    }
    sent
}

/// Sends requests for [`ROUND`]; returns a line with the gateway's CPU time per request.
async fn round(gateway: &Rc<GatewayProcess>, kind: &Rc<Kind>) -> String {
    let (start, before) = (Instant::now(), CpuTime::of_process(gateway.pid()));
    let mut clients = JoinSet::new();
    for n in 0..CONNECTIONS {
        let from = n * KNOWN / CONNECTIONS;
        clients.spawn_local(send_requests(gateway.clone(), kind.clone(), from, start + ROUND));
    }
    let sent: u32 = clients.join_all().await.iter().sum();
    let after = CpuTime::of_process(gateway.pid());
    let per_request = |of: fn(CpuTime) -> Duration| {
        of(after).saturating_sub(of(before)).as_secs_f64() * 1e6 / f64::from(sent)
    };
    let (user, system) = (per_request(|time| time.user), per_request(|time| time.system));
    let rate = f64::from(sent) / start.elapsed().as_secs_f64();
    let name = kind.name;
    format!(
        "{name:>17}   {user:>5.1} µs in user mode   {system:>5.1} µs in the kernel   {rate:>7.0}/s"
    )
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
        // The first round is a warm-up in which the gateway verifies each token once.
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
