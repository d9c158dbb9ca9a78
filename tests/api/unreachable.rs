//! If the gateway cannot reach GoTrue, `check` and the log must name the cause. [`super::check`] tests a refused
//! connection, [`super::self_hosting`] a certificate, [`super::networks`] an egress proxy.

use gotrue_mock::{Algorithm, TEST_SECRET};
use logout_gateway::Clock;
use serde_json::{Value, json};

use crate::{
    check::check,
    harness::{GatewayProcess, Setup, TestApp, assert_error},
};

/// Starts a mock that signs with the shared secret, so that a gateway that never reaches it can verify tokens.
async fn start_app() -> TestApp {
    let setup = Setup::new().start_time(Clock::system().unix_seconds());
    setup.algorithm(Algorithm::Hs256).start().await
}

/// The address of a GoTrue whose name is not found. A label over 63 octets (RFC 1035, section 2.3.4) cannot be
/// asked for, so that the lookup fails at once and sends nothing to a name server.
fn gotrue_with_unknown_name() -> String {
    format!("http://{}.invalid/auth/v1", "a".repeat(64))
}

/// Sends a logout that fails, and returns the log's warning about it.
async fn failed_logout(app: &TestApp, environment: &[(&str, &str)], reason: &str) -> Value {
    let gateway = GatewayProcess::start(app, environment).await;
    let tokens = app.sign_up();
    let reply = gateway.request("POST", "/logout").bearer(&tokens.access_token).send().await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some(reason));
    assert!(app.is_alive(&tokens));
    let log = gateway.stop();
    let is_warning = |line: &&Value| line["operation"] == "logout" && line["level"] == "WARN";
    let found = log.lines.iter().find(is_warning);
    found.unwrap_or_else(|| panic!("no warning: {}", log.text)).clone()
}

#[tokio::test]
async fn if_the_name_of_gotrue_is_not_found_check_and_the_log_say_so() {
    let app = start_app().await;
    let gotrue = gotrue_with_unknown_name();
    let environment = [("SUPABASE_URL", app.mock.url()), ("GOTRUE_URL", &gotrue)];
    let checked = check(&[&environment[..], &[("SUPABASE_JWT_SECRET", TEST_SECRET)]].concat());
    assert_eq!(checked.status, Some(1), "{:?}", checked.lines);
    let line = checked.line("GoTrue");
    assert!(line.starts_with("FAILED: GoTrue is unreachable: "), "{line}");
    assert!(line.contains("dns error"), "{line}");
    assert!(line.ends_with(": check GOTRUE_URL and the network"), "{line}");
    // Without GOTRUE_URL, the address comes from SUPABASE_URL.
    let by_default = check(&[("SUPABASE_URL", gotrue.trim_end_matches("/auth/v1"))]);
    let line = by_default.line("GoTrue");
    assert!(line.ends_with(": check SUPABASE_URL and the network"), "{line}");
    for checked in [&checked, &by_default] {
        assert_eq!(checked.stderr, "", "the printed lines have the cause");
    }
    let key_set = checked.line("key set");
    assert!(
        key_set.contains("GoTrue is unreachable: ") && key_set.contains("dns error"),
        "{key_set}"
    );

    let line = failed_logout(&app, &environment, "auth_service_unavailable").await;
    assert!(line["cause"].as_str().unwrap().contains("dns error"), "{line}");
    let message = "the gateway cannot connect to GoTrue: check GOTRUE_URL and the network";
    assert_eq!(line["message"], message);
}

#[tokio::test]
async fn if_gotrue_does_not_answer_in_time_check_and_the_log_say_so() {
    let app = start_app().await;
    for operation in ["health", "jwks", "openid_configuration", "logout"] {
        app.inject_fault(json!({"operation": operation, "kind": "hang"}));
    }
    let environment = [("SUPABASE_URL", app.mock.url()), ("GATEWAY_UPSTREAM_TIMEOUT", "300ms")];
    let checked = check(&[&environment[..], &[("SUPABASE_JWT_SECRET", TEST_SECRET)]].concat());
    assert_eq!(checked.status, Some(1), "{:?}", checked.lines);
    let advice = "check its load and its log, and GATEWAY_UPSTREAM_TIMEOUT";
    assert_eq!(checked.line("GoTrue"), format!("FAILED: GoTrue did not answer in time: {advice}"));
    assert_eq!(checked.line("key set"), "FAILED: GoTrue did not answer in time");
    assert_eq!(checked.line("issuer"), "unknown: GoTrue did not answer in time");

    let line = failed_logout(&app, &environment, "auth_service_timeout").await;
    assert_eq!(
        line["message"],
        "GoTrue did not answer within GATEWAY_UPSTREAM_TIMEOUT: check its load and its log"
    );
}
