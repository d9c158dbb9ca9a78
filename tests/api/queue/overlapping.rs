//! Two logouts of one session that run at the same time.

use serde_json::json;

use super::{drain_queue, failures, queue_length, queue_logout, start_with_file_store};
use crate::harness::{Setup, assert_error, assert_success, eventually};

#[tokio::test]
async fn a_global_logout_is_no_success_while_a_local_logout_of_its_session_is_running() {
    let app = Setup::new().flag("upstream-timeout", "2s").start().await;
    let tokens = app.sign_up();
    let other = app.sign_in_again(&tokens);
    // GoTrue ends the session, but does not answer the local logout.
    let hangs = json!({"operation": "logout", "kind": "hang", "effect": true, "times": 1});
    app.inject_fault(hangs);
    let local = app.post("/logout").bearer(&tokens.access_token);
    let local = tokio::spawn(async move { local.send().await });
    eventually("GoTrue ends the session", async || !app.is_alive(&tokens)).await;
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 503, "times": 1}));
    let global = app.post("/logout?scope=global").bearer(&tokens.access_token).send().await;
    assert_error(&global, 401, "NOT_AUTHENTICATED", Some("not_found"));
    assert!(app.is_alive(&other));
    assert_eq!(app.verify(&other).await, 200);
    let local = local.await.unwrap();
    assert_error(&local, 500, "LOGOUT_FAILED", Some("auth_service_timeout"));

    // If no other logout of the session runs, a try whose answer was lost counts as the one that ended the
    // session.
    let again = app.sign_in_again(&tokens);
    let lost_answer = json!({"operation": "logout", "kind": "reset", "effect": true, "times": 1});
    app.inject_fault(lost_answer);
    let global = app.post("/logout?scope=global").bearer(&again.access_token).send().await;
    assert_success(&global, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&other));
}

#[tokio::test]
async fn a_logout_of_others_that_was_queued_during_an_earlier_one_is_not_removed_by_the_earlier_answer()
 {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    let logout_fault =
        || json!({"operation": "logout", "kind": "status", "status": 503, "times": 2});
    let tokens = app.sign_up();
    app.inject_fault(logout_fault());
    queue_logout(&app, &tokens, "/logout?scope=others").await;
    let calls_before = app.gotrue_calls("logout").len();
    app.inject_fault(json!({"operation": "logout", "kind": "delay", "seconds": 1, "times": 1}));
    let earlier = app.post("/logout?scope=others").bearer(&tokens.access_token);
    let earlier = tokio::spawn(async move { earlier.send().await });
    eventually("GoTrue gets the earlier logout", async || {
        app.gotrue_calls("logout").len() > calls_before
    })
    .await;
    app.inject_fault(logout_fault());
    queue_logout(&app, &tokens, "/logout?scope=others").await;
    assert_success(&earlier.await.unwrap(), "/logout", tokens.user_id, "revoked");
    assert_eq!(queue_length(&app).await, 1, "the user logged out again meanwhile");
    let later = app.sign_in_again(&tokens);
    drain_queue(&app).await;
    assert!(!app.is_alive(&later) && app.is_alive(&tokens));
    let failures = failures(&app, &tokens).await;
    assert!(failures.iter().all(|failure| failure["outcome"] == "queued"), "{failures:?}");
}
