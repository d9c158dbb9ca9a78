//! The effect of queued logouts with the scopes `global` and `others` on the user's other sessions.

use std::time::Duration;

use gotrue_mock::Tokens;
use serde_json::json;

use super::{
    drain_queue, failures, logout_fault, queue_length, queue_logout, start_with_file_store,
};
use crate::harness::{
    FaultProxy, FaultStep, Operation, Request, Setup, TestApp, assert_error, assert_success,
    eventually,
};

/// Refreshes the session as an application does when its access token has expired; returns the new access
/// token.
async fn refresh_access_token(app: &TestApp, tokens: &Tokens) -> String {
    let address = app.mock.url().trim_start_matches("http://").parse().unwrap();
    let request = Request::new(address, "POST", "/auth/v1/token?grant_type=refresh_token");
    let body = json!({"refresh_token": tokens.refresh_token}).to_string();
    let reply = request.body(body).send().await;
    reply.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_global_logout_whose_successful_answer_was_lost_is_no_failure() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(
        json!({"operation": "logout", "kind": "status", "status": 503, "times": 2, "effect": true}),
    );
    let tokens = app.sign_up();
    let other = app.sign_in_again(&tokens);
    // The gateway's second try finds the session ended, but GoTrue answers that try with a 503 as well.
    queue_logout(&app, &tokens, "/logout?scope=global").await;
    assert!(!app.is_alive(&tokens) && !app.is_alive(&other));
    drain_queue(&app).await;
    let failures: Vec<_> = failures(&app, &tokens).await;
    assert_eq!((failures.len(), &failures[0]["outcome"]), (1, &json!("queued")));
}

#[tokio::test]
async fn a_queued_global_logout_of_a_session_that_ended_otherwise_is_a_failure() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500, "times": 1}));
    let tokens = app.sign_up();
    let other = app.sign_in_again(&tokens);
    queue_logout(&app, &tokens, "/logout?scope=global").await;
    assert!(app.mock.delete_session(tokens.session_id));
    drain_queue(&app).await;
    assert!(app.is_alive(&other));
    let failure = failures(&app, &tokens).await.remove(0);
    assert_eq!((&failure["outcome"], &failure["reason"]), (&json!("gave-up"), &json!("not_found")));
}

#[tokio::test]
async fn a_queued_global_logout_ends_sessions_that_were_refreshed_meanwhile() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(503));
    let tokens = app.sign_up();
    let other = app.sign_in_again(&tokens);
    queue_logout(&app, &tokens, "/logout?scope=global").await;
    app.advance_time(10);
    let token = refresh_access_token(&app, &other).await;
    let verify = async || app.get("/api/auth/verify").bearer(&token).send().await;
    assert_eq!(verify().await.status, 200, "GoTrue has not done the logout yet");
    app.mock.clear_faults();
    drain_queue(&app).await;
    assert!(!app.is_alive(&other));
    assert_error(&verify().await, 401, "NOT_AUTHENTICATED", Some("revoked"));
    // The cut-off must refuse tokens of its own second as well, so sign in a second later.
    app.advance_time(1);
    let later = app.sign_in_again(&tokens);
    assert_eq!(app.verify(&later).await, 200);
}

#[tokio::test]
async fn a_queued_global_logout_refuses_no_later_sign_in() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(500));
    let tokens = app.sign_up();
    queue_logout(&app, &tokens, "/logout?scope=global").await;
    assert!(app.mock.delete_session(tokens.session_id));
    app.advance_time(10);
    let later = app.sign_in_again(&tokens);
    app.mock.clear_faults();
    drain_queue(&app).await;
    eventually("the failure log has it", async || failures(&app, &tokens).await.len() == 2).await;
    assert_eq!(failures(&app, &tokens).await[0]["reason"], "not_found");
    assert!(app.is_alive(&later));
    assert_eq!(app.verify(&later).await, 200);
    assert_eq!(app.verify(&tokens).await, 401);
}

#[tokio::test]
async fn a_local_logout_does_the_queued_logouts_of_its_session_first() {
    for (scope, sibling_lives) in [("global", false), ("others", false)] {
        let (app, _directory) = start_with_file_store(Setup::new()).await;
        let tokens = app.sign_up();
        let sibling = app.sign_in_again(&tokens);
        app.inject_fault(logout_fault(503));
        queue_logout(&app, &tokens, &format!("/logout?scope={scope}")).await;
        app.mock.clear_faults();
        // The worker has not retried the queued logout, because the test clock does not advance.
        let reply = app.post("/logout").bearer(&tokens.access_token).send().await;
        assert_success(&reply, "/logout", tokens.user_id, "revoked");
        assert!(!app.is_alive(&tokens), "{scope}");
        assert_eq!(app.is_alive(&sibling), sibling_lives, "{scope}: the queued logout was done");
        assert_eq!(queue_length(&app).await, 0, "{scope}");
    }
}

#[tokio::test]
async fn the_widest_queued_scope_of_a_session_is_sent_first() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    let tokens = app.sign_up();
    let sibling = app.sign_in_again(&tokens);
    app.inject_fault(logout_fault(503));
    for scope in ["local", "others", "global"] {
        queue_logout(&app, &tokens, &format!("/logout?scope={scope}")).await;
    }
    let calls_before = app.gotrue_calls("logout").len();
    assert_eq!(queue_length(&app).await, 3);
    app.mock.clear_faults();
    drain_queue(&app).await;
    assert!(!app.is_alive(&tokens) && !app.is_alive(&sibling));
    let later = app.gotrue_calls("logout").split_off(calls_before);
    let scopes: Vec<_> = later.iter().map(|call| call.query.clone()).collect();
    assert!(scopes.iter().all(|query| query.contains("global")), "{scopes:?}");
}

#[tokio::test]
async fn a_queued_global_logout_whose_session_a_local_logout_ended_meanwhile_is_a_failure() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    let tokens = app.sign_up();
    let other = app.sign_in_again(&tokens);
    // The local logout reaches GoTrue first, and GoTrue delays its answer.
    app.inject_fault(json!({"operation": "logout", "kind": "delay", "seconds": 1, "times": 1}));
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 503, "times": 2}));
    let local = app.post("/logout").bearer(&tokens.access_token);
    let local = tokio::spawn(async move { local.send().await });
    eventually("GoTrue gets the local logout", async || app.gotrue_calls("logout").len() == 1)
        .await;
    // The 503 does not say whether GoTrue carried out the global logout, so the gateway must queue it.
    queue_logout(&app, &tokens, "/logout?scope=global").await;
    assert_success(&local.await.unwrap(), "/logout", tokens.user_id, "revoked");
    drain_queue(&app).await;
    assert!(app.is_alive(&other));
    eventually("the failure log has it", async || failures(&app, &tokens).await.len() == 2).await;
    let failure = failures(&app, &tokens).await.remove(0);
    assert_eq!((&failure["outcome"], &failure["reason"]), (&json!("gave-up"), &json!("not_found")));
}

#[tokio::test]
async fn a_global_logout_whose_session_a_local_logout_ended_between_its_tries_is_no_success() {
    let proxy = FaultProxy::start();
    let app = proxy.start_app(Setup::new()).await;
    let tokens = app.sign_up();
    let other = app.sign_in_again(&tokens);
    // The first try of the global logout ends after two seconds without a complete answer.
    let steps =
        [FaultStep::SendByteByByte(b"HTTP".to_vec(), Duration::from_millis(500)), FaultStep::Close];
    proxy.inject_fault(Operation::Logout, "global", 1, &steps);
    let global = app.post("/logout?scope=global").header("x-request-id", "global");
    let global = global.bearer(&tokens.access_token);
    let global = tokio::spawn(async move { global.send().await });
    let calls = || proxy.call_count(Operation::Logout, "global");
    eventually("GoTrue gets the first try", async || calls() == 1).await;
    let local = app.post("/logout").bearer(&tokens.access_token).send().await;
    assert_success(&local, "/logout", tokens.user_id, "revoked");
    assert_eq!(calls(), 1, "the second try was not sent yet");
    let global = global.await.unwrap();
    assert_eq!(calls(), 2);
    assert_error(&global, 401, "NOT_AUTHENTICATED", Some("not_found"));
    assert!(app.is_alive(&other));
}

#[tokio::test]
async fn a_queued_global_logout_whose_successful_answer_was_lost_is_done_for_a_local_logout_too() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(
        json!({"operation": "logout", "kind": "status", "status": 503, "times": 2, "effect": true}),
    );
    let tokens = app.sign_up();
    queue_logout(&app, &tokens, "/logout?scope=global").await;
    let reply = app.post("/logout").bearer(&tokens.access_token).send().await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert_eq!(queue_length(&app).await, 0);
    assert_eq!(
        failures(&app, &tokens).await.len(),
        1,
        "only the queued logout is in the failure log"
    );
}

/// Signs in the owner, and a thief as the same user. The thief's session then ends the owner's session with a
/// logout of the scope `others`.
async fn owner_and_thief(app: &TestApp) -> (Tokens, Tokens) {
    let owner = app.sign_up();
    let thief = app.sign_in_again(&owner);
    app.advance_time(1);
    let others = app.post("/logout?scope=others").bearer(&thief.access_token).send().await;
    assert_success(&others, "/logout", owner.user_id, "revoked");
    assert_eq!((app.is_alive(&owner), app.verify(&owner).await), (false, 401));
    (owner, thief)
}

#[tokio::test]
async fn a_global_logout_of_a_session_that_had_already_ended_is_no_success() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    let (ended_by_others, thief) = owner_and_thief(&app).await;
    let ended_by_itself = app.sign_in_again(&thief);
    let local = app.post("/logout").bearer(&ended_by_itself.access_token).send().await;
    assert_success(&local, "/logout", thief.user_id, "revoked");
    for owner in [ended_by_others, ended_by_itself] {
        app.inject_fault(
            json!({"operation": "logout", "kind": "status", "status": 503, "times": 1}),
        );
        let calls_before = app.gotrue_calls("logout").len();
        let global = app.post("/logout?scope=global").bearer(&owner.access_token).send().await;
        assert_eq!(app.gotrue_calls("logout").len(), calls_before + 2);
        assert_error(&global, 401, "NOT_AUTHENTICATED", Some("not_found"));
        assert!(app.is_alive(&thief));
        assert_eq!((queue_length(&app).await, app.verify(&thief).await), (0, 200));
    }
}

#[tokio::test]
async fn a_queued_global_logout_of_a_session_that_had_already_ended_is_given_up_as_not_found() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    for by_local_logout in [false, true] {
        let (owner, thief) = owner_and_thief(&app).await;
        app.inject_fault(
            json!({"operation": "logout", "kind": "status", "status": 503, "times": 2}),
        );
        queue_logout(&app, &owner, "/logout?scope=global").await;
        if by_local_logout {
            // A local logout first does the queued logouts of its session.
            app.inject_fault(
                json!({"operation": "logout", "kind": "status", "status": 503, "times": 1}),
            );
            let local = app.post("/logout").bearer(&owner.access_token).send().await;
            assert_success(&local, "/logout", owner.user_id, "already-ended");
        }
        drain_queue(&app).await;
        assert!(app.is_alive(&thief));
        let is_logged = async || failures(&app, &owner).await.len() == 2;
        eventually("the failure log has it", is_logged).await;
        let failure = failures(&app, &owner).await.remove(0);
        let gave_up = (&failure["outcome"], &failure["reason"]);
        assert_eq!(gave_up, (&json!("gave-up"), &json!("not_found")));
    }
}
