//! Responses to tokens that only GoTrue can verify, if the gateway knows that their session has ended.

use gotrue_mock::{Algorithm, Tokens};
use serde_json::json;

use crate::harness::{
    Browser, CookieFormat, Reply, Setup, TestApp, assert_error, assert_success, claims_of,
    hs256_token,
};

/// Starts an app and logs out a session whose tokens only GoTrue can verify; returns the app and the
/// session's tokens.
async fn start_with_logged_out_session() -> (TestApp, Tokens) {
    let app = Setup::new().algorithm(Algorithm::Hs256).start().await;
    let tokens = app.sign_up();
    assert_success(&log_out(&app, &tokens).await, "/logout", tokens.user_id, "revoked");
    (app, tokens)
}

async fn log_out(app: &TestApp, tokens: &Tokens) -> Reply {
    app.post("/logout").bearer(&tokens.access_token).send().await
}

fn with_forged_token(tokens: &Tokens) -> Tokens {
    let secret = "a-secret-of-someone-else-0123456789";
    let access_token = hs256_token(&claims_of(&tokens.access_token), secret);
    Tokens { access_token, ..tokens.clone() }
}

#[tokio::test]
async fn a_forged_token_of_an_ended_session_gets_the_response_of_any_forged_token() {
    let (app, tokens) = start_with_logged_out_session().await;
    let living = app.sign_up();
    for tokens in [&tokens, &living] {
        let reply = log_out(&app, &with_forged_token(tokens)).await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
        assert_eq!(reply.header("x-logout-outcome"), None);
    }
    // The gateway must not ask GoTrue about an expired token.
    app.advance_time(3600);
    for tokens in [&tokens, &living] {
        let forged = Tokens { refresh_token: "made-up".to_owned(), ..with_forged_token(tokens) };
        let mut browser = Browser::signed_in(&app, &forged, CookieFormat::Base64).await;
        let reply = browser.logout("/logout").await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("expired"));
        assert_eq!(reply.header("x-logout-outcome"), None);
    }
    assert!(app.is_alive(&living));
}

#[tokio::test]
async fn a_repeated_unproven_local_logout_is_verified_by_gotrue_without_a_second_logout() {
    let (app, tokens) = start_with_logged_out_session().await;
    let other = app.sign_in_again(&tokens);
    let calls_before = app.gotrue_calls("logout").len();
    let reply = log_out(&app, &tokens).await;
    assert_success(&reply, "/logout", tokens.user_id, "already-ended");
    app.inject_fault(json!({"operation": "user", "kind": "status", "status": 500, "times": 1}));
    let reply = log_out(&app, &tokens).await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
    assert_eq!(
        (app.gotrue_calls("logout").len(), app.gotrue_calls("user").len()),
        (calls_before, 2)
    );
    assert!(app.is_alive(&other));
    // The session lives again, as after GoTrue's database was restored from a backup.
    app.inject_fault(json!({"operation": "user", "kind": "status", "status": 200, "times": 1,
        "body": {"id": tokens.user_id}}));
    let reply = log_out(&app, &tokens).await;
    assert_success(&reply, "/logout", tokens.user_id, "already-ended");
    assert_eq!(app.gotrue_calls("logout").len(), calls_before + 1, "the logout is sent");
}
