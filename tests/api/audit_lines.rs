//! The log limits each class of lines separately, so that no flood of refusals or of other lines makes it
//! drop the audit line of a logout.

use std::{
    net::SocketAddr,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::Receiver,
    },
    thread,
    time::{Duration, Instant},
};

use gotrue_mock::Tokens;
use logout_gateway::Clock;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{
    Connection, GatewayProcess, RedisServer, Request, Setup, TestApp, claims_of, eventually_within,
    hs256_token,
};

async fn start_app() -> TestApp {
    Setup::new().start_time(Clock::system().unix_seconds()).start().await
}

fn audit_lines(log: &str) -> Vec<Value> {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["target"] == "audit").collect()
}

/// A part of the warning that the gateway logs when `verify` gets a token of a session that was logged out.
const STOLEN_TOKEN_WARNING: &str = "it may be stolen";

/// Reads the log at `bytes_each_second` until `full_speed` is set, and then without a limit.
fn read_slowly(
    log: Receiver<String>,
    bytes_each_second: f64,
    full_speed: Arc<AtomicBool>,
) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let (begun, mut read) = (Instant::now(), String::new());
        for line in log {
            read.push_str(&line);
            #[expect(clippy::cast_precision_loss, reason = "some megabytes")]
            let due = begun + Duration::from_secs_f64(read.len() as f64 / bytes_each_second);
            while !full_speed.load(Ordering::Relaxed) && Instant::now() < due {
                thread::park_timeout(Duration::from_millis(1));
            }
        }
        read
    })
}

/// Sends logouts without credentials until `stop_flood` is set. Each connection ends with an invalid request,
/// which the gateway logs at the level `debug`.
async fn flood(address: SocketAddr, connections: Arc<AtomicUsize>, stop_flood: Arc<AtomicBool>) {
    let refused = Request::new(address, "POST", "/api/auth/logout").bytes(false);
    while !stop_flood.load(Ordering::Relaxed) {
        let mut connection = Connection::open(address).await;
        connection.write(&[&*refused, &refused, b"no request\r\n\r\n"].concat()).await;
        for _ in 0..2 {
            assert_eq!(connection.reply(false).await.unwrap().status, 401);
        }
        connections.fetch_add(1, Ordering::Relaxed);
        connection.reset();
    }
}

#[tokio::test]
async fn no_flood_drops_the_audit_line_of_a_logout() {
    // The test reads the log at a tenth of the speed at which the flood fills it.
    const BYTES_EACH_SECOND: f64 = 20_000.0;
    // Each connection causes one line. Their buffer holds 8,192 lines, so this many connections overflow it.
    const CONNECTIONS: usize = 10_000;
    let app = start_app().await;
    let environment = [("RUST_LOG", "info,logout_gateway::http::server=debug")];
    let mut gateway = GatewayProcess::start_with_unread_log(&app, &environment).await;
    let (stop_flood, full_speed) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let reader = read_slowly(gateway.take_log(), BYTES_EACH_SECOND, full_speed.clone());
    let address = gateway.address;
    let connections = Arc::<AtomicUsize>::default();
    let floods =
        [(); 4].map(|()| tokio::spawn(flood(address, connections.clone(), stop_flood.clone())));
    let is_flooded = || async { connections.load(Ordering::Relaxed) > CONNECTIONS };
    assert!(eventually_within(Duration::from_mins(1), is_flooded).await, "the flood is too slow");
    let genuine: Vec<Tokens> = (0..20).map(|_| app.sign_up()).collect();
    for tokens in &genuine {
        let logout = gateway.request("POST", "/api/auth/logout").bearer(&tokens.access_token);
        assert_eq!(logout.send().await.status, 200);
        let verify = gateway.request("GET", "/api/auth/verify").bearer(&tokens.access_token);
        assert_eq!(verify.send().await.status, 401);
    }
    stop_flood.store(true, Ordering::Relaxed);
    for flood in floods {
        flood.await.unwrap();
    }
    full_speed.store(true, Ordering::Relaxed);
    gateway.signal("TERM");
    let log = tokio::task::spawn_blocking(|| reader.join().unwrap()).await.unwrap();
    let other_lines =
        log.matches(r#""message":"a connection broke before its response was complete""#).count();
    assert!(
        other_lines < connections.load(Ordering::Relaxed),
        "the buffer of other lines was full"
    );
    let lines = audit_lines(&log);
    for tokens in &genuine {
        let stolen = |line: &&str| {
            line.contains(STOLEN_TOKEN_WARNING) && line.contains(&tokens.session_id.to_string())
        };
        assert_eq!(
            log.lines().filter(stolen).count(),
            1,
            "the line of a stolen token is kept as well"
        );
        let session = json!(tokens.session_id);
        let of_session: Vec<_> =
            lines.iter().filter(|line| line["session_id"] == session).collect();
        assert_eq!(of_session.len(), 1, "{session}");
        assert_eq!(
            (&of_session[0]["outcome"], &of_session[0]["proven"]),
            (&json!("revoked"), &json!(true))
        );
    }
}

#[rstest]
#[case::refused(None)]
#[case::repeated(Some("/logout"))]
#[case::of_a_dead_session(Some("/logout?scope=others"))]
#[tokio::test]
async fn refused_and_repeated_logouts_beyond_a_hundred_in_a_second_are_only_counted(
    #[case] repeated: Option<&str>,
) {
    const REQUESTS: usize = 1000;
    let app = start_app().await;
    let mut gateway = GatewayProcess::start(&app, &[("RUST_LOG", "info")]).await;
    let mut request = gateway.request("POST", "/logout");
    let (mut status, mut outcome) = (401, "refused");
    if let Some(target) = repeated {
        // The user of an account repeats the logout of its own session, which has ended.
        let token = app.sign_up().access_token;
        assert_eq!(request.bearer(&token).send().await.status, 200);
        request = gateway.request("POST", target).bearer(&token);
        (status, outcome) = match target {
            "/logout" => (200, "already-ended"),
            _ => (401, "failed"),
        };
    }
    let begun = Instant::now();
    let mut connection = Connection::open(gateway.address).await;
    let request = request.bytes(false);
    for _ in 0..REQUESTS / 100 {
        connection.write(&request.repeat(100)).await;
        for _ in 0..100 {
            assert_eq!(connection.reply(false).await.unwrap().status, status);
        }
    }
    let stopped = Instant::now();
    let outcome = format!(r#""outcome":"{outcome}""#);
    let count_in = |read: &str| read.matches(&outcome).count();
    let mut omitted = 0;
    while count_in(gateway.log_so_far()) + omitted < REQUESTS {
        let line = gateway.wait_for_log(
            "the log left out audit lines of refused and repeated logouts, more than 100 in one second: \
             logout_gateway_logouts_total counts them all",
        );
        assert_eq!((&line["level"], &line["target"]), (&json!("WARN"), &json!("audit")));
        omitted += usize::try_from(line["omitted"].as_u64().unwrap()).unwrap();
    }
    let delay = stopped.elapsed();
    assert!(
        delay < Duration::from_secs(3),
        "the last count is logged within about a second, not after {delay:?}"
    );
    assert_eq!(count_in(gateway.log_so_far()) + omitted, REQUESTS);
    let seconds = usize::try_from(stopped.duration_since(begun).as_secs()).unwrap() + 1;
    assert!(count_in(gateway.log_so_far()) <= 100 * seconds, "in {seconds} s");
    let log = gateway.stop();
    assert_eq!(count_in(&log.text) + omitted, REQUESTS, "no logout is both logged and counted");
}

#[rstest]
#[case::failures(
    500,
    "GoTrue failed: check its log",
    "the log left out warnings about failures of GoTrue, more than 20 in one second: \
     logout_gateway_gotrue_requests_total counts them all"
)]
#[case::unknown_statuses(
    418,
    "the gateway got an answer that GoTrue itself never gives: the request had no effect",
    "the log left out warnings about answers that GoTrue itself never gives, more than 20 in one second: \
     logout_gateway_gotrue_requests_total counts them all"
)]
#[tokio::test]
async fn warnings_about_gotrue_beyond_twenty_in_a_second_are_only_counted(
    #[case] status: u16,
    #[case] warning: &str,
    #[case] count_message: &str,
) {
    const REQUESTS: usize = 300;
    let app = start_app().await;
    let mut gateway = GatewayProcess::start(&app, &[("RUST_LOG", "info")]).await;
    let tokens = app.sign_up();
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": status}));
    let begun = Instant::now();
    for _ in 0..REQUESTS {
        let logout = gateway.request("POST", "/logout").bearer(&tokens.access_token);
        assert_eq!(logout.send().await.status, 500);
    }
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap() + 1;
    let quoted = format!(r#""message":"{warning}""#);
    let count_in = |read: &str| read.matches(&quoted).count();
    let mut omitted = 0;
    while count_in(gateway.log_so_far()) + omitted < REQUESTS {
        omitted +=
            usize::try_from(gateway.wait_for_log(count_message)["omitted"].as_u64().unwrap())
                .unwrap();
    }
    let log = gateway.stop();
    assert_eq!(count_in(&log.text) + omitted, REQUESTS, "each warning is either logged or counted");
    // The first second of the limit starts at a logged line and not at `begun`, so the limit may have counted
    // one second more.
    assert!(count_in(&log.text) <= 20 * (seconds + 1), "{} in {seconds} s", count_in(&log.text));
}

#[tokio::test]
async fn warnings_of_verify_about_the_store_beyond_twenty_in_a_second_are_only_counted() {
    const REQUESTS: usize = 300;
    let (app, redis) = (start_app().await, RedisServer::start().await);
    let url = redis.url();
    let environment = [("RUST_LOG", "info"), ("GATEWAY_STORE", &*url)];
    let mut gateway = GatewayProcess::start(&app, &environment).await;
    let tokens = app.sign_up();
    let verify = gateway.request("GET", "/api/auth/verify").bearer(&tokens.access_token);
    assert_eq!(verify.clone().send().await.status, 200);
    redis.kill();
    let (mut refused, mut begun) = (0, None);
    while refused < REQUESTS {
        if verify.clone().send().await.status == 503 {
            refused += 1;
            begun.get_or_insert_with(Instant::now);
        }
    }
    let seconds = usize::try_from(begun.unwrap().elapsed().as_secs()).unwrap() + 1;
    let quoted = r#""message":"the store did not answer whether a session is revoked, so verify answers 503: check GATEWAY_STORE""#;
    let count_in = |read: &str| read.matches(quoted).count();
    let mut omitted = 0;
    while count_in(gateway.log_so_far()) + omitted < REQUESTS {
        let line = gateway.wait_for_log(
            "the log left out warnings that the store did not answer verify, more than 20 in one second: \
             logout_gateway_verify_total counts them all",
        );
        omitted += usize::try_from(line["omitted"].as_u64().unwrap()).unwrap();
    }
    let log = gateway.stop();
    assert_eq!(count_in(&log.text) + omitted, REQUESTS, "each warning is either logged or counted");
    // The first second of the limit starts at a logged line and not at `begun`, so the limit may have counted
    // one second more.
    assert!(count_in(&log.text) <= 20 * (seconds + 1), "{} in {seconds} s", count_in(&log.text));
}

#[tokio::test]
async fn an_audit_line_says_whether_its_session_was_proven() {
    let app = start_app().await;
    let tokens = app.sign_up();
    let mut without_secret = Command::new("env");
    without_secret.args(["-u", "SUPABASE_JWT_SECRET", env!("CARGO_BIN_EXE_logout-gateway")]);
    let gateway = GatewayProcess::start_with_command(without_secret, &app, &[]).await;
    let logout = |token: &str, id: &str| {
        gateway.request("POST", "/logout").bearer(token).header("X-Request-Id", id).send()
    };
    assert_eq!(logout(&tokens.access_token, "proven").await.status, 200);
    let other = app.sign_up();
    let forged = hs256_token(&claims_of(&other.access_token), "a-secret-of-an-attacker");
    assert_eq!(logout(&forged, "unproven").await.status, 401);
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 503}));
    assert_eq!(logout(&forged, "unproven-failed").await.status, 500);
    assert_eq!(logout("nonsense", "without-a-session").await.status, 401);
    let log = gateway.stop();
    assert_eq!(log.audit_line("proven")["proven"], true);
    assert_eq!(log.audit_line("unproven")["proven"], false);
    assert_eq!(log.audit_line("unproven-failed")["outcome"], "failed");
    assert_eq!(log.audit_line("unproven-failed")["proven"], false);
    assert!(log.audit_line("without-a-session").get("proven").is_none());
}
