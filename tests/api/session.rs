//! Section 3 of the contract: which credential of a request the gateway uses.

use std::time::Duration;

use gotrue_mock::{Algorithm, TEST_SECRET};
use logout_gateway::internals::telemetry::traces::TraceContext;
use serde_json::json;

use crate::harness::{
    Browser, CookieFormat, Setup, TestApp, assert_error, assert_success, claims_of, forged_token,
    hs256_token, recording,
};

#[tokio::test]
async fn with_a_bearer_token_the_cookies_are_not_used() {
    let app = TestApp::new().await;
    let (mine, cookies) = (app.sign_up(), app.sign_up());
    let browser = Browser::signed_in(&app, &cookies, CookieFormat::Base64).await;
    let claims = claims_of(&cookies.access_token);
    let header = r#"{"alg":"ES256","kid":"x"}"#;
    let mut without_issuer = claims.clone();
    without_issuer.as_object_mut().unwrap().remove("iss");
    let with = |claim: &str, value: serde_json::Value| {
        let mut claims = claims.clone();
        claims[claim] = value;
        app.mock.sign(&claims).unwrap()
    };
    // Each of these is a JWT with an accepted issuer and a session, so the gateway must use only this token, and
    // refuse it.
    let invalid = [
        with("sub", json!(5)),
        with("exp", json!("never")),
        with("aud", json!({})),
        with("session_id", json!("not a UUID")),
        with("is_anonymous", json!("no")),
        format!("{}x", cookies.access_token),
        format!("{}x", mine.access_token),
        forged_token(header, &claims.to_string()),
        forged_token(header, &without_issuer.to_string()),
        forged_token(r#"{"alg":"none"}"#, &claims.to_string()),
    ];
    for scheme in ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer\t", "Bearer  "] {
        for token in &invalid {
            let request = browser.logout_request("/logout");
            let reply = request.header("Authorization", format!("{scheme}{token}")).send().await;
            assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
            assert!(
                reply.set_cookies().is_empty(),
                "{token:?} is an invalid token of this project, so the cookies are not used"
            );
        }
    }
    assert!(app.is_alive(&cookies) && app.gotrue_call_count() == 0);

    let reply = browser.request("POST", "/logout").bearer(&mine.access_token).send().await;
    assert_success(&reply, "/logout", mine.user_id, "revoked");
    assert!(!app.is_alive(&mine) && app.is_alive(&cookies), "no CSRF token needed, no cookie read");

    let tokens = app.sign_up();
    let lower = format!("bearer {}", tokens.access_token);
    assert_eq!(app.post("/logout").header("authorization", lower).send().await.status, 200);
    assert!(!app.is_alive(&tokens));
}

#[tokio::test]
async fn another_authorization_scheme_is_ignored() {
    let app = TestApp::new().await;
    for other in ["Basic dXNlcjpwYXNz", "Bearerx y", "DPoP x", "", "Negotiate"] {
        let tokens = app.sign_up();
        let browser = Browser::signed_in(&app, &tokens, CookieFormat::Raw).await;
        let request = browser.logout_request("/logout").header("Authorization", other);
        assert_success(&request.send().await, "/logout", tokens.user_id, "revoked");
        let alone = app.post("/logout").header("Authorization", other).send().await;
        assert_error(&alone, 401, "NOT_AUTHENTICATED", Some("missing"));
    }
}

#[tokio::test]
async fn a_repeated_header_that_must_be_single_is_refused() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let bearer = format!("Bearer {}", tokens.access_token);
    let rows = [
        ("Authorization", [bearer.as_str(), bearer.as_str()]),
        ("authorization", [bearer.as_str(), "Basic eDp5"]),
        ("X-CSRF-Token", ["a", "b"]),
        ("x-csrf-token", ["", ""]),
        ("Origin", ["http://127.0.0.1", "http://127.0.0.1"]),
        ("Sec-Fetch-Site", ["same-origin", "cross-site"]),
    ];
    for (name, [one, other]) in rows {
        for (method, path) in
            [("POST", "/logout"), ("GET", "/api/auth/csrf"), ("GET", "/api/auth/verify")]
        {
            let request = app.request(method, path).header(name, one).header(name, other);
            let request = if name.eq_ignore_ascii_case("authorization") {
                request
            } else {
                request.bearer(&tokens.access_token)
            };
            let reply = request.send().await;
            assert_error(&reply, 400, "BAD_REQUEST", Some("duplicate_header"));
            assert!(reply.set_cookies().is_empty());
        }
    }
    assert!(app.is_alive(&tokens) && app.gotrue_call_count() == 0);
}

#[tokio::test]
async fn session_cookies_are_read_in_every_format() {
    let app = TestApp::new().await;
    for form in CookieFormat::ALL {
        let tokens = app.sign_up();
        let mut browser = Browser::signed_in(&app, &tokens, form).await;
        let verify = browser.request("GET", "/api/auth/verify").send().await;
        assert_eq!(verify.header("x-auth-session-id"), Some(&*tokens.session_id.to_string()));
        assert_success(&browser.logout("/logout").await, "/logout", tokens.user_id, "revoked");
        assert!(!app.is_alive(&tokens) && browser.jar.is_empty(), "{form:?}");
    }
}

/// Starts a gateway without the JWT secret for a project that signs with HS256, so that it must ask GoTrue.
async fn start_without_jwt_secret() -> TestApp {
    Setup::new().algorithm(Algorithm::Hs256).start().await
}

#[tokio::test]
async fn without_the_jwt_secret_gotrue_verifies_tokens_and_a_logout_is_one_request() {
    let app = start_without_jwt_secret().await;
    let tokens = app.sign_up();
    let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    let calls_before = app.gotrue_call_count();
    let reply = browser.logout("/logout").await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&tokens) && browser.jar.is_empty());
    assert_eq!(app.gotrue_call_count(), calls_before + 1, "the logout itself verifies the token");

    let tokens = app.sign_up();
    let forged =
        hs256_token(&claims_of(&tokens.access_token), "a-secret-of-someone-else-0123456789");
    let reply = app.post("/logout?scope=global").bearer(&forged).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    assert_eq!(reply.header("x-logout-outcome"), None);
    for (path, token, status) in [
        ("/api/auth/verify", &forged, 401),
        ("/api/auth/csrf", &forged, 401),
        ("/api/auth/verify", &tokens.access_token, 200),
        ("/api/auth/csrf", &tokens.access_token, 200),
    ] {
        assert_eq!(app.get(path).bearer(token).send().await.status, status, "{path}");
    }
    assert!(app.is_alive(&tokens));
}

#[tokio::test]
async fn gotrue_is_asked_about_a_token_once_in_ten_seconds() {
    let app = start_without_jwt_secret().await;
    let tokens = app.sign_up();
    for _ in 0..3 {
        assert_eq!(app.verify(&tokens).await, 200);
        assert_eq!(app.get("/api/auth/csrf").bearer(&tokens.access_token).send().await.status, 200);
    }
    assert_eq!(app.gotrue_calls("user").len(), 1);
    let call = app.gotrue_calls("user").pop().unwrap();
    assert_eq!(call.method, "GET");
    assert_eq!(call.header("authorization"), Some(&*format!("Bearer {}", tokens.access_token)));

    let ended = app.sign_up();
    assert!(app.mock.delete_session(ended.session_id));
    for _ in 0..2 {
        let reply = app.get("/api/auth/verify").bearer(&ended.access_token).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("not_found"));
        assert_eq!(reply.header("x-auth-reason"), Some("revoked"));
    }
    assert_eq!(app.gotrue_calls("user").len(), 2);
    let csrf = app.get("/api/auth/csrf").bearer(&ended.access_token).send().await;
    assert_eq!(csrf.status, 200, "the token of an ended session is genuine");

    let banned = app.sign_up();
    assert!(app.mock.ban_user(banned.user_id));
    assert_eq!(app.verify(&banned).await, 401);
    let csrf = app.get("/api/auth/csrf").bearer(&banned.access_token).send().await;
    assert_eq!(csrf.status, 200);
}

#[tokio::test]
async fn an_introspection_answer_is_cached_for_ten_seconds() {
    use logout_gateway::internals::{
        gotrue::{GoTrue, OnBehalfOf},
        session::introspection::{Introspection, IntrospectionCache, introspect},
    };
    let app = start_without_jwt_secret().await;
    let tokens = app.sign_up();
    let config = Setup::new().flag("supabase-url", app.mock.url()).config();
    let gotrue = GoTrue::new(&config, std::sync::Arc::default()).unwrap();
    let caller = OnBehalfOf {
        request_id: "a".parse().unwrap(),
        forwarded_for: Some("127.0.0.1".parse().unwrap()),
        user_agent: None,
        trace: TraceContext::default(),
    };
    let cache = IntrospectionCache::default();
    let ask = async || {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        let (token, user) = (&tokens.access_token, tokens.user_id);
        let call = introspect(token, user, &gotrue, &caller, deadline);
        cache.get_or_call(token, deadline, call).await
    };
    let cached = || cache.get(&tokens.access_token);
    assert_eq!(cached(), None);
    assert_eq!(ask().await, Ok(Introspection::Live));
    assert!(app.mock.delete_session(tokens.session_id));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(8)).await;
    assert_eq!(cached(), Some(Introspection::Live));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(cached(), None);
    tokio::time::resume();
    assert_eq!(ask().await, Ok(Introspection::Ended));
    assert_eq!(cached(), Some(Introspection::Ended));
}

#[tokio::test]
async fn while_gotrue_cannot_verify_a_token_verify_lets_no_session_in() {
    let app = start_without_jwt_secret().await;
    let tokens = app.sign_up();
    app.inject_fault(json!({"operation": "user", "kind": "status", "status": 500}));
    for _ in 0..2 {
        let verify = app.get("/api/auth/verify").bearer(&tokens.access_token).send().await;
        assert_error(&verify, 503, "NOT_READY", Some("auth_service"));
    }
    assert_eq!(app.gotrue_calls("user").len(), 2, "an error of GoTrue is not cached");
    let csrf = app.get("/api/auth/csrf").bearer(&tokens.access_token).send().await;
    assert_error(&csrf, 500, "LOGOUT_FAILED", Some("auth_service_error"));
}

#[tokio::test]
async fn while_gotrue_is_down_a_forger_locks_no_session_out_and_verify_refuses_a_session_that_its_owner_logged_out()
 {
    let down = json!({"operation": "logout", "kind": "status", "status": 500, "times": 1});
    let app = start_without_jwt_secret().await;
    let tokens = app.sign_up();
    let forged =
        hs256_token(&claims_of(&tokens.access_token), "a-secret-of-someone-else-0123456789");
    for scope in ["local", "global", "others"] {
        app.inject_fault(down.clone());
        let target = format!("/logout?scope={scope}");
        assert_eq!(app.post(&target).bearer(&forged).send().await.status, 500);
    }
    assert_eq!(app.verify(&tokens).await, 200);

    let app = Setup::new().algorithm(Algorithm::Hs256);
    let app = app.flag("supabase-jwt-secret", TEST_SECRET).start().await;
    let tokens = app.sign_up();
    app.inject_fault(down);
    assert_eq!(app.post("/logout").bearer(&tokens.access_token).send().await.status, 500);
    assert_eq!(app.verify(&tokens).await, 401, "the token is verified, so its logout is recorded");
    assert!(app.is_alive(&tokens) && app.gotrue_calls("user").is_empty());
}

#[tokio::test]
async fn a_token_of_the_old_shared_secret_is_verified_by_gotrue_after_a_switch_to_signing_keys() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let old = hs256_token(&claims_of(&tokens.access_token), TEST_SECRET);
    let reply = app.post("/logout").bearer(&old).send().await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&tokens));
    assert_eq!(recording("logout-hs256-token-at-es256-server").response.status, 204);
}

#[tokio::test]
async fn an_expired_hs256_token_gets_a_csrf_token_without_verification_and_is_refreshed() {
    let app = start_without_jwt_secret().await;
    let tokens = app.sign_up();
    app.advance_time(3600);
    let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    assert_eq!(app.gotrue_call_count(), 0);
    assert_success(&browser.logout("/logout").await, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&tokens));
}
