//! The warnings of `serve` about weak settings, which it logs at its start, or as soon as the store, GoTrue
//! and the key set answer. [`super::check`] tests the warnings of `check`.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use gotrue_mock::{Algorithm, TEST_SECRET};
use logout_gateway::Clock;
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    check::OTHER_ISSUER,
    harness::{GatewayProcess, RedisServer, Setup, TestApp, claims_of, eventually},
};

async fn start_app(algorithm: Algorithm) -> TestApp {
    Setup::new().algorithm(algorithm).start_time(Clock::system().unix_seconds()).start().await
}

/// A command that runs the binary without `SUPABASE_JWT_SECRET`.
fn gateway_without_jwt_secret() -> Command {
    let mut command = Command::new("env");
    command.args(["-u", "SUPABASE_JWT_SECRET", env!("CARGO_BIN_EXE_logout-gateway")]);
    command
}

/// The variables that the warnings name, in the order of the log.
fn warned_variables(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["variable"].as_str()).collect()
}

#[tokio::test]
async fn serve_warns_about_the_configuration_and_the_environment() {
    let app = start_app(Algorithm::Es256).await;
    let environment = [
        ("GATEWAY_ADMIN_BIND", "0.0.0.0:0"),
        ("GATEWAY_SECRET", "00000000000000000000000000000000"),
        ("HTTPS_PROXY", "http://user:do-not-print@proxy.invalid"),
    ];
    let log = GatewayProcess::start_with_command(gateway_without_jwt_secret(), &app, &environment)
        .await
        .stop();
    let variables = ["GATEWAY_SECRET", "GATEWAY_STORE", "GATEWAY_ADMIN_BIND", "HTTPS_PROXY"];
    assert_eq!(warned_variables(&log.lines), variables);
    assert!(log.lines.iter().all(|l| l["variable"].is_null() || l["level"] == "WARN"));
    assert!(!log.text.contains("do-not-print"));
}

#[tokio::test]
async fn serve_warns_of_a_store_file_that_others_may_read() {
    let app = start_app(Algorithm::Es256).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = format!("file:{}", path.display());
    let environment = [("GATEWAY_STORE", &*store)];
    let log = GatewayProcess::start_with_command(gateway_without_jwt_secret(), &app, &environment)
        .await
        .stop();
    assert_eq!(
        warned_variables(&log.lines),
        [""; 0],
        "the gateway creates the file with the mode 600"
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut gateway =
        GatewayProcess::start_with_command(gateway_without_jwt_secret(), &app, &environment).await;
    let shown = path.display();
    let line = gateway.wait_for_log(&format!(
        "others than its owner may read or write {shown} (mode 644): chmod 600"
    ));
    assert_eq!((&line["variable"], &line["level"]), (&json!("GATEWAY_STORE"), &json!("WARN")));
}

#[tokio::test]
async fn serve_warns_of_a_redis_that_may_lose_records() {
    let app = start_app(Algorithm::Es256).await;
    let policy = ["--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru"];
    let redis = RedisServer::start_with_options(&policy).await;
    let url = redis.url();
    let environment = [("GATEWAY_STORE", &*url)];
    let mut gateway =
        GatewayProcess::start_with_command(gateway_without_jwt_secret(), &app, &environment).await;
    for message in [
        "Redis writes nothing to its disk (appendonly no, no save): its restart loses the queued \
         logouts, and the revocation list unless a gateway is running; set appendonly yes",
        "Redis evicts keys when it is full (maxmemory-policy allkeys-lru), and verify accepts the tokens \
         of an evicted revocation again: set maxmemory-policy noeviction",
    ] {
        let line = gateway.wait_for_log(message);
        assert_eq!((&line["variable"], &line["level"]), (&json!("GATEWAY_STORE"), &json!("WARN")));
    }
}

#[tokio::test]
async fn serve_warns_of_a_secret_beside_signing_keys_once_it_has_the_key_set() {
    let app = start_app(Algorithm::Es256).await;
    let environment = [("SUPABASE_JWT_SECRET", TEST_SECRET)];
    let mut gateway = GatewayProcess::start(&app, &environment).await;
    gateway.wait_for_log(
        "set although the project publishes signing keys: an attacker who knows an old secret can make \
         tokens that verify accepts; unset it once the project signs with its keys and the last token \
         that was signed with the secret has expired",
    );
    let log = gateway.stop();
    let of_variable =
        warned_variables(&log.lines).into_iter().filter(|name| *name == "SUPABASE_JWT_SECRET");
    assert_eq!(of_variable.count(), 1);
    assert!(!log.text.contains(TEST_SECRET));
}

#[tokio::test]
async fn serve_warns_once_of_tokens_that_only_a_missing_secret_could_verify() {
    let app = start_app(Algorithm::Hs256).await;
    let gateway = GatewayProcess::start_with_command(gateway_without_jwt_secret(), &app, &[]).await;
    for _ in 0..2 {
        let tokens = app.sign_up();
        let verify = gateway.request("GET", "/api/auth/verify").bearer(&tokens.access_token);
        assert_eq!(verify.send().await.status, 200);
    }
    let log = gateway.stop();
    let of_variable =
        warned_variables(&log.lines).into_iter().filter(|name| *name == "SUPABASE_JWT_SECRET");
    assert_eq!(of_variable.count(), 1);
}

#[tokio::test]
async fn serve_warns_once_of_an_old_gotrue_as_soon_as_it_answers() {
    let app = start_app(Algorithm::Es256).await;
    // The test app's own gateway must fetch GoTrue's health before the faults are injected, or it would use
    // them up.
    let health_calls = || app.gotrue_calls("health").len();
    eventually("the test app's gateway fetches the health", async || health_calls() == 1).await;
    // The gateway tries each fetch of the health twice, so two 503 responses make one fetch fail.
    app.inject_fault(json!({"operation": "health", "kind": "status", "status": 503, "times": 2}));
    let old = json!({"name": "GoTrue", "version": "v2.149.0"});
    app.inject_fault(json!({"operation": "health", "kind": "status", "status": 200, "body": old}));
    let mut gateway =
        GatewayProcess::start_with_command(gateway_without_jwt_secret(), &app, &[]).await;
    let line = gateway.wait_for_log(
        "GoTrue 2.149 is older than 2.150 and treats a second logout of one session as a logout of \
         all sessions of its user: update GoTrue",
    );
    assert_eq!((&line["variable"], &line["level"]), (&json!("GOTRUE_URL"), &json!("WARN")));
    let log = gateway.stop();
    assert_eq!(warned_variables(&log.lines), ["GATEWAY_STORE", "GOTRUE_URL"]);
    assert_eq!(health_calls(), 4, "the health is not fetched again after an answer");
}

#[rstest]
#[case::default_issuers(
    "",
    "SUPABASE_URL",
    "and SUPABASE_URL is another URL: the gateway accepts that issuer, but the browser's client may use that \
     URL and name its cookie after it; set SUPABASE_URL to the URL that browsers use and GOTRUE_URL to the one \
     that the gateway can reach, or set GATEWAY_COOKIE_NAME"
)]
#[case::list_without_it(
    "https://auth.example.org/auth/v1",
    "GATEWAY_JWT_ISSUER",
    "which is not in the list: the gateway refuses the tokens that GoTrue issues; add it, or unset the variable"
)]
#[tokio::test]
async fn serve_warns_once_of_an_issuer_of_gotrue_that_does_not_fit_the_configuration(
    #[case] list: &str,
    #[case] variable: &str,
    #[case] message: &str,
) {
    let setup = Setup::new().start_time(Clock::system().unix_seconds()).issuer(OTHER_ISSUER);
    let app = setup.start().await;
    let environment = [("GATEWAY_JWT_ISSUER", list)];
    let mut gateway =
        GatewayProcess::start_with_command(gateway_without_jwt_secret(), &app, &environment).await;
    let line = gateway.wait_for_log(&format!("GoTrue's issuer is {OTHER_ISSUER}, {message}"));
    assert_eq!((&line["variable"], &line["level"]), (&json!(variable), &json!("WARN")));
    assert_eq!(warned_variables(&gateway.stop().lines), ["GATEWAY_STORE", variable]);
}

#[rstest]
#[case::within_thirty_seconds(20, 0)]
#[case::beyond(300, 1)]
#[tokio::test]
async fn serve_warns_once_a_minute_of_tokens_that_were_issued_ahead_of_its_clock(
    #[case] ahead: i64,
    #[case] warnings: usize,
) {
    let app = start_app(Algorithm::Es256).await;
    let gateway = GatewayProcess::start(&app, &[]).await;
    for _ in 0..2 {
        let mut claims = claims_of(&app.sign_up().access_token);
        claims["iat"] = json!(claims["iat"].as_i64().unwrap() + ahead);
        let token = app.mock.sign(&claims).unwrap();
        let reply = gateway.request("GET", "/api/auth/verify").bearer(&token).send().await;
        assert_eq!(reply.status, 200, "GoTrue accepts such a token: {reply:?}");
    }
    let log = gateway.stop();
    let of_clock = |line: &&Value| {
        line["message"].as_str().is_some_and(|m| m.starts_with("the claim iat of an access token"))
    };
    let lines: Vec<_> = log.lines.iter().filter(of_clock).collect();
    assert_eq!(lines.len(), warnings, "{}", log.text);
    for line in lines {
        assert_eq!(line["level"], "WARN");
        // The gateway's clock runs on after the start of the mock's.
        let seconds = line["seconds_ahead"].as_i64().unwrap();
        assert!((ahead - 200..=ahead).contains(&seconds), "{line}");
    }
}

#[tokio::test]
async fn serve_disables_core_dumps() {
    let app = start_app(Algorithm::Es256).await;
    let mut shell = Command::new("sh");
    let serve =
        concat!("ulimit -c unlimited; exec ", env!("CARGO_BIN_EXE_logout-gateway"), " \"$@\"");
    shell.args(["-c", serve, "sh"]);
    let gateway = GatewayProcess::start_with_command(shell, &app, &[]).await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", gateway.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let words: Vec<&str> = core.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "soft and hard: {core}");
}
