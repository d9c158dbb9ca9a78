//! Two logouts of one session at the same time.

use serde_json::json;

use super::{durable, failures, log_out, waiting, worked_off};
use crate::harness::{Setup, assert_error, assert_success, eventually};

#[tokio::test]
async fn a_global_is_no_success_while_a_local_logout_of_its_session_is_under_way() {
    let stage = Setup::new().flag("upstream-timeout", "2s").start().await;
    let tokens = stage.sign_up();
    let other = stage.sign_in_again(&tokens);
    // GoTrue ends the session, and its answer does not come.
    let hangs = json!({"operation": "logout", "kind": "hang", "effect": true, "times": 1});
    stage.fault(hangs);
    let local = stage.post("/logout").bearer(&tokens.access_token);
    let local = tokio::spawn(async move { local.send().await });
    eventually("GoTrue ends the session", async || !stage.alive(&tokens)).await;
    stage.fault(json!({"operation": "logout", "kind": "status", "status": 503, "times": 1}));
    let global = stage.post("/logout?scope=global").bearer(&tokens.access_token).send().await;
    assert_error(&global, 401, "NOT_AUTHENTICATED", Some("not_found"));
    assert!(stage.alive(&other));
    assert_eq!(stage.verify(&other).await, 200);
    let local = local.await.unwrap();
    assert_error(&local, 500, "LOGOUT_FAILED", Some("auth_service_timeout"));

    // Once no other is under way, an unheard try counts again.
    let again = stage.sign_in_again(&tokens);
    let unheard = json!({"operation": "logout", "kind": "reset", "effect": true, "times": 1});
    stage.fault(unheard);
    let global = stage.post("/logout?scope=global").bearer(&again.access_token).send().await;
    assert_success(&global, "/logout", tokens.user_id, "revoked");
    assert!(!stage.alive(&other));
}

#[tokio::test]
async fn an_others_that_was_queued_while_an_earlier_one_was_under_way_is_not_removed_by_its_answer()
{
    let (stage, _directory) = durable(Setup::new()).await;
    let fails = || json!({"operation": "logout", "kind": "status", "status": 503, "times": 2});
    let tokens = stage.sign_up();
    stage.fault(fails());
    log_out(&stage, &tokens, "/logout?scope=others").await;
    let asked = stage.calls("logout").len();
    stage.fault(json!({"operation": "logout", "kind": "delay", "seconds": 1, "times": 1}));
    let earlier = stage.post("/logout?scope=others").bearer(&tokens.access_token);
    let earlier = tokio::spawn(async move { earlier.send().await });
    eventually("GoTrue is asked", async || stage.calls("logout").len() > asked).await;
    stage.fault(fails());
    log_out(&stage, &tokens, "/logout?scope=others").await;
    assert_success(&earlier.await.unwrap(), "/logout", tokens.user_id, "revoked");
    assert_eq!(waiting(&stage).await, 1, "the user asked again since");
    let later = stage.sign_in_again(&tokens);
    worked_off(&stage).await;
    assert!(!stage.alive(&later) && stage.alive(&tokens));
    let told = failures(&stage, &tokens).await;
    assert!(told.iter().all(|line| line["outcome"] == "queued"), "{told:?}");
}
