//! Section 9 of the contract: what `verify` tells a proxy about a request without a valid session, and about the
//! session of a request that has one.

use gotrue_mock::Tokens;
use serde_json::json;

use crate::harness::{
    Browser, CookieFormat, Reply, Setup, TestApp, assert_error, claims_of, session_cookies,
};

const NAVIGATION: (&str, &str) = ("Sec-Fetch-Mode", "navigate");

fn assert_reason(reply: &Reply, reason: &str) {
    assert_eq!((reply.status, reply.header("x-auth-reason")), (401, Some(reason)), "{reply:?}");
    assert_eq!(reply.header("x-auth-user-id"), None);
}

#[tokio::test]
async fn each_refusal_has_its_reason_in_a_header() {
    let app = TestApp::new().await;
    let verify = || app.get("/api/auth/verify");
    assert_reason(&verify().send().await, "missing");
    assert_reason(&verify().bearer("a.b.c").send().await, "invalid");
    assert_reason(&verify().cookies(&[("sb-127-auth-token", "junk")]).send().await, "invalid");
    let ended = app.sign_up();
    app.post("/logout").bearer(&ended.access_token).send().await;
    assert_reason(&verify().bearer(&ended.access_token).send().await, "revoked");

    let tokens = app.sign_up();
    app.advance_time(3600);
    assert_reason(&verify().bearer(&tokens.access_token).send().await, "expired");
    for format in CookieFormat::ALL {
        let browser = Browser::signed_in_without_csrf(&app, &tokens, format);
        assert_reason(&browser.request("GET", "/api/auth/verify").send().await, "refreshable");
    }
    assert_eq!(app.gotrue_calls("token").len(), 0, "verify never refreshes");
    assert!(app.is_alive(&tokens));
}

#[tokio::test]
async fn the_cookie_of_an_old_session_does_not_keep_the_app_from_refreshing_the_present_one() {
    let app = TestApp::new().await;
    let old = app.sign_up();
    let new = app.sign_in_again(&old);
    assert_eq!(app.post("/logout").bearer(&old.access_token).send().await.status, 200);
    let stored = |tokens: &Tokens| {
        let (access, refresh) = (&tokens.access_token, &tokens.refresh_token);
        session_cookies("sb-127-auth-token", access, refresh, CookieFormat::Base64)
    };
    app.advance_time(3600);
    for jar in [[stored(&old), stored(&new)], [stored(&new), stored(&old)]] {
        let reply = app.get("/api/auth/verify").cookies(&jar.concat()).send().await;
        assert_reason(&reply, "refreshable");
    }
    let reply = app.get("/api/auth/verify").cookies(&stored(&old)).send().await;
    assert_reason(&reply, "revoked");
}

#[tokio::test]
async fn a_navigation_is_redirected_where_the_proxy_says_and_a_script_is_not() {
    let urls = ("redirect-urls", "https://www.example.com/*");
    let app = TestApp::with_flags(&[urls]).await;
    let target = |place: &str| format!("/api/auth/verify/orders?redirect={place}");
    let html = ("Accept", "text/html,*/*;q=0.8");
    for (place, headers, location) in [
        ("/login", vec![NAVIGATION], Some("/login")),
        ("/login", vec![html], Some("/login")),
        ("%2Flogin%3Fnext%3D%2Forders", vec![NAVIGATION], Some("/login?next=/orders")),
        ("https://www.example.com/in", vec![NAVIGATION], Some("https://www.example.com/in")),
        ("https://evil.example/", vec![NAVIGATION], None),
        ("//evil.example", vec![NAVIGATION], None),
        ("", vec![NAVIGATION], None),
        ("/login", vec![], None),
        ("/login", vec![("Accept", "application/json")], None),
        ("/login", vec![("Accept", "*/*, Text/HTML ;level=1")], Some("/login")),
        ("/login", vec![("Accept", "*/*, text/html;q=0")], None),
        ("/login", vec![("Accept", "text/html; Q=0.0")], None),
        ("/login", vec![("Accept", "text/htmlx")], None),
        ("/login", vec![("Sec-Fetch-Mode", "cors"), html], None),
    ] {
        let reply = app.get(&target(place)).headers(&headers).send().await;
        assert_eq!(reply.header("location"), location, "{place} {headers:?}");
        assert_eq!(reply.status, if location.is_some() { 302 } else { 401 }, "{place} {headers:?}");
        assert_eq!(reply.header("x-auth-reason"), Some("missing"));
    }
    let reply = app.get("/api/auth/verify").headers(&[NAVIGATION]).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("missing"));
    let tokens = app.sign_up();
    let living = app.get(&target("/login")).headers(&[NAVIGATION]).bearer(&tokens.access_token);
    assert_eq!(living.send().await.status, 200);
}

#[tokio::test]
async fn a_navigation_is_redirected_for_every_reason_of_a_401_and_for_no_other_error() {
    let target = "/api/auth/verify?redirect=/login";
    let app = TestApp::new().await;
    let ended = app.sign_up();
    app.post("/logout").bearer(&ended.access_token).send().await;
    let get = || app.get(target).headers(&[NAVIGATION]);
    let revoked = get().bearer(&ended.access_token).send().await;
    let tokens = app.sign_up();
    app.advance_time(3600);
    let browser = Browser::signed_in_without_csrf(&app, &tokens, CookieFormat::Base64);
    for (reason, reply) in [
        ("missing", get().send().await),
        ("invalid", get().bearer("a.b.c").send().await),
        ("revoked", revoked),
        ("expired", get().bearer(&tokens.access_token).send().await),
        ("refreshable", browser.request("GET", target).headers(&[NAVIGATION]).send().await),
    ] {
        assert_eq!((reply.status, reply.header("location")), (302, Some("/login")), "{reason}");
        assert_eq!(reply.header_values("x-auth-reason"), [reason]);
    }

    let origin = ("Origin", "https://app.example.com");
    let reply = get().headers(&[origin, origin]).send().await;
    assert_error(&reply, 400, "BAD_REQUEST", Some("duplicate_header"));
    assert_eq!((reply.header("location"), reply.header("x-auth-reason")), (None, None));
    let no_keys = json!({"operation": "jwks", "kind": "status", "status": 503});
    let app = Setup::new().without_readiness_check().start_with_faults(&[no_keys]).await;
    let token = app.sign_up().access_token;
    let reply = app.get(target).headers(&[NAVIGATION]).bearer(&token).send().await;
    assert_error(&reply, 503, "NOT_READY", Some("key_set"));
    assert_eq!((reply.header("location"), reply.header("x-auth-reason")), (None, None));
}

#[tokio::test]
async fn headers_distinguish_anonymous_users_and_tokens_of_third_parties() {
    let app = TestApp::new().await;
    let client = "9a8b7c6d-0000-4000-8000-000000000000";
    for (claims, anonymous, client_id) in [
        (json!({}), "false", ""),
        (json!({"is_anonymous": true}), "true", ""),
        (json!({"client_id": client}), "false", client),
    ] {
        let tokens = app.sign_up();
        let mut changed = claims_of(&tokens.access_token);
        changed.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let token = app.mock.sign(&changed).unwrap();
        let reply = app.get("/api/auth/verify").bearer(&token).send().await;
        assert_eq!(reply.header("x-auth-anonymous"), Some(anonymous));
        assert_eq!(reply.header("x-auth-client-id"), Some(client_id));
        assert_eq!(reply.header("x-auth-carrier"), Some("bearer"));
    }
}
