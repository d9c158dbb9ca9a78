//! The log of the real binary must have one line of the target `audit` for each logout, and never a secret.

#![expect(clippy::unwrap_used, reason = "a helper that panics makes its test fail, as it should")]

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use axum::{Router, routing::get};
use gotrue_mock::{TEST_SECRET, Tokens};
use logout_gateway::{
    Clock,
    internals::{config::LogFormat, telemetry},
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{
    API_KEY, Browser, Connection, CookieFormat, GatewayProcess, RedisServer, Reply, SECRET, Setup,
    TestApp, claims_of, eventually, forged_token,
};

const TIMEOUT: Duration = Duration::from_secs(20);

/// Sends a logout by cookie with this `X-Request-Id`; returns the reply and the CSRF token of the request.
async fn log_out(
    gateway: &GatewayProcess,
    tokens: &Tokens,
    target: &str,
    id: &str,
) -> (Reply, String) {
    let mut browser = Browser::signed_in_at(gateway.address, tokens, CookieFormat::Base64);
    browser.fetch_csrf().await;
    let request = browser.logout_request(target).header("X-Request-Id", id);
    (request.send().await, browser.csrf_cookie().unwrap())
}

/// The strings of a token that must not be logged: the token itself and each part between its dots.
fn secret_parts(token: &str) -> Vec<String> {
    [token].into_iter().chain(token.split('.')).map(str::to_owned).collect()
}

fn session_secrets(tokens: &Tokens) -> Vec<String> {
    let email = claims_of(&tokens.access_token)["email"].as_str().unwrap().to_owned();
    [secret_parts(&tokens.access_token), vec![tokens.refresh_token.clone(), email]].concat()
}

async fn start_app() -> TestApp {
    Setup::new().start_time(Clock::system().unix_seconds()).start().await
}

#[rstest]
#[case::default_level("info")]
#[case::trace_level("trace")]
#[tokio::test]
async fn each_logout_is_one_audit_line_and_no_line_has_a_secret(#[case] filter: &str) {
    let app = start_app().await;
    let gateway = GatewayProcess::start(&app, &[("RUST_LOG", filter)]).await;
    let mut secrets = [API_KEY, SECRET, TEST_SECRET].map(str::to_owned).to_vec();

    let good = app.sign_up();
    let verify = gateway.request("GET", "/api/auth/verify").bearer(&good.access_token);
    assert_eq!(verify.send().await.status, 200);
    let (reply, csrf) = log_out(&gateway, &good, "/api/auth/logout", "the-good-one").await;
    assert_eq!(reply.status, 200);
    secrets.extend([session_secrets(&good), secret_parts(&csrf)].concat());

    let failed = app.sign_up();
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500, "times": 1,
        "code": "unexpected_failure", "headers": {"X-Upstream": "upstream-secret"}}));
    let (reply, csrf) = log_out(&gateway, &failed, "/logout?scope=global", "the-failed-one").await;
    assert_eq!(reply.status, 500);
    secrets.extend([session_secrets(&failed), secret_parts(&csrf)].concat());
    secrets.push("upstream-secret".to_owned());

    let mut claims = claims_of(&app.sign_up().access_token);
    claims["email"] = json!("forged@example.com");
    let kid = jsonwebtoken::decode_header(&good.access_token).unwrap().kid.unwrap();
    let token = forged_token(&json!({"alg": "ES256", "kid": kid}).to_string(), &claims.to_string());
    let request = gateway.request("POST", "/api/v1/auth/logout").bearer(&token);
    assert_eq!(request.header("X-Request-Id", "the-forged-one").send().await.status, 401);
    secrets.extend([secret_parts(&token), vec!["forged@example.com".to_owned()]].concat());

    let mut expired = app.sign_up();
    let mut claims = claims_of(&expired.access_token);
    claims["exp"] = json!(app.clock.now() - 10);
    expired.access_token = app.mock.sign(&claims).unwrap();
    let (reply, csrf) = log_out(&gateway, &expired, "/logout", "the-expired-one").await;
    assert_eq!(reply.status, 200);
    let refreshed = app.gotrue_calls("logout").pop().unwrap();
    let refreshed = refreshed.header("authorization").unwrap().trim_start_matches("Bearer ");
    secrets
        .extend([session_secrets(&expired), secret_parts(&csrf), secret_parts(refreshed)].concat());

    let log = gateway.stop();
    for (id, route, scope, outcome, tokens) in [
        ("the-good-one", "/api/auth/logout", "local", "revoked", &good),
        ("the-failed-one", "/logout", "global", "failed", &failed),
        ("the-expired-one", "/logout", "local", "revoked", &expired),
    ] {
        let line = log.audit_line(id);
        assert_eq!(line["route"], route, "{line}");
        assert_eq!(line["scope"], scope, "{line}");
        assert_eq!(line["outcome"], outcome, "{line}");
        assert_eq!(line["user_id"], tokens.user_id.to_string(), "{line}");
        assert_eq!(line["session_id"], tokens.session_id.to_string(), "{line}");
        assert_eq!(line["level"], "INFO", "{line}");
    }
    let line = log.audit_line("the-forged-one");
    assert_eq!(
        (&line["route"], &line["outcome"]),
        (&json!("/api/v1/auth/logout"), &json!("refused"))
    );
    assert!(
        line["user_id"].is_null() && line["session_id"].is_null(),
        "an unproven token names no user: {line}"
    );
    assert_eq!(log.lines.iter().filter(|line| line["target"] == "audit").count(), 4);

    // Warnings about weak settings have the field `variable`. This test does not check them.
    let warnings =
        log.lines.iter().filter(|line| line["level"] == "WARN" && line["variable"].is_null());
    let warnings_found: Vec<_> =
        warnings.map(|line| (&line["request_id"], &line["status"], &line["code"])).collect();
    assert_eq!(
        warnings_found,
        [(&json!("the-failed-one"), &json!(500), &json!("unexpected_failure"))]
    );
    assert!(log.text.contains("shutting down"), "the log is complete");
    log.assert_contains_none_of(&secrets);
}

#[tokio::test]
async fn the_first_line_has_the_configuration_and_no_secret() {
    let app = start_app().await;
    let redis = RedisServer::start_with_password("the-password-of-redis").await;
    let url = redis.url();
    let environment = [
        ("RUST_LOG", "info"),
        ("GATEWAY_STORE", &*url),
        ("GATEWAY_ALLOWED_ORIGINS", "https://app.example.com"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ("GATEWAY_REDIRECT_URLS", "https://app.example.com/bye,https://www.example.com/*"),
        ("GATEWAY_REDIRECT_DEFAULT", "/signed-out"),
    ];
    let gateway = GatewayProcess::start(&app, &environment).await;
    let log = gateway.stop();
    let line = &log.lines[0];
    assert_eq!(line["message"], "starting");
    for (field, value) in [
        ("version", env!("CARGO_PKG_VERSION")),
        ("GOTRUE_URL", &*format!("{}/auth/v1", app.mock.url())),
        ("SUPABASE_PUBLISHABLE_KEY", "set"),
        ("SUPABASE_JWT_SECRET", "set"),
        ("GATEWAY_SECRET", "set"),
        ("GATEWAY_SECRET_PREVIOUS", "not set"),
        ("GATEWAY_ALLOWED_ORIGINS", "https://app.example.com"),
        ("GATEWAY_CSRF_MODE", "signed"),
        ("GATEWAY_UPSTREAM_TIMEOUT", "5s"),
        ("RUST_LOG", "info"),
        ("GATEWAY_REDIRECT_DEFAULT", "/signed-out"),
        ("GATEWAY_REDIRECT_URLS", "https://app.example.com/bye,https://www.example.com/*"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1/"),
        ("GATEWAY_STORE", "redis, prefix logout-gateway:"),
        ("GATEWAY_COOKIE_NAME", "sb-127-auth-token"),
        ("GATEWAY_MAX_IN_FLIGHT", "1024"),
        ("GATEWAY_TRUSTED_PROXIES", "not set"),
        ("GATEWAY_JWT_ISSUER", "not set"),
    ] {
        assert_eq!(line[field], value, "{field}: {line}");
    }
    let secrets = [API_KEY, SECRET, TEST_SECRET, "the-password-of-redis"];
    log.assert_contains_none_of(&secrets.map(str::to_owned));
}

/// Runs only inside a new process, which the next test starts, because a process has only one log.
#[tokio::test]
#[ignore = "the next test runs it"]
async fn process_with_a_panic() {
    async fn bug() -> &'static str {
        panic!("a bug that the tests put here");
    }
    let _writing = telemetry::start(LogFormat::Json, "info".parse().unwrap(), None);
    let app = Setup::new().extra_routes(Router::new().route("/bug", get(bug))).start().await;
    let request = app.get("/bug?q=x9tell-tale9x").bearer("x9tell-tale9x");
    assert_eq!(request.header("X-Request-Id", "the-bug").send().await.status, 500);
    assert_eq!(app.get("/healthz").send().await.status, 200, "the process is alive");
}

#[test]
fn a_panic_is_logged_with_its_location_its_text_and_the_request_id() {
    let mut this = Command::new(std::env::current_exe().unwrap());
    this.args(["--exact", "logs::process_with_a_panic", "--ignored"]);
    let run = this.stderr(Stdio::piped()).output().unwrap();
    let log = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.success(), "{log}");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let errors: Vec<Value> = lines.filter(|line| line["level"] == "ERROR").collect();
    let [panic, answer] = &errors[..] else { panic!("{log}") };
    assert_eq!((&panic["message"], &panic["thread"]), (&json!("panicked"), &json!("serving")));
    assert_eq!(panic["text"], "a bug that the tests put here");
    assert!(panic["location"].as_str().unwrap().starts_with(file!()), "{panic}");
    assert_eq!(
        answer["message"],
        "the gateway answered 500 because of a bug: report it with the log line of the panic"
    );
    assert_eq!(answer["request_id"], "the-bug");
    assert!(!log.contains("x9tell-tale9x"), "{log}");
}

#[tokio::test]
async fn a_stalled_reader_of_the_log_delays_no_request_and_no_shutdown() {
    let app = start_app().await;
    let mut gateway = GatewayProcess::start_with_unread_log(&app, &[("RUST_LOG", "info")]).await;
    let mut connection = Connection::open(gateway.address).await;
    let request = gateway.request("POST", "/logout").header("X-Request-Id", "x".repeat(128));
    // The requests cause about 400 KiB of log lines, while a pipe holds only 64 KiB.
    let all = async {
        for _ in 0..1000 {
            connection.write(&request.bytes(false)).await;
            assert_eq!(connection.reply(false).await.unwrap().status, 401);
        }
    };
    tokio::time::timeout(TIMEOUT, all).await.expect("a response to each request");
    gateway.signal("TERM");
    eventually("the process ends", || {
        let exit = gateway.exit_status();
        async move { exit.is_some_and(|status| status.success()) }
    })
    .await;
}

#[tokio::test]
async fn dropped_log_lines_are_counted() {
    const CONNECTIONS: usize = 12_000;
    let app = start_app().await;
    let environment = [("RUST_LOG", "info,logout_gateway::http::server=debug")];
    let mut gateway = GatewayProcess::start_with_unread_log(&app, &environment).await;
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::open(gateway.address).await;
        connection.write(b"no request\r\n\r\n").await;
        assert_eq!(connection.reply(false).await.unwrap().status, 400);
    }
    let log = gateway.take_log();
    let (mut closed, mut dropped) = (0, 0);
    while closed + dropped < CONNECTIONS {
        let line = log.recv_timeout(TIMEOUT).unwrap_or_else(|_| panic!("{closed} {dropped}"));
        let line: Value = serde_json::from_str(&line).unwrap();
        closed +=
            usize::from(line["message"] == "a connection broke before its response was complete");
        if line["message"] == "log lines were dropped: standard error is not read fast enough" {
            assert_eq!(line["total"], line["other"], "only other lines are dropped: {line}");
            dropped = usize::try_from(line["total"].as_u64().unwrap()).unwrap();
        }
    }
    assert!(dropped > 0);
    // The gateway logs the number of dropped lines once a second. Those lines are counted, too, if dropped.
    assert!((CONNECTIONS..CONNECTIONS + 100).contains(&(closed + dropped)), "{closed} {dropped}");
}

fn first_log_lines(command: &mut Command, app: &TestApp) -> Vec<String> {
    command.env_clear().envs([
        ("SUPABASE_URL", app.mock.url()),
        ("GATEWAY_BIND", "127.0.0.1:0"),
        ("GATEWAY_ADMIN_BIND", "off"),
    ]);
    let mut gateway = command.stdout(Stdio::piped()).spawn().unwrap();
    let log = gateway.stdout.take().unwrap();
    let lines = BufReader::new(log).lines().map(Result::unwrap).take(4).collect();
    // `script` passes SIGTERM on to the gateway, which SIGKILL would leave running.
    assert!(Command::new("kill").arg(gateway.id().to_string()).status().unwrap().success());
    gateway.wait().unwrap();
    lines
}

#[rstest]
#[case::configured(
    &["sh", "-c", concat!("exec ", env!("CARGO_BIN_EXE_logout-gateway"), " serve --log-format=text 2>&1")],
    false
)]
#[case::on_a_terminal(
    &["script", "-qec", concat!("exec ", env!("CARGO_BIN_EXE_logout-gateway"), " serve"), "/dev/null"],
    true
)]
#[tokio::test]
async fn the_log_is_text_if_configured_and_on_a_terminal(
    #[case] command: &[&str],
    #[case] coloured: bool,
) {
    let app = start_app().await;
    let lines = first_log_lines(Command::new(command[0]).args(&command[1..]), &app);
    for (line, level) in lines.iter().zip(["INFO", "WARN", "WARN", "INFO"]) {
        assert!(line.contains(level) && serde_json::from_str::<Value>(line).is_err(), "{line}");
        assert_eq!(line.contains('\u{1b}'), coloured, "{line}");
    }
    assert!(lines[0].contains("starting") && lines[3].contains("listening"), "{lines:?}");
}
