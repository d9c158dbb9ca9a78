//! The warnings of `serve` about weak settings: at its start, or as soon as the store, GoTrue and the key set
//! answer. The warnings of `check` are in [`super::check`].

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use gotrue_mock::{Algorithm, TEST_SECRET};
use logout_gateway::Clock;
use serde_json::{Value, json};

use crate::harness::{GatewayProcess, RedisServer, Setup, TestApp, eventually};

async fn start_app(algorithm: Algorithm) -> TestApp {
    Setup::new().algorithm(algorithm).start_time(Clock::system().unix_seconds()).start().await
}

/// The binary without `SUPABASE_JWT_SECRET`.
fn without_secret() -> Command {
    let mut command = Command::new("env");
    command.args(["-u", "SUPABASE_JWT_SECRET", env!("CARGO_BIN_EXE_logout-gateway")]);
    command
}

/// The variables of the warnings, in order.
fn warned(lines: &[Value]) -> Vec<&str> {
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
    let log = GatewayProcess::start_with_command(without_secret(), &app, &environment).await.stop();
    let variables = ["GATEWAY_SECRET", "GATEWAY_STORE", "GATEWAY_ADMIN_BIND", "HTTPS_PROXY"];
    assert_eq!(warned(&log.lines), variables);
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
    let log = GatewayProcess::start_with_command(without_secret(), &app, &environment).await.stop();
    assert_eq!(warned(&log.lines), [""; 0], "it creates a file of its own");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut gateway =
        GatewayProcess::start_with_command(without_secret(), &app, &environment).await;
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
        GatewayProcess::start_with_command(without_secret(), &app, &environment).await;
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
    let of_it = warned(&log.lines).into_iter().filter(|name| *name == "SUPABASE_JWT_SECRET");
    assert_eq!(of_it.count(), 1);
    assert!(!log.text.contains(TEST_SECRET));
}

#[tokio::test]
async fn serve_warns_once_of_tokens_that_only_a_missing_secret_could_verify() {
    let app = start_app(Algorithm::Hs256).await;
    let gateway = GatewayProcess::start_with_command(without_secret(), &app, &[]).await;
    for _ in 0..2 {
        let tokens = app.sign_up();
        let verify = gateway.request("GET", "/api/auth/verify").bearer(&tokens.access_token);
        assert_eq!(verify.send().await.status, 200);
    }
    let log = gateway.stop();
    let of_it = warned(&log.lines).into_iter().filter(|name| *name == "SUPABASE_JWT_SECRET");
    assert_eq!(of_it.count(), 1);
}

#[tokio::test]
async fn serve_warns_once_of_an_old_gotrue_as_soon_as_it_answers() {
    let app = start_app(Algorithm::Es256).await;
    // The test app's own gateway has asked before, and gets none of these answers.
    let asked = || app.gotrue_calls("health").len();
    eventually("asked for its version", async || asked() == 1).await;
    // One question is two tries.
    app.inject_fault(json!({"operation": "health", "kind": "status", "status": 503, "times": 2}));
    let old = json!({"name": "GoTrue", "version": "v2.149.0"});
    app.inject_fault(json!({"operation": "health", "kind": "status", "status": 200, "body": old}));
    let mut gateway = GatewayProcess::start_with_command(without_secret(), &app, &[]).await;
    let line = gateway.wait_for_log(
        "GoTrue 2.149 is older than 2.150 and treats a second logout of one session as a logout of \
         all sessions of its user: update GoTrue",
    );
    assert_eq!((&line["variable"], &line["level"]), (&json!("GOTRUE_URL"), &json!("WARN")));
    let log = gateway.stop();
    assert_eq!(warned(&log.lines), ["GATEWAY_STORE", "GOTRUE_URL"]);
    assert_eq!(asked(), 4, "an answer is enough");
}

#[tokio::test]
async fn a_process_that_serves_dumps_no_core() {
    let app = start_app(Algorithm::Es256).await;
    let mut with_cores = Command::new("sh");
    let serve =
        concat!("ulimit -c unlimited; exec ", env!("CARGO_BIN_EXE_logout-gateway"), " \"$@\"");
    with_cores.args(["-c", serve, "sh"]);
    let gateway = GatewayProcess::start_with_command(with_cores, &app, &[]).await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", gateway.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let words: Vec<&str> = core.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "soft and hard: {core}");
}
