//! Section 9 of the contract: a logout that GoTrue fails must be queued and done later.

mod admission;
mod credentials;
mod overlapping;
mod retries;
mod scopes;

use std::time::Duration;

use gotrue_mock::Tokens;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{
    Browser, CookieFormat, LOGOUT_PATHS, Setup, TestApp, eventually, eventually_within,
};

const DAY: i64 = 86_400;

/// Starts a gateway with a store file in a temporary directory, which exists until the caller drops it.
pub(crate) async fn start_with_file_store(setup: Setup) -> (TestApp, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("store").display());
    let setup = setup.flag("store", &store).flag("admin-bind", "127.0.0.1:0");
    (setup.start().await, directory)
}

fn logout_fault(status: u16) -> Value {
    json!({"operation": "logout", "kind": "status", "status": status})
}

async fn queue_length(app: &TestApp) -> u64 {
    app.admin_json("/queue").await["waiting"].as_u64().unwrap()
}

/// The entries of the failure log that concern this session, newest first.
async fn failures(app: &TestApp, tokens: &Tokens) -> Vec<Value> {
    let report = app.admin_json("/failures").await;
    let all = report["failures"].as_array().unwrap().clone();
    let id = tokens.session_id.to_string();
    all.into_iter().filter(|failure| failure["session_id"] == *id).collect()
}

/// Makes all entries due again and again until the queue is empty. Each time the test clock advances by 301
/// seconds, so access tokens may expire meanwhile.
async fn drain_queue(app: &TestApp) {
    let retry_all = || async {
        app.advance_time(301);
        let empty =
            eventually_within(Duration::from_secs(5), async || queue_length(app).await == 0);
        empty.await
    };
    for _ in 0..10 {
        if retry_all().await {
            return;
        }
    }
    panic!("the queue is not empty: {}", app.admin_json("/queue").await);
}

/// Asserts that the response of `route` says that the logout is queued.
#[track_caller]
fn assert_queued(reply: &crate::harness::Reply, route: &str, tokens: &Tokens) {
    let body = match route {
        "/api/auth/logout" => r#"{"data":{"success":true}}"#.to_owned(),
        "/api/v1/auth/logout" => String::new(),
        _ => format!(r#"{{"message":"Logout successful. User id: {}"}}"#, tokens.user_id),
    };
    assert_eq!((reply.status, reply.text()), (202, body), "{reply:?}");
    assert_eq!(reply.header("x-logout-outcome"), Some("queued"));
}

/// Sends a logout to `target`, and asserts that the gateway queues it.
async fn queue_logout(app: &TestApp, tokens: &Tokens, target: &str) {
    let reply = app.post(target).bearer(&tokens.access_token).send().await;
    assert_queued(&reply, target.split('?').next().unwrap(), tokens);
}

#[rstest]
#[case::unavailable(json!({"kind": "status", "status": 503}), "auth_service_unavailable", None)]
#[case::failing(json!({"kind": "status", "status": 500}), "auth_service_error", Some(500))]
#[case::cloudflare(json!({"kind": "status", "status": 520}), "auth_service_error", Some(520))]
#[case::rate_limiting(json!({"kind": "status", "status": 429}), "RATE_LIMITED", Some(429))]
#[case::resetting(json!({"kind": "reset"}), "auth_service_unavailable", None)]
#[case::too_slow(json!({"kind": "hang"}), "auth_service_timeout", None)]
#[tokio::test]
async fn a_logout_that_gotrue_fails_is_queued_and_done_later(
    #[case] mut fault: Value,
    #[case] reason: &str,
    #[case] status: Option<u16>,
) {
    let (app, _directory) =
        start_with_file_store(Setup::new().flag("upstream-timeout", "300ms")).await;
    fault["operation"] = json!("logout");
    app.inject_fault(fault);
    let mut all = Vec::new();
    for (route, scope) in LOGOUT_PATHS.into_iter().zip(["local", "global", "others", "local"]) {
        let tokens = app.sign_up();
        let other = app.sign_in_again(&tokens);
        let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
        let reply = browser.logout(&format!("{route}?scope={scope}")).await;
        assert_queued(&reply, route, &tokens);
        assert_eq!(browser.jar.is_empty(), scope != "others", "{route} {scope}");
        assert!(app.is_alive(&tokens) && app.is_alive(&other));
        let own = if scope == "others" { 200 } else { 401 };
        assert_eq!(app.verify(&tokens).await, own, "the session is on the revocation list at once");
        let is_logged = async || !failures(&app, &tokens).await.is_empty();
        eventually("the failure log has it", is_logged).await;
        let failure = failures(&app, &tokens).await.remove(0);
        assert_eq!((&failure["outcome"], &failure["code"]), (&json!("queued"), &Value::Null));
        assert_eq!(failure["reason"], reason);
        if status.is_some() {
            assert_eq!(failure["upstream_status"], json!(status));
        }
        all.push((tokens, other, scope));
    }
    assert_eq!(queue_length(&app).await, 4);

    app.mock.clear_faults();
    drain_queue(&app).await;
    for (tokens, other, scope) in all {
        assert_eq!(app.is_alive(&tokens), scope == "others", "{scope}");
        assert_eq!(app.is_alive(&other), scope == "local", "{scope}");
        assert_eq!(failures(&app, &tokens).await.len(), 1, "no further failure");
    }
}

#[tokio::test]
async fn the_queue_and_the_revocation_list_survive_a_restart() {
    let (mut app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(503));
    let tokens = app.sign_up();
    queue_logout(&app, &tokens, "/logout").await;
    app.restart_gateway(&[]);
    assert_eq!(queue_length(&app).await, 1);
    let ready = async || app.get("/readyz").send().await.status == 200;
    eventually("ready", ready).await;
    assert_eq!(app.verify(&tokens).await, 401);
    app.mock.clear_faults();
    drain_queue(&app).await;
    assert!(!app.is_alive(&tokens));
}

#[tokio::test]
async fn a_queued_expired_session_is_refreshed_at_its_retry() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(json!({"operation": "token", "kind": "status", "status": 503}));
    let tokens = app.sign_up();
    let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    app.advance_time(3600);
    assert_queued(&browser.logout("/logout").await, "/logout", &tokens);
    assert!(app.is_alive(&tokens) && browser.jar.is_empty());
    app.mock.clear_faults();
    drain_queue(&app).await;
    assert!(!app.is_alive(&tokens));
}

#[tokio::test]
async fn a_token_that_expires_in_the_queue_is_refreshed_or_is_a_failure() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(503));
    let (refreshable, unrefreshable) = (app.sign_up(), app.sign_up());
    let mut browser = Browser::signed_in(&app, &refreshable, CookieFormat::Base64).await;
    assert_queued(&browser.logout("/logout").await, "/logout", &refreshable);
    queue_logout(&app, &unrefreshable, "/logout").await;
    app.advance_time(3600);
    app.mock.clear_faults();
    drain_queue(&app).await;
    assert!(!app.is_alive(&refreshable));
    assert!(app.is_alive(&unrefreshable), "no valid credential was left");
    let failure = failures(&app, &unrefreshable).await.remove(0);
    assert_eq!((&failure["outcome"], &failure["reason"]), (&json!("gave-up"), &json!("expired")));
    assert_eq!(failures(&app, &refreshable).await.len(), 1);
}

#[tokio::test]
async fn a_refused_refresh_token_is_no_proof_that_a_queued_session_has_ended() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(503));
    let tokens = app.sign_up();
    let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    assert_queued(&browser.logout("/logout").await, "/logout", &tokens);
    app.advance_time(3600);
    app.mock.clear_faults();
    app.inject_fault(json!({"operation": "token", "kind": "status", "status": 400,
        "code": "refresh_token_already_used"}));
    drain_queue(&app).await;
    assert!(app.is_alive(&tokens));
    let failure = failures(&app, &tokens).await.remove(0);
    assert_eq!(failure["outcome"], "gave-up");
    assert_eq!(failure["reason"], "expired");
}

#[tokio::test]
async fn a_queued_logout_is_given_up_as_a_failure_after_seven_days() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(500));
    app.inject_fault(json!({"operation": "token", "kind": "status", "status": 500}));
    let tokens = app.sign_up();
    let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    assert_queued(&browser.logout("/logout").await, "/logout", &tokens);
    app.advance_time(7 * DAY - 60);
    let is_tried = async || {
        let entries = app.admin_json("/queue").await["entries"].clone();
        entries[0]["attempts"].as_u64().is_some_and(|attempts| attempts >= 1)
    };
    eventually("the entry is tried", is_tried).await;
    assert_eq!(queue_length(&app).await, 1);
    app.advance_time(DAY);
    drain_queue(&app).await;
    let failure = failures(&app, &tokens).await.remove(0);
    assert_eq!(
        (&failure["outcome"], &failure["reason"]),
        (&json!("gave-up"), &json!("auth_service_error"))
    );
    assert!(app.is_alive(&tokens));
}

#[tokio::test]
async fn the_previous_secret_decrypts_queued_logouts_and_another_loses_none() {
    let (mut app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(503));
    let tokens = app.sign_up();
    queue_logout(&app, &tokens, "/logout").await;
    let (other, third) =
        ("another-secret-0123456789-0123456789", "a-third-secret-0123456789-0123456789");
    app.restart_gateway(&[("secret", other)]);
    app.mock.clear_faults();
    app.advance_time(60);
    let is_tried = async || app.admin_json("/queue").await["entries"][0]["attempts"] == json!(1);
    eventually("the entry is tried", is_tried).await;
    assert_eq!(app.admin_json("/queue").await["entries"][0]["reason"], "unreadable");
    assert!(app.is_alive(&tokens));
    app.restart_gateway(&[("secret", third), ("secret-previous", crate::harness::SECRET)]);
    drain_queue(&app).await;
    assert!(!app.is_alive(&tokens));
}

#[tokio::test]
async fn no_token_is_readable_in_the_reports_of_the_queue_and_the_failures() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(503));
    let tokens = app.sign_up();
    let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    assert_queued(&browser.logout("/logout").await, "/logout", &tokens);
    eventually("the failure log has it", async || !failures(&app, &tokens).await.is_empty()).await;
    let reports =
        format!("{} {}", app.admin_json("/queue").await, app.admin_json("/failures").await);
    assert!(reports.contains(&tokens.session_id.to_string()), "the reports have the entry");
    let (signed, signature) = tokens.access_token.rsplit_once('.').unwrap();
    for secret in [signature, signed.split('.').nth(1).unwrap(), &*tokens.refresh_token] {
        assert!(!reports.contains(secret));
    }
}
