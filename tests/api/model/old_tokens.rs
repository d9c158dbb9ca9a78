//! A client that found an expired access token in an old log, and queues a `global` logout of its session:
//! the logouts of the session's own user are neither widened nor held back by that.

use gotrue_mock::Tokens;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{
    Browser, Form, Reply, Setup, Stage, claims_of, eventually, eventually_within,
};

/// Longer than an access token lives, in seconds.
const EXPIRED_AFTER: i64 = 3700;
/// The longest pause between two tries of an entry, in seconds.
const LONGEST_PAUSE: i64 = 301;

async fn durable_stage() -> (Stage, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("store").display());
    let setup = Setup::new().flags(&[("store", &store), ("admin-bind", "127.0.0.1:0")]);
    (setup.start().await, directory)
}

fn gotrue_fails(stage: &Stage) {
    for operation in ["logout", "token"] {
        stage.fault(json!({"operation": operation, "kind": "status", "status": 503}));
    }
}

async fn log_out_by_cookie(stage: &Stage, tokens: &Tokens, scope: &str) -> Reply {
    let mut browser = Browser::signed_in(stage, tokens, Form::Base64).await;
    browser.logout(&format!("/api/auth/logout?scope={scope}")).await
}

/// Queues a `global` of the victim's session with an expired access token of it and that refresh token.
async fn queue_old_token(stage: &Stage, victim: &Tokens, refresh_token: &str) {
    let mut claims = claims_of(&victim.access_token);
    claims["exp"] = json!(stage.time.now() - 10);
    let old = Tokens {
        access_token: stage.mock.sign(&claims).unwrap(),
        refresh_token: refresh_token.to_owned(),
        ..victim.clone()
    };
    assert_eq!(log_out_by_cookie(stage, &old, "global").await.status, 202);
}

async fn queue_is_empty(stage: &Stage) -> bool {
    stage.report("/queue").await["waiting"] == 0
}

#[tokio::test]
async fn an_old_token_in_the_queue_widens_no_logout_of_its_session() {
    let (stage, _directory) = durable_stage().await;
    let victim = stage.sign_up();
    let other = stage.sign_in_again(&victim);
    stage.pass(EXPIRED_AFTER);
    gotrue_fails(&stage);
    queue_old_token(&stage, &victim, "made-up").await;
    stage.mock.clear_faults();
    let reply = log_out_by_cookie(&stage, &victim, "local").await;
    assert_eq!(reply.header("x-logout-outcome"), Some("revoked"));
    assert!(!stage.alive(&victim));
    assert!(stage.alive(&other), "a local logout ended another session");
}

#[tokio::test]
async fn a_logout_of_the_same_browser_that_is_queued_for_all_sessions_is_done_first() {
    let (stage, _directory) = durable_stage().await;
    let tokens = stage.sign_up();
    let other = stage.sign_in_again(&tokens);
    stage.pass(EXPIRED_AFTER);
    gotrue_fails(&stage);
    assert_eq!(log_out_by_cookie(&stage, &tokens, "others").await.status, 202);
    stage.mock.clear_faults();
    assert_eq!(log_out_by_cookie(&stage, &tokens, "local").await.status, 200);
    assert!(!stage.alive(&tokens) && !stage.alive(&other));
    assert!(queue_is_empty(&stage).await);
}

#[tokio::test]
async fn an_old_token_with_the_refresh_token_of_a_banned_account_holds_back_no_queued_logout() {
    let (stage, _directory) = durable_stage().await;
    let (victim, banned) = (stage.sign_up(), stage.sign_up());
    let other = stage.sign_in_again(&victim);
    assert!(stage.mock.ban_user(banned.user_id));
    gotrue_fails(&stage);
    // GoTrue answers `user_banned` to it for as long as the entry is tried.
    queue_old_token(&stage, &victim, &banned.refresh_token).await;
    assert_eq!(log_out_by_cookie(&stage, &victim, "local").await.status, 202);
    stage.mock.clear_faults();
    for _ in 0..4 {
        stage.pass(LONGEST_PAUSE);
        let dead = async || !stage.alive(&victim);
        if eventually_within(std::time::Duration::from_secs(2), dead).await {
            assert!(stage.alive(&other));
            return;
        }
    }
    panic!("the victim's logout is late: {}", stage.report("/queue").await);
}

#[tokio::test]
async fn an_old_token_that_is_queued_for_good_reaches_neither_list_nor_session() {
    let (stage, _directory) = durable_stage().await;
    let victim = stage.sign_up();
    gotrue_fails(&stage);
    queue_old_token(&stage, &victim, "made-up").await;
    stage.mock.clear_faults();
    stage.pass(LONGEST_PAUSE);
    eventually("it is given up", async || queue_is_empty(&stage).await).await;
    assert!(stage.alive(&victim));
    assert_eq!(stage.verify(&victim).await, 200);
}
