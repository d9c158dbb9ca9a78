//! The responses and log lines of `verify` for tokens that clients use after the session was logged out.

use std::time::Instant;

use gotrue_mock::{Algorithm, TEST_SECRET, Tokens};
use logout_gateway::Clock;
use serde_json::{Value, json};

use crate::harness::{
    Browser, CookieFormat, GatewayProcess, Setup, TestApp, assert_error, claims_of, hs256_token,
    session_cookies,
};

/// Asserts that `verify` responds 401 with this reason, both by Bearer token and by cookie.
async fn assert_refused(app: &TestApp, tokens: &Tokens, reason: &str) {
    let by_cookie = Browser::signed_in_without_csrf(app, tokens, CookieFormat::Base64);
    let by_cookie = by_cookie.request("GET", "/api/auth/verify");
    let by_bearer = app.get("/api/auth/verify").bearer(&tokens.access_token);
    for request in [by_bearer, by_cookie] {
        assert_error(&request.send().await, 401, "NOT_AUTHENTICATED", Some(reason));
    }
}

#[tokio::test]
async fn an_expired_token_of_a_logged_out_session_is_revoked_if_it_is_genuine() {
    let secret = ("supabase-jwt-secret", TEST_SECRET);
    for (algorithm, flags) in [(Algorithm::Es256, &[][..]), (Algorithm::Hs256, &[secret][..])] {
        let app = Setup::new().algorithm(algorithm).flags(flags).start().await;
        let (ended, living) = (app.sign_up(), app.sign_up());
        let logout = app.post("/logout").bearer(&ended.access_token).send().await;
        assert_eq!(logout.status, 200);
        app.advance_time(3600);
        assert_refused(&app, &ended, "revoked").await;
        assert_refused(&app, &living, "expired").await;
    }
}

#[tokio::test]
async fn a_forgeable_expired_token_is_expired_even_if_its_session_is_revoked() {
    let app = Setup::new().algorithm(Algorithm::Hs256).start().await;
    let tokens = app.sign_up();
    assert_eq!(app.post("/logout").bearer(&tokens.access_token).send().await.status, 200);
    assert_refused(&app, &tokens, "revoked").await;
    app.advance_time(3600);
    assert_refused(&app, &tokens, "expired").await;
}

const REVOKED_MESSAGE: &str =
    "verify refused a token whose session was logged out: it may be stolen";

#[tokio::test]
async fn a_token_that_is_used_after_its_logout_is_logged_once_a_second_with_its_ids() {
    let app = Setup::new().start_time(Clock::system().unix_seconds()).start().await;
    let gateway = GatewayProcess::start(&app, &[]).await;
    let begun = Instant::now();
    let stolen = [app.sign_up(), app.sign_up()];
    for tokens in &stolen {
        let verify = gateway.request("GET", "/api/auth/verify").bearer(&tokens.access_token);
        let verify = verify.header("X-Request-Id", "by-a-thief");
        assert_eq!(verify.clone().send().await.status, 200);
        let logout = gateway.request("POST", "/logout").bearer(&tokens.access_token);
        assert_eq!(logout.send().await.status, 200);
        for _ in 0..50 {
            assert_error(&verify.clone().send().await, 401, "NOT_AUTHENTICATED", Some("revoked"));
        }
    }
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap() + 1;
    let log = gateway.stop();
    for tokens in &stolen {
        let session = json!(tokens.session_id);
        let of_session =
            |line: &&Value| line["message"] == REVOKED_MESSAGE && line["session_id"] == session;
        let lines: Vec<&Value> = log.lines.iter().filter(of_session).collect();
        assert!((1..=seconds).contains(&lines.len()), "{} in {seconds} s", lines.len());
        assert_eq!(
            (&lines[0]["level"], &lines[0]["request_id"], &lines[0]["client"]),
            (&json!("WARN"), &json!("by-a-thief"), &json!("127.0.0.1"))
        );
        assert_eq!(lines[0]["user_id"], json!(tokens.user_id));
        assert_eq!(lines[0]["proven"], true);
    }
}

#[tokio::test]
async fn a_forged_token_reveals_no_logout_of_the_session_that_it_names() {
    let app = Setup::new().algorithm(Algorithm::Hs256).start().await;
    let (ended, of_ended_user, living) = (app.sign_up(), app.sign_up(), app.sign_up());
    app.advance_time(1);
    for (scope, tokens) in [("local", &ended), ("global", &of_ended_user)] {
        let target = format!("/logout?scope={scope}");
        let reply = app.post(&target).bearer(&tokens.access_token).send().await;
        assert_eq!(reply.status, 200, "{scope}");
    }
    for tokens in [&ended, &of_ended_user, &living] {
        let claims = claims_of(&tokens.access_token);
        let forged = hs256_token(&claims, "a-secret-of-another-project-0123456789");
        let verify = app.get("/api/auth/verify").bearer(&forged).send().await;
        assert_error(&verify, 401, "NOT_AUTHENTICATED", Some("invalid"));
        assert_eq!(verify.header("x-auth-reason"), Some("invalid"));
        // Beside the valid session of another user, the genuine token of a revoked session would cause a 401.
        let jar = [&living.access_token, &forged]
            .map(|token| session_cookies("sb-127-auth-token", token, "r", CookieFormat::Base64));
        let request = app.get("/api/auth/verify").cookies(&jar.concat());
        assert_eq!(request.send().await.status, 200);
    }
    assert_refused(&app, &ended, "revoked").await;
    assert_refused(&app, &of_ended_user, "revoked").await;
}
