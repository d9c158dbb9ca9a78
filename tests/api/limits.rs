//! The limits of one gateway process: requests in flight, connections, sizes and times.

use std::time::Duration;

use gotrue_mock::Algorithm;
use serde_json::json;

use crate::harness::{
    Browser, Connection, CookieFormat, Request, Setup, TestApp, assert_error, assert_success,
    claims_of, eventually, hs256_token,
};

/// Starts a logout to which GoTrue does not respond yet, and returns the logout's connection.
async fn start_hanging_logout(app: &TestApp, token: &str) -> Connection {
    let before = app.gotrue_calls("logout").len();
    let mut connection = Connection::open(app.address).await;
    connection.write(&app.post("/api/auth/logout").bearer(token).bytes(true)).await;
    eventually("GoTrue gets the logout", || async { app.gotrue_calls("logout").len() > before })
        .await;
    connection
}

#[tokio::test]
async fn beyond_the_requests_in_flight_logouts_are_overloaded_while_health_and_metrics_work() {
    let limits = [("max-in-flight", "2"), ("upstream-timeout", "800ms")];
    let app = Setup::new().flags(&limits).flag("admin-bind", "127.0.0.1:0").start().await;
    let (one, other, third) = (app.sign_up(), app.sign_up(), app.sign_up());
    let browser = Browser::signed_in(&app, &third, CookieFormat::Base64).await;
    app.inject_fault(json!({"operation": "logout", "kind": "hang", "times": 2}));
    let mut first = start_hanging_logout(&app, &one.access_token).await;
    let mut second = start_hanging_logout(&app, &other.access_token).await;

    for path in ["/logout", "/api/auth/logout", "/api/v1/auth/logout"] {
        let reply = browser.logout_request(path).send().await;
        assert_error(&reply, 503, "OVERLOADED", None);
        assert_eq!(reply.header("retry-after"), Some("1"));
        assert!(reply.set_cookies().is_empty(), "the cookies stay");
        assert_eq!(reply.header("x-logout-outcome"), None);
    }
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(app.get(path).send().await.status, 200, "{path}");
    }
    let metrics = Request::new(app.admin_address.unwrap(), "GET", "/metrics").send().await;
    assert!(metrics.text().contains("\nlogout_gateway_requests_in_flight 2\n"));
    for path in ["/api/auth/csrf", "/api/auth/verify"] {
        let reply = browser.request("GET", path).send().await;
        assert_eq!(reply.status, 200, "{path} needs no answer of GoTrue and takes no place");
    }
    for connection in [&mut first, &mut second] {
        let reply = connection.reply(false).await.unwrap();
        assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_timeout"));
    }
    let reply = app.post("/logout").bearer(&third.access_token).send().await;
    assert_eq!(reply.status, 200, "the places are free again");
    assert!(!app.is_alive(&third));
}

#[tokio::test]
async fn forged_tokens_and_a_slow_gotrue_block_no_genuine_logout() {
    let limits = [("max-in-flight", "16"), ("upstream-timeout", "2s")];
    let app = Setup::new().flags(&limits).start().await;
    app.inject_fault(json!({"operation": "user", "kind": "hang"}));
    let victim = app.sign_up();
    let mut flood = Vec::new();
    for n in 0..32 {
        let mut claims = claims_of(&victim.access_token);
        claims["n"] = json!(n);
        let forged = hs256_token(&claims, "a-secret-of-someone-else-0123456789");
        let mut connection = Connection::open(app.address).await;
        let verify = app.get("/api/auth/verify").bearer(&forged);
        connection.write(&verify.bytes(true)).await;
        flood.push(connection);
    }
    eventually("GoTrue gets two tokens", || async { app.gotrue_calls("user").len() == 2 }).await;
    for _ in 0..20 {
        let tokens = app.sign_up();
        let reply = app.post("/logout").bearer(&tokens.access_token).send().await;
        assert_success(&reply, "/logout", tokens.user_id, "revoked");
        assert!(!app.is_alive(&tokens));
    }
    let mut answers = Vec::new();
    for connection in &mut flood {
        let reply = connection.reply(false).await.unwrap();
        answers.push(reply.json()["error"]["code"].as_str().unwrap().to_owned());
    }
    let overloaded = answers.iter().filter(|code| *code == "OVERLOADED").count();
    assert_eq!(overloaded, 30, "forged tokens get an eighth of the places: {answers:?}");
}

#[tokio::test]
async fn requests_with_one_token_share_one_call_to_gotrue_and_one_place() {
    let setup = Setup::new().algorithm(Algorithm::Hs256).flag("max-in-flight", "1");
    let app = setup.start().await;
    let tokens = app.sign_up();
    app.inject_fault(json!({"operation": "user", "kind": "delay", "seconds": 0.3, "times": 1}));
    let verify = || app.get("/api/auth/verify").bearer(&tokens.access_token).send();
    let replies = tokio::join!(verify(), verify(), verify(), verify());
    let statuses = [replies.0, replies.1, replies.2, replies.3].map(|reply| reply.status);
    assert_eq!((statuses, app.gotrue_calls("user").len()), ([200; 4], 1));
}

#[tokio::test]
async fn a_token_that_only_gotrue_can_verify_takes_a_place() {
    let setup = Setup::new().algorithm(Algorithm::Hs256);
    let setup = setup.flags(&[("max-in-flight", "1"), ("upstream-timeout", "800ms")]);
    let app = setup.start().await;
    let (one, other, known) = (app.sign_up(), app.sign_up(), app.sign_up());
    assert_eq!(app.verify(&known).await, 200);
    let calls_before = app.gotrue_calls("user").len();
    app.inject_fault(json!({"operation": "logout", "kind": "hang", "times": 1}));
    let mut hanging = start_hanging_logout(&app, &one.access_token).await;
    assert_eq!(
        app.verify(&known).await,
        200,
        "a token with a cached answer of GoTrue takes no place"
    );
    for path in ["/api/auth/verify", "/api/auth/csrf"] {
        let reply = app.get(path).bearer(&other.access_token).send().await;
        assert_error(&reply, 503, "OVERLOADED", None);
        assert_eq!(reply.header("retry-after"), Some("1"), "{path}");
    }
    assert_eq!(app.gotrue_calls("user").len(), calls_before);
    assert_eq!(hanging.reply(false).await.unwrap().status, 500);
    assert_eq!(app.verify(&other).await, 200, "the places are free again");
}

#[tokio::test]
async fn a_slow_body_takes_no_place() {
    let app = TestApp::with_flags(&[("max-in-flight", "1")]).await;
    let (slow, other) = (app.sign_up(), app.sign_up());
    let request = app.post("/api/auth/logout").bearer(&slow.access_token);
    let request = request.header("Content-Type", "application/json");
    let mut bytes = request.header("Expect", "100-continue").bytes(false);
    bytes.truncate(bytes.len() - 2);
    bytes.extend(b"Content-Length: 10\r\n\r\n");
    let mut connection = Connection::open(app.address).await;
    connection.write(&bytes).await;
    let continue_reply = connection.reply(true).await.unwrap();
    assert_eq!(continue_reply.status, 100, "the gateway waits for the body");
    connection.write(b"{").await;

    let reply = app.post("/logout").bearer(&other.access_token).send().await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(!app.is_alive(&other) && app.is_alive(&slow));
    connection.write(b"         ").await;
    assert_eq!(connection.reply(false).await.unwrap().status, 200);
    assert!(!app.is_alive(&slow));
}

#[tokio::test]
async fn beyond_the_connection_limit_a_connection_waits_until_another_closes() {
    let app = Setup::new().flag("max-connections", "2").without_readiness_check().start().await;
    let get = app.get("/healthz");
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut connection = Connection::open(app.address).await;
        connection.write(&get.bytes(false)).await;
        assert_eq!(connection.reply(false).await.unwrap().status, 200);
        open.push(connection);
    }
    let mut third = Connection::open(app.address).await;
    third.write(&get.bytes(false)).await;
    // Serve 50 requests on an open connection. In that time the gateway would have served the third
    // connection if it had accepted it.
    for _ in 0..50 {
        open[0].write(&get.bytes(false)).await;
        assert_eq!(open[0].reply(false).await.unwrap().status, 200);
    }
    assert!(!third.has_unread_bytes().await, "not served yet");
    drop(open.pop());
    assert_eq!(third.reply(false).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_head_may_be_128_kib_and_no_longer() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let padded = |length: usize| {
        let request = app.post("/api/auth/logout").bearer(&tokens.access_token);
        let have = request.clone().header("Cookie", "").bytes(true).len();
        request.header("Cookie", "x".repeat(length - have))
    };
    let reply = padded(128 * 1024 + 1).send().await;
    assert_eq!(reply.status, 431);
    assert!(reply.body.is_empty() && reply.header("server").is_none());
    assert!(app.is_alive(&tokens));
    let reply = padded(128 * 1024).send().await;
    assert_eq!(reply.status, 200);
    assert!(!app.is_alive(&tokens));

    let small = TestApp::with_flags(&[("max-header-bytes", "8192")]).await;
    let reply = small.get("/healthz").header("X-Pad", "x".repeat(30_000)).send().await;
    assert_eq!(reply.status, 431);
    assert_eq!(small.get("/healthz").header("X-Pad", "x".repeat(7_000)).send().await.status, 200);
}

#[tokio::test]
async fn each_cookie_may_have_its_own_header_line() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let browser = Browser::signed_in(&app, &tokens, CookieFormat::Chunked).await;
    let mut cookies: Vec<_> = (0..200).map(|n| (format!("c{n}"), "v".to_owned())).collect();
    for (at, cookie) in browser.jar.cookies_for(browser.page).into_iter().enumerate() {
        cookies.insert(30 * (at + 1), cookie);
    }
    let request = browser.request_without_cookies("POST", "/logout");
    let request = request.header("X-CSRF-Token", browser.csrf_cookie().unwrap());
    let request = cookies
        .iter()
        .fold(request, |request, cookie| request.cookies(std::slice::from_ref(cookie)));
    let reply = request.send().await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&tokens));
    assert!(reply.deleted_cookies().iter().all(|name| name.starts_with("sb-")), "{reply:?}");
}

#[tokio::test]
async fn an_incomplete_body_is_a_malformed_request() {
    let app = TestApp::with_flags(&[("header-timeout", "200ms")]).await;
    let tokens = app.sign_up();
    let request = app.post("/api/auth/logout").bearer(&tokens.access_token);
    let request = request.header("Content-Type", "application/json");
    for rest in ["Content-Length: 10\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n5\r\n{"] {
        let mut bytes = request.bytes(false);
        bytes.truncate(bytes.len() - 2);
        bytes.extend(rest.bytes());
        let mut connection = Connection::open(app.address).await;
        connection.write(&bytes).await;
        let reply = connection.reply(false).await.unwrap();
        assert_error(&reply, 400, "BAD_REQUEST", Some("malformed_request"));
    }
    let mut bytes = request.bytes(false);
    bytes.truncate(bytes.len() - 2);
    bytes.extend(b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n");
    let mut connection = Connection::open(app.address).await;
    connection.write(&bytes).await;
    let reply = connection.reply(false).await.unwrap();
    assert_error(&reply, 400, "BAD_REQUEST", Some("malformed_request"));
    assert!(app.is_alive(&tokens) && app.gotrue_call_count() == 0);
}

#[tokio::test]
async fn an_incomplete_head_closes_the_connection() {
    let app = TestApp::with_flags(&[("header-timeout", "100ms")]).await;
    let mut slow = Connection::open(app.address).await;
    slow.write(b"POST /logout HTTP/1.1\r\nHost: a\r\n").await;
    let ends = async { while !slow.is_closed_by_peer().await {} };
    assert!(tokio::time::timeout(Duration::from_secs(10), ends).await.is_ok());
}

#[tokio::test]
async fn several_threads_serve_one_address_and_share_the_revocation_list() {
    let app = TestApp::with_flags(&[("threads", "3")]).await;
    for _ in 0..12 {
        let tokens = app.sign_up();
        let reply = app.post("/logout").bearer(&tokens.access_token).send().await;
        assert_eq!(reply.status, 200);
        // Each request opens a new connection, which any of the gateway's threads may accept.
        for _ in 0..4 {
            assert_eq!(app.verify(&tokens).await, 401);
        }
    }
}
