//! Which credentials of a queue entry the worker tries, and when it gives the entry up.

use gotrue_mock::Tokens;
use rstest::rstest;
use serde_json::json;

use super::{
    DAY, assert_queued, drain_queue, failures, logout_fault, queue_length, queue_logout,
    start_with_file_store,
};
use crate::harness::{
    Browser, CookieFormat, Request, SECRET, Setup, TestApp, assert_error, eventually,
};

const OTHER_SECRET: &str = "another-secret-0123456789-0123456789";

/// Refreshes the session at GoTrue, as an application does; returns the new tokens.
async fn refresh(app: &TestApp, tokens: &Tokens) -> Tokens {
    let address = app.mock.url().trim_start_matches("http://").parse().unwrap();
    let request = Request::new(address, "POST", "/auth/v1/token?grant_type=refresh_token");
    let body = json!({"refresh_token": tokens.refresh_token}).to_string();
    let reply = request.body(body).send().await.json();
    let field = |name: &str| reply[name].as_str().unwrap().to_owned();
    let (access_token, refresh_token) = (field("access_token"), field("refresh_token"));
    Tokens { access_token, refresh_token, ..tokens.clone() }
}

async fn queue_logout_by_cookie(app: &TestApp, tokens: &Tokens) {
    let mut browser = Browser::signed_in(app, tokens, CookieFormat::Base64).await;
    assert_queued(&browser.logout("/logout").await, "/logout", tokens);
}

fn with_refresh_token(tokens: &Tokens, refresh_token: &str) -> Tokens {
    Tokens { refresh_token: refresh_token.to_owned(), ..tokens.clone() }
}

/// Advances the test clock until the worker has tried the first entry `times` times.
async fn wait_for_attempts(app: &TestApp, times: u64) {
    for attempt in 1..=times {
        app.advance_time(301);
        let is_tried = async || {
            let entry = app.admin_json("/queue").await["entries"][0].clone();
            entry["attempts"].as_u64().is_some_and(|attempts| attempts >= attempt)
        };
        eventually("the entry is tried", is_tried).await;
    }
}

#[rstest]
#[case::without_a_refresh_token(None)]
#[case::with_a_refused_refresh_token(Some("made-up"))]
#[tokio::test]
async fn if_the_gateways_clock_is_ahead_a_token_that_gotrue_accepts_is_not_given_up(
    #[case] refresh_token: Option<&str>,
) {
    let (app, _directory) = start_with_file_store(Setup::new().gotrue_clock_ahead(-60)).await;
    app.inject_fault(logout_fault(503));
    let tokens = app.sign_up();
    match refresh_token {
        Some(made_up) => queue_logout_by_cookie(&app, &with_refresh_token(&tokens, made_up)).await,
        None => queue_logout(&app, &tokens, "/logout").await,
    }
    app.mock.clear_faults();
    // The token has expired by the gateway's clock, but not by GoTrue's.
    app.advance_time(3570);
    eventually("the session is dead", async || !app.is_alive(&tokens)).await;
    eventually("the entry is done", async || queue_length(&app).await == 0).await;
    assert_eq!(failures(&app, &tokens).await.len(), 1, "no further failure");
}

#[rstest]
#[case::by_bearer(false)]
#[case::by_cookie(true)]
#[tokio::test]
async fn an_unexpired_token_is_tried_again_even_if_gotrue_refused_it(#[case] by_cookie: bool) {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(503));
    let tokens = app.sign_up();
    if by_cookie {
        queue_logout_by_cookie(&app, &tokens).await;
    } else {
        queue_logout(&app, &tokens, "/logout").await;
    }
    app.mock.clear_faults();
    let refused = |operation, status, code| {
        app.inject_fault(json!({"operation": operation, "kind": "status", "status": status,
            "code": code}));
    };
    refused("logout", 403, "bad_jwt");
    refused("token", 400, "refresh_token_not_found");
    wait_for_attempts(&app, 2).await;
    let entry = app.admin_json("/queue").await["entries"][0].clone();
    assert_eq!(entry["reason"], "invalid");
    assert!(app.is_alive(&tokens));
    app.mock.clear_faults();
    app.advance_time(301);
    eventually("the session is dead", async || !app.is_alive(&tokens)).await;
}

#[tokio::test]
async fn an_expired_token_is_given_up_once_gotrue_refuses_it() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(500));
    let tokens = app.sign_up();
    queue_logout(&app, &tokens, "/logout").await;
    app.advance_time(3600);
    wait_for_attempts(&app, 2).await;
    assert_eq!(queue_length(&app).await, 1, "GoTrue has not refused the token yet");
    let before = app.gotrue_calls("logout").len();
    app.mock.clear_faults();
    drain_queue(&app).await;
    assert_eq!(app.gotrue_calls("logout").len(), before + 1);
    let failure = failures(&app, &tokens).await.remove(0);
    assert_eq!((&failure["outcome"], &failure["reason"]), (&json!("gave-up"), &json!("expired")));
}

#[tokio::test]
async fn stolen_tokens_that_expire_soon_displace_no_credentials_of_the_owner() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    let stolen = app.sign_up();
    app.advance_time(3590);
    let owner = refresh(&app, &stolen).await;
    app.inject_fault(logout_fault(503));
    queue_logout_by_cookie(&app, &owner).await;
    for n in 0..4 {
        queue_logout_by_cookie(&app, &with_refresh_token(&stolen, &format!("made-up-{n}"))).await;
    }
    app.advance_time(7200);
    app.mock.clear_faults();
    drain_queue(&app).await;
    assert!(!app.is_alive(&owner), "the owner's refresh token was kept");
}

#[tokio::test]
async fn a_rate_limit_of_one_clients_refreshes_delays_no_other_entry() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(503));
    let (limited, other) = (app.sign_up(), app.sign_up());
    queue_logout_by_cookie(&app, &limited).await;
    app.advance_time(3600);
    app.mock.clear_faults();
    app.inject_fault(json!({"operation": "token", "kind": "status", "status": 429,
        "headers": {"Retry-After": "1800"}}));
    wait_for_attempts(&app, 1).await;
    let mut once = logout_fault(500);
    once["times"] = json!(1);
    app.inject_fault(once);
    queue_logout(&app, &app.sign_in_again(&other), "/logout").await;
    app.advance_time(2);
    eventually("the other entry is done", async || queue_length(&app).await == 1).await;
    app.mock.clear_faults();
    app.advance_time(1700);
    assert!(app.is_alive(&limited), "the limited entry is not due yet");
    app.advance_time(200);
    eventually("the limited entry is done", async || !app.is_alive(&limited)).await;
}

#[tokio::test]
async fn a_rate_limit_of_one_clients_refreshes_delays_no_credentials_of_another_client() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(503));
    let owner = app.sign_up();
    queue_logout_by_cookie(&app, &owner).await;
    queue_logout_by_cookie(&app, &with_refresh_token(&owner, "made-up")).await;
    app.mock.clear_faults();
    app.inject_fault(json!({"operation": "token", "kind": "status", "status": 429, "times": 1}));
    app.advance_time(3600);
    eventually("the session is dead", async || !app.is_alive(&owner)).await;
    assert_eq!(app.gotrue_calls("token").len(), 2);
}

#[tokio::test]
async fn an_unreadable_entry_that_is_given_up_keeps_its_session_refused() {
    let setup = Setup::new().flag("max-token-lifetime", "1h");
    let (mut app, _directory) = start_with_file_store(setup).await;
    app.inject_fault(logout_fault(500));
    let tokens = app.sign_up();
    queue_logout(&app, &tokens, "/logout").await;
    app.restart_gateway(&[("secret", OTHER_SECRET)]);
    app.advance_time(7 * DAY);
    drain_queue(&app).await;
    let failure = failures(&app, &tokens).await.remove(0);
    assert_eq!(failure["reason"], "unreadable");
    // The logout's own revocation expires here. The gateway must record another when it gives up the entry.
    app.advance_time(7200);
    let later = refresh(&app, &tokens).await;
    let reply = app.get("/api/auth/verify").bearer(&later.access_token).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("revoked"));
}

#[tokio::test]
async fn a_local_logout_waits_for_no_global_one_that_cannot_be_decrypted() {
    let (mut app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(503));
    let tokens = app.sign_up();
    queue_logout(&app, &tokens, "/logout?scope=global").await;
    app.restart_gateway(&[("secret", OTHER_SECRET)]);
    queue_logout(&app, &tokens, "/logout").await;
    app.mock.clear_faults();
    app.advance_time(301);
    eventually("the session is dead", async || !app.is_alive(&tokens)).await;
    eventually("the queue is empty", async || queue_length(&app).await == 0).await;
}

#[tokio::test]
async fn the_same_tokens_are_stored_once_before_and_after_the_secret_changes() {
    let (mut app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(503));
    let tokens = app.sign_up();
    queue_logout(&app, &tokens, "/logout").await;
    app.restart_gateway(&[("secret", OTHER_SECRET), ("secret-previous", SECRET)]);
    queue_logout(&app, &tokens, "/logout").await;
    assert_eq!(app.admin_json("/queue").await["entries"][0]["credentials"], json!(1));
    // The second logout has sealed the credentials with the new secret, so the old one is not needed.
    app.restart_gateway(&[("secret-previous", "a-third-secret-0123456789-0123456789")]);
    app.mock.clear_faults();
    app.advance_time(301);
    eventually("the session is dead", async || !app.is_alive(&tokens)).await;
}

#[tokio::test]
async fn the_seven_days_start_again_at_another_logout_request() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(500));
    let tokens = app.sign_up();
    queue_logout(&app, &tokens, "/logout").await;
    app.advance_time(6 * DAY);
    let again = refresh(&app, &tokens).await;
    queue_logout(&app, &again, "/logout").await;
    app.advance_time(2 * DAY);
    wait_for_attempts(&app, 2).await;
    assert_eq!(queue_length(&app).await, 1, "the second logout is two days old");
    app.advance_time(5 * DAY);
    drain_queue(&app).await;
    let failure = failures(&app, &tokens).await.remove(0);
    assert_eq!(failure["outcome"], "gave-up");
}

#[tokio::test]
async fn credentials_that_arrive_during_the_last_try_of_older_ones_are_tried_at_once() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    let once = |mut fault: serde_json::Value| {
        fault["times"] = json!(1);
        app.inject_fault(fault);
    };
    let tokens = app.sign_up();
    app.advance_time(600);
    let later = refresh(&app, &tokens).await;
    once(logout_fault(500));
    queue_logout(&app, &tokens, "/logout").await;
    let before = app.gotrue_calls("logout").len();
    once(json!({"operation": "logout", "kind": "delay", "seconds": 1.5}));
    app.advance_time(3000);
    eventually("the worker asks GoTrue", async || app.gotrue_calls("logout").len() > before).await;
    once(logout_fault(500));
    queue_logout(&app, &later, "/logout").await;
    // The worker must try the new credentials at once: the test clock does not advance.
    eventually("the session is dead", async || !app.is_alive(&tokens)).await;
    eventually("the entry is done", async || queue_length(&app).await == 0).await;
}

#[tokio::test]
async fn a_refresh_token_that_is_too_long_for_gotrue_is_not_stored() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(503));
    app.inject_fault(json!({"operation": "token", "kind": "status", "status": 503}));
    let tokens = app.sign_up();
    let [longest, longer] = [4096, 4097].map(|n| with_refresh_token(&tokens, &"x".repeat(n)));
    queue_logout_by_cookie(&app, &longest).await;
    queue_logout_by_cookie(&app, &longer).await;
    let mut expired = Browser::signed_in(&app, &longer, CookieFormat::Base64).await;
    app.advance_time(3600);
    // The access token has expired, and the refresh token is too long to be sent or queued.
    let reply = expired.logout("/logout").await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_unavailable"));
    app.mock.clear_faults();
    let before = app.gotrue_calls("token").len();
    drain_queue(&app).await;
    assert!(app.is_alive(&tokens));
    assert_eq!(app.gotrue_calls("token").len(), before + 1, "only the longest is tried");
}

#[tokio::test]
async fn no_old_token_displaces_credentials_that_gotrue_refreshed() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    let owner = app.sign_up();
    app.advance_time(3700);
    app.inject_fault(logout_fault(503));
    // GoTrue refreshes the expired session, but fails at its logout, so the refreshed credentials are queued.
    queue_logout_by_cookie(&app, &owner).await;
    app.inject_fault(json!({"operation": "token", "kind": "status", "status": 503}));
    for n in 0..4 {
        queue_logout_by_cookie(&app, &with_refresh_token(&owner, &format!("made-up-{n}"))).await;
    }
    app.mock.clear_faults();
    drain_queue(&app).await;
    assert!(!app.is_alive(&owner));
    let failures = failures(&app, &owner).await;
    assert!(failures.iter().all(|failure| failure["outcome"] == "queued"), "{failures:?}");
}
