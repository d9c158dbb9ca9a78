//! An attacker finds an expired access token in an old log and queues a `global` logout with it. The queued
//! logout must neither widen nor delay the logouts of the session's user.

use gotrue_mock::Tokens;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{
    Browser, CookieFormat, Reply, Setup, TestApp, claims_of, eventually, eventually_within,
};

/// A time in seconds that is longer than the lifetime of an access token.
const EXPIRED_AFTER: i64 = 3700;
/// The longest pause between two tries of a queue entry, in seconds.
const LONGEST_PAUSE: i64 = 301;

async fn start_durable_app() -> (TestApp, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("store").display());
    let setup = Setup::new().flags(&[("store", &store), ("admin-bind", "127.0.0.1:0")]);
    (setup.start().await, directory)
}

fn gotrue_fails(app: &TestApp) {
    for operation in ["logout", "token"] {
        app.inject_fault(json!({"operation": operation, "kind": "status", "status": 503}));
    }
}

async fn log_out_by_cookie(app: &TestApp, tokens: &Tokens, scope: &str) -> Reply {
    let mut browser = Browser::signed_in(app, tokens, CookieFormat::Base64).await;
    browser.logout(&format!("/api/auth/logout?scope={scope}")).await
}

/// Queues a `global` logout with an expired access token of the victim's session and with `refresh_token`.
async fn queue_old_token(app: &TestApp, victim: &Tokens, refresh_token: &str) {
    let mut claims = claims_of(&victim.access_token);
    claims["exp"] = json!(app.clock.now() - 10);
    let old = Tokens {
        access_token: app.mock.sign(&claims).unwrap(),
        refresh_token: refresh_token.to_owned(),
        ..victim.clone()
    };
    assert_eq!(log_out_by_cookie(app, &old, "global").await.status, 202);
}

async fn queue_is_empty(app: &TestApp) -> bool {
    app.admin_json("/queue").await["waiting"] == 0
}

#[tokio::test]
async fn an_old_token_in_the_queue_does_not_widen_a_logout_of_its_session() {
    let (app, _directory) = start_durable_app().await;
    let victim = app.sign_up();
    let other = app.sign_in_again(&victim);
    app.advance_time(EXPIRED_AFTER);
    gotrue_fails(&app);
    queue_old_token(&app, &victim, "made-up").await;
    app.mock.clear_faults();
    let reply = log_out_by_cookie(&app, &victim, "local").await;
    assert_eq!(reply.header("x-logout-outcome"), Some("revoked"));
    assert!(!app.is_alive(&victim));
    assert!(app.is_alive(&other), "a local logout must end no other session");
}

#[tokio::test]
async fn a_queued_logout_of_all_sessions_runs_before_a_later_logout_of_the_same_browser() {
    let (app, _directory) = start_durable_app().await;
    let tokens = app.sign_up();
    let other = app.sign_in_again(&tokens);
    app.advance_time(EXPIRED_AFTER);
    gotrue_fails(&app);
    assert_eq!(log_out_by_cookie(&app, &tokens, "others").await.status, 202);
    app.mock.clear_faults();
    assert_eq!(log_out_by_cookie(&app, &tokens, "local").await.status, 200);
    assert!(!app.is_alive(&tokens) && !app.is_alive(&other));
    assert!(queue_is_empty(&app).await);
}

#[tokio::test]
async fn an_old_token_with_a_refresh_token_of_a_banned_account_delays_no_queued_logout() {
    let (app, _directory) = start_durable_app().await;
    let (victim, banned) = (app.sign_up(), app.sign_up());
    let other = app.sign_in_again(&victim);
    assert!(app.mock.ban_user(banned.user_id));
    gotrue_fails(&app);
    // The refresh token belongs to a banned user, so GoTrue answers every try of this entry with
    // `user_banned`.
    queue_old_token(&app, &victim, &banned.refresh_token).await;
    assert_eq!(log_out_by_cookie(&app, &victim, "local").await.status, 202);
    app.mock.clear_faults();
    for _ in 0..4 {
        app.advance_time(LONGEST_PAUSE);
        let dead = async || !app.is_alive(&victim);
        if eventually_within(std::time::Duration::from_secs(2), dead).await {
            assert!(app.is_alive(&other));
            return;
        }
    }
    panic!("the victim's logout is late: {}", app.admin_json("/queue").await);
}

#[tokio::test]
async fn an_old_token_that_stays_queued_changes_neither_the_revocation_list_nor_the_session() {
    let (app, _directory) = start_durable_app().await;
    let victim = app.sign_up();
    gotrue_fails(&app);
    queue_old_token(&app, &victim, "made-up").await;
    app.mock.clear_faults();
    app.advance_time(LONGEST_PAUSE);
    eventually("the entry is given up", async || queue_is_empty(&app).await).await;
    assert!(app.is_alive(&victim));
    assert_eq!(app.verify(&victim).await, 200);
}
