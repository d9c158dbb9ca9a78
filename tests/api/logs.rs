//! The log of the real binary: one line of the target `audit` for each logout, and never a secret.

#![expect(clippy::unwrap_used, reason = "a helper that panics makes its test fail, as it should")]

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use axum::{Router, routing::get};
use gotrue_mock::{TEST_SECRET, Tokens};
use logout_gateway::{clock::Clock, config::LogFormat, telemetry};
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{
    API_KEY, Browser, Connection, CookieFormat, GatewayProcess, RedisServer, Reply, SECRET, Setup,
    TestApp, claims_of, eventually, forged_token,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A logout by cookie, with this `X-Request-Id`; the CSRF token that it took as well.
async fn logout(
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

/// Everything of a token that must not be told: itself, and each part between its dots.
fn parts(token: &str) -> Vec<String> {
    [token].into_iter().chain(token.split('.')).map(str::to_owned).collect()
}

/// Everything of these tokens, and the user's e-mail.
fn secrets_of(tokens: &Tokens) -> Vec<String> {
    let email = claims_of(&tokens.access_token)["email"].as_str().unwrap().to_owned();
    [parts(&tokens.access_token), vec![tokens.refresh_token.clone(), email]].concat()
}

async fn start_app() -> TestApp {
    Setup::new().start_time(Clock::system().unix_seconds()).start().await
}

#[rstest]
#[case::as_usual("info")]
#[case::of_everything("trace")]
#[tokio::test]
async fn each_logout_is_one_line_and_no_line_tells_a_secret(#[case] filter: &str) {
    let app = start_app().await;
    let gateway = GatewayProcess::start(&app, &[("RUST_LOG", filter)]).await;
    let mut secrets = [API_KEY, SECRET, TEST_SECRET].map(str::to_owned).to_vec();

    let good = app.sign_up();
    let verify = gateway.request("GET", "/api/auth/verify").bearer(&good.access_token);
    assert_eq!(verify.send().await.status, 200);
    let (reply, csrf) = logout(&gateway, &good, "/api/auth/logout", "the-good-one").await;
    assert_eq!(reply.status, 200);
    secrets.extend([secrets_of(&good), parts(&csrf)].concat());

    let failed = app.sign_up();
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500, "times": 1,
        "code": "unexpected_failure", "headers": {"X-Upstream": "upstream-secret"}}));
    let (reply, csrf) = logout(&gateway, &failed, "/logout?scope=global", "the-failed-one").await;
    assert_eq!(reply.status, 500);
    secrets.extend([secrets_of(&failed), parts(&csrf)].concat());
    secrets.push("upstream-secret".to_owned());

    let mut claims = claims_of(&app.sign_up().access_token);
    claims["email"] = json!("forged@example.com");
    let kid = jsonwebtoken::decode_header(&good.access_token).unwrap().kid.unwrap();
    let token = forged_token(&json!({"alg": "ES256", "kid": kid}).to_string(), &claims.to_string());
    let request = gateway.request("POST", "/api/v1/auth/logout").bearer(&token);
    assert_eq!(request.header("X-Request-Id", "the-forged-one").send().await.status, 401);
    secrets.extend([parts(&token), vec!["forged@example.com".to_owned()]].concat());

    let mut expired = app.sign_up();
    let mut claims = claims_of(&expired.access_token);
    claims["exp"] = json!(app.clock.now() - 10);
    expired.access_token = app.mock.sign(&claims).unwrap();
    let (reply, csrf) = logout(&gateway, &expired, "/logout", "the-expired-one").await;
    assert_eq!(reply.status, 200);
    let refreshed = app.gotrue_calls("logout").pop().unwrap();
    let refreshed = refreshed.header("authorization").unwrap().trim_start_matches("Bearer ");
    secrets.extend([secrets_of(&expired), parts(&csrf), parts(refreshed)].concat());

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
    assert!(line["user_id"].is_null() && line["session_id"].is_null(), "of nobody proven: {line}");
    assert_eq!(log.lines.iter().filter(|line| line["target"] == "audit").count(), 4);

    // Those of weak settings name the variable.
    let warnings =
        log.lines.iter().filter(|line| line["level"] == "WARN" && line["variable"].is_null());
    let warned: Vec<_> =
        warnings.map(|line| (&line["request_id"], &line["status"], &line["code"])).collect();
    assert_eq!(warned, [(&json!("the-failed-one"), &json!(500), &json!("unexpected_failure"))]);
    assert!(log.text.contains("shutting down"), "the last lines are there too");
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
        ("GATEWAY_TRUSTED_PROXIES", "none"),
    ] {
        assert_eq!(line[field], value, "{field}: {line}");
    }
    let secrets = [API_KEY, SECRET, TEST_SECRET, "the-password-of-redis"];
    log.assert_contains_none_of(&secrets.map(str::to_owned));
}

/// One process has one log: the next test runs this one in a process of its own.
#[tokio::test]
#[ignore = "the next test runs it"]
async fn a_process_with_a_bug() {
    async fn bug() -> &'static str {
        panic!("a bug that the tests put here");
    }
    let _writing = telemetry::start(LogFormat::Json, "info", None);
    let app = Setup::new().extra_routes(Router::new().route("/bug", get(bug))).start().await;
    let request = app.get("/bug?q=x9tell-tale9x").bearer("x9tell-tale9x");
    assert_eq!(request.header("X-Request-Id", "the-bug").send().await.status, 500);
    assert_eq!(app.get("/healthz").send().await.status, 200, "it lives");
}

#[test]
fn a_panic_is_logged_with_its_location_its_text_and_the_request_id() {
    let mut this = Command::new(std::env::current_exe().unwrap());
    this.args(["--exact", "logs::a_process_with_a_bug", "--ignored"]);
    let run = this.stderr(Stdio::piped()).output().unwrap();
    let log = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.success(), "{log}");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let errors: Vec<Value> = lines.filter(|line| line["level"] == "ERROR").collect();
    let [panic, answer] = &errors[..] else { panic!("{log}") };
    assert_eq!((&panic["message"], &panic["thread"]), (&json!("panicked"), &json!("serving")));
    assert_eq!(panic["text"], "a bug that the tests put here");
    assert!(panic["location"].as_str().unwrap().starts_with(file!()), "{panic}");
    assert_eq!(answer["message"], "answered 500 because of a bug: report the panic's log line");
    assert_eq!(answer["request_id"], "the-bug");
    assert!(!log.contains("x9tell-tale9x"), "{log}");
}

#[tokio::test]
async fn a_stalled_reader_of_the_log_delays_no_request_and_no_shutdown() {
    let app = start_app().await;
    let mut gateway = GatewayProcess::start_with_unread_log(&app, &[("RUST_LOG", "info")]).await;
    let mut connection = Connection::open(gateway.address).await;
    let request = gateway.request("POST", "/logout").header("X-Request-Id", "x".repeat(128));
    // Some 400 KiB of lines, while a pipe holds 64.
    let all = async {
        for _ in 0..1000 {
            connection.write(&request.bytes(false)).await;
            assert_eq!(connection.reply(false).await.unwrap().status, 401);
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("an answer to each");
    gateway.signal("TERM");
    eventually("it ends", || {
        let ended = gateway.exit_status();
        async move { ended.is_some_and(|status| status.success()) }
    })
    .await;
}

#[tokio::test]
async fn dropped_log_lines_are_counted() {
    const ENDED: usize = 12_000;
    let app = start_app().await;
    let environment = [("RUST_LOG", "info,logout_gateway::http::server=debug")];
    let mut gateway = GatewayProcess::start_with_unread_log(&app, &environment).await;
    for _ in 0..ENDED {
        let mut connection = Connection::open(gateway.address).await;
        connection.write(b"no request\r\n\r\n").await;
        assert_eq!(connection.reply(false).await.unwrap().status, 400);
    }
    let log = gateway.take_log();
    let (mut ended, mut dropped) = (0, 0);
    while ended + dropped < ENDED {
        let line = log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{ended} {dropped}"));
        let line: Value = serde_json::from_str(&line).unwrap();
        ended +=
            usize::from(line["message"] == "a connection broke before its response was complete");
        if line["message"] == "log lines were dropped: standard error is not read fast enough" {
            assert_eq!(line["total"], line["other"], "of one buffer alone: {line}");
            dropped = usize::try_from(line["total"].as_u64().unwrap()).unwrap();
        }
    }
    assert!(dropped > 0);
    // A report that found no room counts among the dropped lines, and one is made each second.
    assert!((ENDED..ENDED + 100).contains(&(ended + dropped)), "{ended} {dropped}");
}

/// The first four lines of a gateway's log.
fn beginning(command: &mut Command, app: &TestApp) -> Vec<String> {
    command.env_clear().envs([
        ("SUPABASE_URL", app.mock.url()),
        ("GATEWAY_BIND", "127.0.0.1:0"),
        ("GATEWAY_ADMIN_BIND", "off"),
    ]);
    let mut gateway = command.stdout(Stdio::piped()).spawn().unwrap();
    let log = gateway.stdout.take().unwrap();
    let told = BufReader::new(log).lines().map(Result::unwrap).take(4).collect();
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    told
}

#[rstest]
#[case::asked_for(
    &["sh", "-c", concat!("exec ", env!("CARGO_BIN_EXE_logout-gateway"), " serve --log-format=text 2>&1")],
    false
)]
#[case::at_a_terminal(
    &["script", "-qec", concat!(env!("CARGO_BIN_EXE_logout-gateway"), " serve"), "/dev/null"],
    true
)]
#[tokio::test]
async fn people_read_text(#[case] words: &[&str], #[case] coloured: bool) {
    let app = start_app().await;
    let told = beginning(Command::new(words[0]).args(&words[1..]), &app);
    for (line, level) in told.iter().zip(["INFO", "WARN", "WARN", "INFO"]) {
        assert!(line.contains(level) && serde_json::from_str::<Value>(line).is_err(), "{line}");
        assert_eq!(line.contains('\u{1b}'), coloured, "{line}");
    }
    assert!(told[0].contains("starting") && told[3].contains("listening"), "{told:?}");
}
