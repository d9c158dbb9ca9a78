//! Section 3 of the contract: a Bearer token that is not of this project counts like another scheme beside a session
//! cookie, and one that is of this project decides alone.

use serde_json::json;

use crate::harness::{
    Browser, CookieFormat, TestApp, assert_error, assert_success, claims_of, hs256_token,
};

/// Texts that stand in `Authorization` for other reasons than a session of this project.
fn foreign() -> [(&'static str, String); 5] {
    let anon = json!({"iss": "supabase", "ref": "abc", "role": "anon", "exp": 2_000_000_000});
    let platform = json!({
        "iss": "https://accounts.google.com", "sub": "104263826403947261937", "exp": 2_000_000_000,
        "session_id": "9a8b7c6d-0000-4000-8000-000000000000"
    });
    [
        ("the anon key", hs256_token(&anon, "another-secret-of-32-bytes-or-more")),
        ("the token of a platform", hs256_token(&platform, "another-secret-of-32-bytes-or-more")),
        ("the publishable key", "sb_publishable_0123456789abcdefghijkl".to_owned()),
        ("undefined", "undefined".to_owned()),
        ("nothing", String::new()),
    ]
}

#[tokio::test]
async fn beside_a_session_cookie_it_is_ignored_and_the_cookie_needs_csrf() {
    let app = TestApp::new().await;
    for (name, text) in foreign() {
        let tokens = app.sign_up();
        let mut browser = Browser::signed_in_without_csrf(&app, &tokens, CookieFormat::Base64);
        browser.headers.push(("Authorization".to_owned(), format!("Bearer {text}")));
        let verify = browser.request("GET", "/api/auth/verify").send().await;
        assert_eq!(
            (verify.status, verify.header("x-auth-carrier")),
            (200, Some("cookie")),
            "{name}"
        );
        let unguarded = browser.request("POST", "/logout").send().await;
        assert_error(&unguarded, 403, "CSRF_FAILED", Some("missing"));
        assert!(app.is_alive(&tokens), "{name}");
        assert_eq!(browser.fetch_csrf().await.status, 200, "{name}");
        let reply = browser.logout("/logout").await;
        assert_success(&reply, "/logout", tokens.user_id, "revoked");
        assert!(!app.is_alive(&tokens) && browser.jar.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_form_beside_it_is_still_a_form() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    let csrf = browser.csrf_cookie().unwrap();
    let form = browser.request("POST", "/logout").header("Authorization", "Bearer undefined");
    let form = form.header("Content-Type", "application/x-www-form-urlencoded");
    let reply = form.body(format!("csrf_token={csrf}")).send().await;
    assert_eq!((reply.status, reply.header("location")), (303, Some("/")), "{reply:?}");
    assert!(!app.is_alive(&tokens));
}

#[tokio::test]
async fn without_a_session_cookie_it_is_an_invalid_credential() {
    let app = TestApp::new().await;
    for (name, text) in foreign() {
        for (method, path) in
            [("POST", "/logout"), ("GET", "/api/auth/verify"), ("GET", "/api/auth/csrf")]
        {
            let request = app.request(method, path).cookies(&[("theme", "dark")]);
            let reply = request.header("Authorization", format!("Bearer {text}")).send().await;
            assert_eq!(reply.status, 401, "{name} {path}");
            assert_eq!(reply.json()["error"]["reason"], "invalid", "{name} {path}");
        }
    }
    assert_eq!(app.gotrue_call_count(), 0);
}

#[tokio::test]
async fn a_bearer_of_this_project_decides_alone() {
    let app = TestApp::new().await;
    let (mine, other) = (app.sign_up(), app.sign_up());
    let browser = Browser::signed_in(&app, &mine, CookieFormat::Base64).await;
    let mut broken = other.access_token.clone();
    broken.replace_range(broken.len() - 8.., "AAAAAAAA");
    let reply = browser.logout_request("/logout").bearer(&broken).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    assert!(reply.set_cookies().is_empty() && app.is_alive(&mine) && app.is_alive(&other));
    let reply = browser.logout_request("/logout").bearer(&other.access_token).send().await;
    assert_success(&reply, "/logout", other.user_id, "revoked");
    assert!(app.is_alive(&mine) && !app.is_alive(&other));
}

/// Self-hosted projects of before 2026 have no issuer, and laptops wake up with wrong clocks: GoTrue takes both.
#[tokio::test]
async fn tokens_without_an_issuer_or_of_a_clock_ahead_are_accepted_unless_issuers_are_configured() {
    let default = TestApp::new().await;
    let configured = TestApp::with_flags(&[("jwt-issuer", "https://a.example/auth/v1,none")]).await;
    let named = TestApp::with_flags(&[("jwt-issuer", "https://a.example/auth/v1")]).await;
    for (case, claims, accepted) in [
        ("no iss", json!({"iss": null}), [true, true, false]),
        ("a foreign iss", json!({"iss": "https://b.example/auth/v1"}), [false, false, false]),
        ("the configured iss", json!({"iss": "https://a.example/auth/v1"}), [false, true, true]),
        ("iat ahead by 45 s, no iss", json!({"iss": null, "iat": 45}), [true, true, false]),
        ("iat ahead by 5 min, no iss", json!({"iss": null, "iat": 300}), [true, true, false]),
    ] {
        for (app, accepted) in [&default, &configured, &named].into_iter().zip(accepted) {
            let tokens = app.sign_up();
            let mut changed = claims_of(&tokens.access_token);
            for (name, value) in claims.as_object().unwrap() {
                let ahead = value.as_i64().map(|ahead| changed["iat"].as_i64().unwrap() + ahead);
                changed[name] = ahead.map_or_else(|| value.clone(), Into::into);
            }
            let token = app.mock.sign(&changed).unwrap();
            let verify = app.get("/api/auth/verify").bearer(&token).send().await;
            assert_eq!(verify.status, if accepted { 200 } else { 401 }, "{case}");
            let reply = app.post("/logout").bearer(&token).send().await;
            assert_eq!(reply.status, if accepted { 200 } else { 401 }, "{case}");
            assert_eq!(app.is_alive(&tokens), !accepted, "{case}");
        }
    }
}
