//! Two logouts of one session at the same time.

use serde_json::json;

use super::{durable, failures, log_out, waiting, worked_off};
use crate::harness::{Setup, assert_error, assert_success, eventually};

#[tokio::test]
async fn a_global_is_no_success_while_a_local_logout_of_its_session_is_under_way() {
    let app = Setup::new().flag("upstream-timeout", "2s").start().await;
    let tokens = app.sign_up();
    let other = app.sign_in_again(&tokens);
    // GoTrue ends the session, and its answer does not come.
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

    // Once no other is under way, an unheard try counts again.
    let again = app.sign_in_again(&tokens);
    let unheard = json!({"operation": "logout", "kind": "reset", "effect": true, "times": 1});
    app.inject_fault(unheard);
    let global = app.post("/logout?scope=global").bearer(&again.access_token).send().await;
    assert_success(&global, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&other));
}

#[tokio::test]
async fn an_others_that_was_queued_while_an_earlier_one_was_under_way_is_not_removed_by_its_answer()
{
    let (app, _directory) = durable(Setup::new()).await;
    let fails = || json!({"operation": "logout", "kind": "status", "status": 503, "times": 2});
    let tokens = app.sign_up();
    app.inject_fault(fails());
    log_out(&app, &tokens, "/logout?scope=others").await;
    let asked = app.gotrue_calls("logout").len();
    app.inject_fault(json!({"operation": "logout", "kind": "delay", "seconds": 1, "times": 1}));
    let earlier = app.post("/logout?scope=others").bearer(&tokens.access_token);
    let earlier = tokio::spawn(async move { earlier.send().await });
    eventually("GoTrue is asked", async || app.gotrue_calls("logout").len() > asked).await;
    app.inject_fault(fails());
    log_out(&app, &tokens, "/logout?scope=others").await;
    assert_success(&earlier.await.unwrap(), "/logout", tokens.user_id, "revoked");
    assert_eq!(waiting(&app).await, 1, "the user asked again since");
    let later = app.sign_in_again(&tokens);
    worked_off(&app).await;
    assert!(!app.is_alive(&later) && app.is_alive(&tokens));
    let told = failures(&app, &tokens).await;
    assert!(told.iter().all(|line| line["outcome"] == "queued"), "{told:?}");
}
