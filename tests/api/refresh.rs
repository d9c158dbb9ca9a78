//! Section 3 of the contract: logouts of sessions whose access token has expired.

use gotrue_mock::Tokens;
use serde_json::{Value, json};

use crate::harness::{
    Browser, CookieFormat, LOGOUT_PATHS, Request, Setup, TestApp, assert_error, assert_success,
    claims_of, leak_check, recording,
};

/// The paths of the calls that GoTrue received, in order, without fetches of the key set and of the health.
fn gotrue_paths(app: &TestApp) -> Vec<String> {
    let calls = app.mock.calls();
    let paths = calls.iter().map(|call| call.path.trim_start_matches("/auth/v1/"));
    let of_sessions = paths.filter(|path| !path.starts_with(".well-known/") && *path != "health");
    of_sessions.map(str::to_owned).collect()
}

#[tokio::test]
async fn an_expired_token_is_refreshed_then_revoked_and_the_new_token_never_leaves_the_gateway() {
    let app = TestApp::new().await;
    for (route, form) in LOGOUT_PATHS.into_iter().zip(CookieFormat::ALL) {
        let tokens = app.sign_up();
        let mut browser = Browser::signed_in(&app, &tokens, form).await;
        app.advance_time(3600);
        let before = gotrue_paths(&app).len();
        let reply = browser.logout(route).await;
        assert_success(&reply, route, tokens.user_id, "revoked");
        assert!(!app.is_alive(&tokens) && browser.jar.is_empty(), "{route}");
        assert_eq!(gotrue_paths(&app).split_off(before), ["token", "logout"], "{route}");

        let refresh = app.gotrue_calls("token").pop().unwrap();
        assert_eq!(refresh.query, "grant_type=refresh_token");
        let body: Value = serde_json::from_str(&refresh.body).unwrap();
        assert_eq!(body, json!({ "refresh_token": tokens.refresh_token }));
        assert_eq!(refresh.header("authorization"), None);
        assert_eq!(refresh.header("apikey"), Some("test-anon-key"));
        let new = app.gotrue_calls("logout").pop().unwrap();
        let new = new.header("authorization").unwrap().trim_start_matches("Bearer ").to_owned();
        assert_ne!(new, tokens.access_token);
        let response = format!("{:?} {}", reply.headers, reply.text());
        assert!(!response.contains(&new), "{response}");
    }
}

/// Signs up a user whose metadata has `octets` bytes; returns the tokens of the user's session.
async fn sign_up_with_metadata(app: &TestApp, octets: usize) -> Tokens {
    let gotrue = app.mock.url().trim_start_matches("http://").parse().unwrap();
    let user = json!({
        "email": "large@example.com", "password": "password", "data": {"bio": "x".repeat(octets)}
    });
    let signup = Request::new(gotrue, "POST", "/auth/v1/signup");
    let signup = signup.header("Content-Type", "application/json").body(user.to_string());
    let user_id = signup.send().await.json()["user"]["id"].as_str().unwrap().parse().unwrap();
    let tokens = app.mock.sign_in(user_id).unwrap();
    leak_check::record_session(&tokens);
    tokens
}

#[tokio::test]
async fn an_expired_session_with_much_metadata_is_refreshed_then_revoked() {
    let app = TestApp::new().await;
    let tokens = sign_up_with_metadata(&app, 30 * 1024).await;
    let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    app.advance_time(3600);
    assert!(app.is_alive(&tokens));
    // GoTrue's response to the refresh has the large metadata after the token. The gateway must stop reading
    // there.
    let reply = browser.logout("/logout").await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&tokens) && browser.jar.is_empty());
}

#[tokio::test]
async fn an_expired_bearer_is_refreshed_only_with_the_cookie_of_its_own_session_and_csrf() {
    let app = TestApp::new().await;
    let (tokens, other) = (app.sign_up(), app.sign_up());
    let mut own = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    let foreign = Browser::signed_in(&app, &other, CookieFormat::Base64).await;
    app.advance_time(3600);

    let request = app.post("/logout").bearer(&tokens.access_token);
    assert_error(&request.send().await, 401, "NOT_AUTHENTICATED", Some("expired"));
    let reply = own.request("POST", "/logout").bearer(&tokens.access_token).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("expired"));
    assert!(reply.set_cookies().is_empty(), "without X-CSRF-Token the cookie is not used");
    let wrong = own.request("POST", "/logout").header("X-CSRF-Token", "wrong");
    let reply = wrong.bearer(&tokens.access_token).send().await;
    assert_error(&reply, 403, "CSRF_FAILED", Some("invalid"));
    assert!(reply.set_cookies().is_empty());
    let reply = foreign.logout_request("/logout").bearer(&tokens.access_token).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("expired"));
    assert!(reply.set_cookies().is_empty());
    own.headers = vec![("Sec-Fetch-Site".to_owned(), "same-site".to_owned())];
    let reply = own.logout_request("/logout").bearer(&tokens.access_token).send().await;
    assert_error(&reply, 403, "CSRF_FAILED", Some("cross_site"));
    assert!(app.is_alive(&tokens) && app.is_alive(&other));
    assert_eq!(app.gotrue_call_count(), 0);

    own.headers = vec![("Sec-Fetch-Site".to_owned(), "same-origin".to_owned())];
    let reply = own.logout_request("/logout").bearer(&tokens.access_token).send().await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    own.store_cookies(&reply);
    assert!(!app.is_alive(&tokens) && app.is_alive(&other) && own.jar.is_empty());
}

#[tokio::test]
async fn an_expired_session_without_a_refresh_token_is_401_expired() {
    let app = TestApp::new().await;
    for refresh_token in [json!(""), Value::Null] {
        let tokens = app.sign_up();
        app.advance_time(3600);
        let text = json!({"access_token": tokens.access_token, "refresh_token": refresh_token});
        let text = text.to_string().replace('"', "%22").replace(',', "%2C");
        let reply = app.post("/logout").cookies(&[("sb-127-auth-token", text)]).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("expired"));
        assert!(reply.deleted_cookies().contains(&"sb-127-auth-token"));
        assert!(app.is_alive(&tokens));
    }
    assert_eq!(app.gotrue_call_count(), 0);
}

/// The expected response: its status, the error's code and reason, and the outcome.
type ExpectedResponse = (u16, (&'static str, Option<&'static str>), Option<&'static str>);

#[tokio::test]
async fn a_failed_refresh_is_reported_truthfully() {
    let app = Setup::new().flag("upstream-timeout", "5s").start().await;
    let unknown = recording("refresh-unknown").response.headers;
    let expired = json!({"status": 400, "code": "session_expired"});
    let user_gone = json!({"status": 403, "code": "user_not_found"});
    let not_expected = json!({"status": 401});
    assert!(unknown.is_object());
    let fault = |answer: &Value| {
        let mut fault = answer.clone();
        fault["operation"] = json!("token");
        fault["kind"] = json!("status");
        fault["times"] = json!(1);
        fault
    };
    let recorded = |name: &str| recording(name).as_fault("token", Some(1));
    let no_token: ExpectedResponse = (401, ("NOT_AUTHENTICATED", Some("expired")), None);
    let error: ExpectedResponse =
        (500, ("LOGOUT_FAILED", Some("auth_service_error")), Some("failed"));
    let banned: ExpectedResponse = (500, ("LOGOUT_FAILED", Some("user_banned")), Some("failed"));
    let rows: Vec<(&str, Value, ExpectedResponse)> = vec![
        ("refresh-unknown", recorded("refresh-unknown"), no_token),
        ("refresh-unknown-old-api", recorded("refresh-unknown-old-api"), no_token),
        ("refresh-after-logout", recorded("refresh-after-logout"), no_token),
        ("session_expired", fault(&expired), no_token),
        ("user_not_found", fault(&user_gone), no_token),
        ("refresh-already-used", recorded("refresh-already-used"), no_token),
        ("refresh-user-banned", recorded("refresh-user-banned"), banned),
        ("refresh-empty", recorded("refresh-empty"), no_token),
        ("refresh-no-json", recorded("refresh-no-json"), no_token),
        ("refresh-database-down", recorded("refresh-database-down"), error),
        ("wrong apikey", fault(&not_expected), error),
        ("200 of another server", fault(&json!({"status": 200, "body": "<html>"})), error),
        ("200 without a token", fault(&json!({"status": 200, "body": {}})), error),
    ];
    for (name, fault, (status, (code, reason), outcome)) in rows {
        let tokens = app.sign_up();
        let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
        app.advance_time(3600);
        app.inject_fault(fault);
        let logouts = app.gotrue_calls("logout").len();
        let reply = browser.logout("/api/auth/logout").await;
        assert_error(&reply, status, code, reason);
        assert_eq!(reply.header("x-logout-outcome"), outcome, "{name}");
        assert!(browser.jar.is_empty(), "{name}");
        assert_eq!(
            app.gotrue_calls("logout").len(),
            logouts,
            "{name}: there is no token for a logout"
        );
        assert!(app.is_alive(&tokens), "{name}: the fault does not end the session");
    }
}

#[tokio::test]
async fn a_refused_refresh_is_already_ended_only_if_gotrue_confirmed_the_end() {
    let app = TestApp::new().await;
    for scope in ["local", "global", "others"] {
        let tokens = app.sign_up();
        let other = app.sign_in_again(&tokens);
        let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
        assert!(app.mock.delete_session(tokens.session_id));
        app.advance_time(3600);
        let reply = browser.logout(&format!("/logout?scope={scope}")).await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("expired"));
        assert_eq!(reply.header("x-logout-outcome"), None);
        assert!(app.is_alive(&other), "the user's other session stays");
        assert_eq!(browser.jar.is_empty(), scope != "others");
    }
    let tokens = app.sign_up();
    let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    let by_bearer = app.post("/logout").bearer(&tokens.access_token).send().await;
    assert_success(&by_bearer, "/logout", tokens.user_id, "revoked");
    app.advance_time(3600);
    let reply = browser.logout("/logout").await;
    assert_success(&reply, "/logout", tokens.user_id, "already-ended");
    assert!(browser.jar.is_empty());
}

#[tokio::test]
async fn a_refresh_that_returns_another_session_is_401_and_no_session_is_revoked() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let (other_session, other_user) = (app.sign_in_again(&tokens), app.sign_up());
    for other in [&other_session, &other_user] {
        let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
        app.advance_time(3600);
        let body = json!({"access_token": other.access_token, "refresh_token": "aaaaaaaaaaaa"});
        app.inject_fault(json!({"operation": "token", "kind": "status", "status": 200,
            "body": body, "times": 1}));
        let reply = browser.logout("/logout").await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
        assert_eq!(reply.header("x-logout-outcome"), None);
        assert!(app.gotrue_calls("logout").is_empty());
        assert!(app.is_alive(&tokens) && app.is_alive(other));
        assert!(browser.jar.is_empty(), "the unusable cookie is deleted");
    }
}

#[tokio::test]
async fn a_token_that_has_expired_only_by_gotrues_clock_is_refreshed_once() {
    let app = Setup::new().gotrue_clock_ahead(25).start().await;
    let tokens = app.sign_up();
    let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    app.advance_time(3610);
    assert_eq!(app.verify(&tokens).await, 200, "the token has not expired by the gateway's clock");
    let reply = browser.logout("/logout").await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&tokens) && browser.jar.is_empty());
    assert_eq!(gotrue_paths(&app), ["logout", "token", "logout"]);

    let tokens = app.sign_up();
    app.advance_time(3610);
    let reply = app.post("/logout").bearer(&tokens.access_token).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    assert_eq!(gotrue_paths(&app).len(), 4, "a Bearer has no refresh token");
    assert!(app.is_alive(&tokens));

    let tokens = app.sign_up();
    let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    app.inject_fault(recording("logout-bad-signature").as_fault("logout", None));
    let reply = browser.logout("/logout").await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
    assert_eq!(gotrue_paths(&app).split_off(4), ["logout", "token", "logout"], "one refresh");
    assert!(app.is_alive(&tokens));
    let claims = claims_of(&tokens.access_token);
    assert_eq!(claims["session_id"], tokens.session_id.to_string());
}

#[tokio::test]
async fn an_expired_session_is_refreshed_for_scope_others_and_its_browser_stays_signed_in() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let other = app.sign_in_again(&tokens);
    let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    app.advance_time(3601);
    let reply = browser.logout("/api/auth/logout?scope=others").await;
    assert_success(&reply, "/api/auth/logout", tokens.user_id, "revoked");
    assert!(app.is_alive(&tokens) && !app.is_alive(&other));
    assert!(reply.set_cookies().is_empty());
    // The gateway's refresh must not invalidate the browser's refresh token: the next logout is refreshed as
    // well.
    app.advance_time(3601);
    let reply = browser.logout("/api/auth/logout").await;
    assert_success(&reply, "/api/auth/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&tokens) && browser.jar.is_empty());
}
