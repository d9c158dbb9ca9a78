//! The table of errors in the contract: every status, code and reason has its own fixed text.

use std::collections::BTreeMap;

use axum::{Router, routing::get};
use serde_json::json;

use crate::harness::{
    Browser, Connection, CookieFormat, Reply, Request, Setup, TestApp, assert_error,
    assert_not_ready, recording, session_cookies,
};

/// Causes each error that a client can cause, once. `INTERNAL` is missing, because only a bug causes it.
async fn every_error(app: &TestApp) -> Vec<(Reply, u16, &'static str, Option<&'static str>)> {
    let tokens = app.sign_up();
    let bearer = |target: &str| app.post(target).bearer(&tokens.access_token);
    let mut all = Vec::new();

    let reply = bearer("/logout?scope=x").send().await;
    all.push((reply, 400, "BAD_REQUEST", Some("unsupported_scope")));
    let reply = bearer("/logout").headers(&[("X-CSRF-Token", "a"), ("X-CSRF-Token", "a")]);
    all.push((reply.send().await, 400, "BAD_REQUEST", Some("duplicate_header")));
    all.push((app.post("/logout").send().await, 401, "NOT_AUTHENTICATED", Some("missing")));
    let reply = app.post("/logout").bearer("x").send().await;
    all.push((reply, 401, "NOT_AUTHENTICATED", Some("invalid")));
    app.advance_time(3600);
    all.push((bearer("/logout").send().await, 401, "NOT_AUTHENTICATED", Some("expired")));

    let gone = app.sign_up();
    assert!(app.mock.delete_session(gone.session_id));
    let reply = app.post("/logout?scope=global").bearer(&gone.access_token).send().await;
    all.push((reply, 401, "NOT_AUTHENTICATED", Some("not_found")));
    let reply = app.get("/api/auth/verify").bearer(&gone.access_token).send().await;
    all.push((reply, 401, "NOT_AUTHENTICATED", Some("revoked")));

    let tokens = app.sign_up();
    let browser = Browser::signed_in_without_csrf(app, &tokens, CookieFormat::Raw);
    let reply = browser.request("POST", "/logout").send().await;
    all.push((reply, 403, "CSRF_FAILED", Some("missing")));
    let request = browser.request("POST", "/logout").header("X-CSRF-Token", "wrong");
    let reply = request.header("Cookie", "sb-csrf-token=other").send().await;
    all.push((reply, 403, "CSRF_FAILED", Some("invalid")));
    let reply = app.post("/logout").header("Origin", "null").send().await;
    all.push((reply, 403, "CSRF_FAILED", Some("cross_site")));

    all.push((app.get("/x").send().await, 404, "NOT_FOUND", None));
    all.push((app.get("/logout").send().await, 405, "METHOD_NOT_ALLOWED", None));
    let bearer = |target: &str| app.post(target).bearer(&tokens.access_token);
    let reply = bearer("/logout").body([0; 8193]).send().await;
    all.push((reply, 413, "PAYLOAD_TOO_LARGE", None));
    let reply = bearer("/logout").body("x").send().await;
    all.push((reply, 415, "UNSUPPORTED_MEDIA_TYPE", None));

    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 429, "times": 1}));
    all.push((bearer("/logout").send().await, 429, "RATE_LIMITED", None));
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 503, "times": 2}));
    let reply = bearer("/logout").send().await;
    all.push((reply, 500, "LOGOUT_FAILED", Some("auth_service_unavailable")));
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 504, "times": 2}));
    let reply = bearer("/logout").send().await;
    all.push((reply, 500, "LOGOUT_FAILED", Some("auth_service_timeout")));
    app.inject_fault(recording("logout-local-database-down").as_fault("logout", Some(1)));
    let reply = bearer("/logout").send().await;
    all.push((reply, 500, "LOGOUT_FAILED", Some("auth_service_error")));
    let banned = app.sign_up();
    assert!(app.mock.ban_user(banned.user_id));
    let reply = app.post("/logout").bearer(&banned.access_token).send().await;
    all.push((reply, 500, "LOGOUT_FAILED", Some("user_banned")));
    let admin = Request::new(app.admin_address.unwrap(), "GET", "/").host("a.example");
    all.push((admin.send().await, 421, "MISDIRECTED_REQUEST", None));
    all
}

#[tokio::test]
async fn every_error_has_the_envelope_and_its_own_text() {
    let app = TestApp::with_flags(&[("admin-bind", "127.0.0.1:0")]).await;
    let mut texts = BTreeMap::new();
    for (reply, status, code, reason) in every_error(&app).await {
        assert_error(&reply, status, code, reason);
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert_eq!(texts.insert(message, (code, reason)), None, "{code} {reason:?}");
    }
    // The texts must be fixed, so the second run, which has other tokens, ids and times, must get the same
    // texts.
    for (reply, _, code, reason) in every_error(&app).await {
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert_eq!(texts.get(&message), Some(&(code, reason)));
    }
    assert_eq!(texts.len(), 20);
}

#[tokio::test]
async fn a_panic_is_a_500_for_its_request_and_reveals_nothing() {
    async fn bug() -> &'static str {
        panic!("the text of a panic may have a secret: x9tell-tale9x");
    }
    let pages = Router::new().route("/bug", get(bug));
    let app = Setup::new().extra_routes(pages).start().await;
    let mut connection = Connection::open(app.address).await;
    connection.write(&app.get("/bug").bytes(false)).await;
    let reply = connection.reply(false).await.unwrap();
    assert_error(&reply, 500, "INTERNAL", None);
    assert!(!format!("{:?} {}", reply.headers, reply.text()).contains("x9tell-tale9x"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    connection.write(&app.get("/healthz").bytes(false)).await;
    assert_eq!(connection.reply(false).await.unwrap().status, 200, "the connection stays open");
}

#[tokio::test]
async fn without_a_key_set_the_gateway_is_not_ready() {
    let no_keys = json!({"operation": "jwks", "kind": "status", "status": 500});
    let app = Setup::new().without_readiness_check().start_with_faults(&[no_keys]).await;
    let tokens = app.sign_up();
    assert_not_ready(&app.get("/readyz").send().await, "key_set");
    assert_eq!(app.get("/healthz").send().await.status, 200, "the process is alive");
    let verify = app.get("/api/auth/verify").bearer(&tokens.access_token).send().await;
    assert_error(&verify, 503, "NOT_READY", Some("key_set"));
    let logout = app.post("/logout").bearer(&tokens.access_token).send().await;
    assert_error(&logout, 500, "LOGOUT_FAILED", Some("auth_service_unavailable"));
    assert_eq!(logout.header("x-logout-outcome"), Some("failed"));
    assert!(app.is_alive(&tokens) && app.gotrue_calls("logout").is_empty());
}

#[tokio::test]
async fn no_text_of_a_request_or_of_gotrue_reaches_an_error_response() {
    const MARKER: &str = "x9tell-tale9x";
    // The audit line shows the origin of a foreign page, so this origin does not contain `MARKER`, which no log
    // line may contain.
    const ORIGIN: &str = "https://foreign-page.example";
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let upstream = json!({"operation": "logout", "kind": "status", "status": 500,
        "headers": {"X-Upstream": MARKER, "Server": MARKER, "Set-Cookie": format!("{MARKER}=1")},
        "body": {"code": MARKER, "message": MARKER}});
    app.inject_fault(upstream);
    let cookies = session_cookies("sb-127-auth-token", MARKER, MARKER, CookieFormat::Base64);
    let planted = [("sb-csrf-token", MARKER), ("sb-127-auth-token-user", MARKER)];
    let replies = [
        app.post("/logout").bearer(&tokens.access_token).cookies(&planted).send().await,
        app.post("/logout").bearer(MARKER).send().await,
        app.post("/logout").cookies(&cookies).cookies(&planted).send().await,
        app.post(&format!("/logout?scope={MARKER}")).send().await,
        app.post(&format!("/{MARKER}")).send().await,
        app.request(MARKER, "/logout").send().await,
        app.post("/logout").headers(&[("Origin", ORIGIN)]).send().await,
        app.post("/logout").headers(&[("Content-Type", MARKER)]).body(MARKER).send().await,
        app.post("/logout").headers(&[("User-Agent", MARKER), ("Referer", MARKER)]).send().await,
    ];
    for reply in &replies {
        assert!(reply.status >= 400);
        let response = format!("{:?} {}", reply.headers, reply.text());
        assert!(!response.contains(MARKER) && !response.contains(ORIGIN), "{response}");
        assert!(
            !response.contains(&tokens.access_token)
                && !response.contains(env!("CARGO_PKG_VERSION"))
        );
        assert_eq!(reply.header("server"), None);
    }
}
