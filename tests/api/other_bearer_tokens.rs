//! Section 3 of the contract: a Bearer token that is not of this project, such as an API key or the token of a
//! hosting platform, is ignored beside a session cookie. Without a session cookie it is refused.

use gotrue_mock::Tokens;
use serde_json::{Value, json};

use crate::harness::{
    Browser, CookieFormat, TestApp, assert_error, assert_success, claims_of, forged_token,
};

/// Values of the header `Authorization` that hold no access token of the project's sessions.
fn other_bearers(app: &TestApp, tokens: &Tokens) -> Vec<String> {
    let claims = claims_of(&tokens.access_token);
    let with = |claim: &str, value: Value| {
        let mut claims = claims.clone();
        claims[claim] = value;
        claims
    };
    let of_platform = with("iss", json!("https://accounts.google.com"));
    let api_key = json!({"iss": "supabase", "ref": "abcdefghijklmnopqrst", "role": "anon",
        "iat": 1_600_000_000, "exp": 2_000_000_000});
    let without_session = [Value::Null, json!(uuid::Uuid::nil())].map(|id| with("session_id", id));
    let signed = [of_platform.clone(), api_key].into_iter().chain(without_session);
    let signed = signed.map(|claims| app.mock.sign(&claims).unwrap());
    let forged = [
        forged_token(r#"{"alg":"RS256","kid":"google"}"#, &of_platform.to_string()),
        forged_token(r#"{"alg":"ES256"}"#, "{}"),
        forged_token(r#"{"alg":"ES256"}"#, "not JSON"),
    ];
    let texts = [
        "undefined",
        "null",
        "[object Object]",
        "x.y.z",
        "..",
        "sb_publishable_abc",
        "\u{fe}\u{ff}",
    ];
    let jwe = format!("{}.AAAA.AAAA", tokens.access_token);
    let bearers = signed.chain(forged).chain(texts.map(str::to_owned)).chain([jwe]);
    let mut bearers: Vec<String> = bearers.map(|token| format!("Bearer {token}")).collect();
    bearers.extend(["Bearer", "bearer ", "BEARER\t", "Bearer\tnonsense"].map(str::to_owned));
    bearers
}

#[tokio::test]
async fn a_bearer_token_that_is_not_of_this_project_is_ignored_beside_a_session_cookie() {
    let app = TestApp::new().await;
    let cross_site = vec![("Sec-Fetch-Site".to_owned(), "cross-site".to_owned())];
    let count = other_bearers(&app, &app.sign_up()).len();
    for n in 0..count {
        let tokens = app.sign_up();
        let bearer = other_bearers(&app, &tokens).swap_remove(n);
        let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
        let calls_before = app.gotrue_call_count();

        let request = browser.request("GET", "/api/auth/verify").header("Authorization", &bearer);
        let reply = request.send().await;
        assert_eq!(reply.status, 200, "{bearer}");
        assert_eq!(reply.header("x-auth-carrier"), Some("cookie"), "{bearer}");
        let session = tokens.session_id.to_string();
        assert_eq!(reply.header("x-auth-session-id"), Some(&*session), "{bearer}");
        let request = browser.request("GET", "/api/auth/csrf").header("Authorization", &bearer);
        assert_eq!(request.send().await.status, 200, "{bearer}");

        let without_csrf = browser.request("POST", "/logout").header("Authorization", &bearer);
        let reply = without_csrf.send().await;
        assert_error(&reply, 403, "CSRF_FAILED", Some("missing"));
        assert!(reply.set_cookies().is_empty(), "{bearer}");
        let wrong = browser.request("POST", "/logout").header("X-CSRF-Token", "wrong");
        let reply = wrong.header("Authorization", &bearer).send().await;
        assert_error(&reply, 403, "CSRF_FAILED", Some("invalid"));
        let headers = std::mem::replace(&mut browser.headers, cross_site.clone());
        let request = browser.logout_request("/logout").header("Authorization", &bearer);
        let reply = request.send().await;
        browser.headers = headers;
        assert_error(&reply, 403, "CSRF_FAILED", Some("cross_site"));
        assert!(reply.set_cookies().is_empty(), "{bearer}");
        assert!(app.is_alive(&tokens) && app.gotrue_call_count() == calls_before, "{bearer}");

        let request = browser.logout_request("/logout").header("Authorization", &bearer);
        let reply = request.send().await;
        assert_success(&reply, "/logout", tokens.user_id, "revoked");
        let call = app.gotrue_calls("logout").pop().unwrap();
        let own = format!("Bearer {}", tokens.access_token);
        assert_eq!(call.header("authorization"), Some(&*own), "{bearer}");
        browser.store_cookies(&reply);
        assert!(!app.is_alive(&tokens) && browser.jar.is_empty(), "{bearer}");
    }
}

#[tokio::test]
async fn a_bearer_token_that_is_not_of_this_project_is_refused_without_a_session_cookie() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    for bearer in other_bearers(&app, &tokens) {
        for cookies in [&[][..], &[("theirs", "1"), ("sb-csrf-token", "x")]] {
            for (method, path) in
                [("POST", "/logout"), ("GET", "/api/auth/csrf"), ("GET", "/api/auth/verify")]
            {
                let request = app.request(method, path).header("Authorization", &bearer);
                let reply = request.cookies(cookies).send().await;
                assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
                assert!(
                    reply.set_cookies().is_empty(),
                    "{bearer} {path}: the request has no session cookie"
                );
            }
        }
    }
    assert!(app.is_alive(&tokens) && app.gotrue_call_count() == 0);
}
