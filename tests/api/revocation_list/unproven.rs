//! What a token that GoTrue alone can judge is answered for a session that is known to be over.

use gotrue_mock::{Algorithm, Tokens};
use serde_json::json;

use crate::harness::{
    Browser, CookieFormat, Reply, Setup, TestApp, assert_error, assert_success, claims_of,
    hs256_token,
};

/// A session that has logged out, where the secret of its tokens is not known here.
async fn logged_out() -> (TestApp, Tokens) {
    let app = Setup::new().algorithm(Algorithm::Hs256).start().await;
    let tokens = app.sign_up();
    assert_success(&log_out(&app, &tokens).await, "/logout", tokens.user_id, "revoked");
    (app, tokens)
}

async fn log_out(app: &TestApp, tokens: &Tokens) -> Reply {
    app.post("/logout").bearer(&tokens.access_token).send().await
}

fn forged(tokens: &Tokens) -> Tokens {
    let secret = "a-secret-of-someone-else-0123456789";
    let access_token = hs256_token(&claims_of(&tokens.access_token), secret);
    Tokens { access_token, ..tokens.clone() }
}

#[tokio::test]
async fn a_forged_token_of_a_session_that_is_over_is_answered_like_any_other() {
    let (app, tokens) = logged_out().await;
    let living = app.sign_up();
    for tokens in [&tokens, &living] {
        let reply = log_out(&app, &forged(tokens)).await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
        assert_eq!(reply.header("x-logout-outcome"), None);
    }
    // Once it has expired, GoTrue does not judge it.
    app.advance_time(3600);
    for tokens in [&tokens, &living] {
        let forged = Tokens { refresh_token: "made-up".to_owned(), ..forged(tokens) };
        let mut browser = Browser::signed_in(&app, &forged, CookieFormat::Base64).await;
        let reply = browser.logout("/logout").await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("expired"));
        assert_eq!(reply.header("x-logout-outcome"), None);
    }
    assert!(app.is_alive(&living));
}

#[tokio::test]
async fn gotrue_judges_a_repeated_local_logout_that_is_unproven_by_no_second_logout() {
    let (app, tokens) = logged_out().await;
    let other = app.sign_in_again(&tokens);
    let asked = app.gotrue_calls("logout").len();
    let reply = log_out(&app, &tokens).await;
    assert_success(&reply, "/logout", tokens.user_id, "already-ended");
    app.inject_fault(json!({"operation": "user", "kind": "status", "status": 500, "times": 1}));
    let reply = log_out(&app, &tokens).await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
    assert_eq!((app.gotrue_calls("logout").len(), app.gotrue_calls("user").len()), (asked, 2));
    assert!(app.is_alive(&other));
    // Restored from a backup, the session lives again.
    app.inject_fault(json!({"operation": "user", "kind": "status", "status": 200, "times": 1,
        "body": {"id": tokens.user_id}}));
    let reply = log_out(&app, &tokens).await;
    assert_success(&reply, "/logout", tokens.user_id, "already-ended");
    assert_eq!(app.gotrue_calls("logout").len(), asked + 1, "the logout is asked");
}
