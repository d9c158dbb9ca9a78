//! What one process takes on at most, and how it ends.

use serde_json::json;

use crate::harness::{Browser, Connection, Form, Setup, Stage, assert_error, eventually};

/// A logout that GoTrue keeps waiting; the connection that asked for it.
async fn waiting_logout(stage: &Stage, token: &str) -> Connection {
    let before = stage.calls("logout").len();
    let mut connection = Connection::open(stage.address).await;
    connection.write(&stage.post("/api/auth/logout").bearer(token).bytes(true)).await;
    eventually("GoTrue is asked", || async { stage.calls("logout").len() > before }).await;
    connection
}

#[tokio::test]
async fn over_the_requests_in_flight_it_is_overloaded_while_health_answers() {
    let stage = Stage::with(&[("max-in-flight", "2"), ("upstream-timeout", "800ms")]).await;
    let (one, other, third) = (stage.sign_up(), stage.sign_up(), stage.sign_up());
    let browser = Browser::without_csrf(&stage, &third, Form::Base64);
    stage.fault(json!({"operation": "logout", "kind": "hang", "times": 2}));
    let mut first = waiting_logout(&stage, &one.access_token).await;
    let mut second = waiting_logout(&stage, &other.access_token).await;

    for path in ["/logout", "/api/auth/logout", "/api/v1/auth/logout"] {
        let reply = browser.request("POST", path).send().await;
        assert_error(&reply, 503, "OVERLOADED", None);
        assert_eq!(reply.header("retry-after"), Some("1"));
        assert!(reply.set_cookies().is_empty(), "untouched");
        assert_eq!(reply.header("x-logout-outcome"), None);
    }
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(stage.get(path).send().await.status, 200, "{path}");
    }
    for path in ["/api/auth/csrf", "/api/auth/verify"] {
        let reply = browser.request("GET", path).send().await;
        assert_eq!(reply.status, 200, "{path} waits for no GoTrue and takes no place");
    }
    for connection in [&mut first, &mut second] {
        let reply = connection.reply(false).await.unwrap();
        assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_timeout"));
    }
    let reply = stage.post("/logout").bearer(&third.access_token).send().await;
    assert_eq!(reply.status, 200, "it was for a moment only");
    assert!(!stage.alive(&third));
}

#[tokio::test]
async fn over_the_connections_no_more_are_served_until_one_ends() {
    let stage = Setup::new().flag("max-connections", "2").unready().start().await;
    let get = stage.get("/healthz");
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut connection = Connection::open(stage.address).await;
        connection.write(&get.bytes(false)).await;
        assert_eq!(connection.reply(false).await.unwrap().status, 200);
        open.push(connection);
    }
    let mut third = Connection::open(stage.address).await;
    third.write(&get.bytes(false)).await;
    // The two that are open go on answering, long enough for the third to have been served.
    for _ in 0..50 {
        open[0].write(&get.bytes(false)).await;
        assert_eq!(open[0].reply(false).await.unwrap().status, 200);
    }
    assert!(!third.has_something().await, "not served yet");
    drop(open.pop());
    assert_eq!(third.reply(false).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_head_may_be_128_kib_and_no_longer() {
    let stage = Stage::new().await;
    let tokens = stage.sign_up();
    let padded = |length: usize| {
        let request = stage.post("/api/auth/logout").bearer(&tokens.access_token);
        let have = request.clone().header("Cookie", "").bytes(true).len();
        request.header("Cookie", "x".repeat(length - have))
    };
    let reply = padded(128 * 1024 + 1).send().await;
    assert_eq!(reply.status, 431);
    assert!(reply.body.is_empty() && reply.header("server").is_none());
    assert!(stage.alive(&tokens));
    let reply = padded(128 * 1024).send().await;
    assert_eq!(reply.status, 200);
    assert!(!stage.alive(&tokens));

    let small = Stage::with(&[("max-header-bytes", "8192")]).await;
    let reply = small.get("/healthz").header("X-Pad", "x".repeat(30_000)).send().await;
    assert_eq!(reply.status, 431);
    assert_eq!(small.get("/healthz").header("X-Pad", "x".repeat(7_000)).send().await.status, 200);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_a_malformed_request() {
    let stage = Stage::with(&[("header-timeout", "200ms")]).await;
    let tokens = stage.sign_up();
    let request = stage.post("/api/auth/logout").bearer(&tokens.access_token);
    let request = request.header("Content-Type", "application/json");
    for rest in ["Content-Length: 10\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n5\r\n{"] {
        let mut bytes = request.bytes(false);
        bytes.truncate(bytes.len() - 2);
        bytes.extend(rest.bytes());
        let mut connection = Connection::open(stage.address).await;
        connection.write(&bytes).await;
        let reply = connection.reply(false).await.unwrap();
        assert_error(&reply, 400, "BAD_REQUEST", Some("malformed_request"));
    }
    let mut bytes = request.bytes(false);
    bytes.truncate(bytes.len() - 2);
    bytes.extend(b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n");
    let mut connection = Connection::open(stage.address).await;
    connection.write(&bytes).await;
    let reply = connection.reply(false).await.unwrap();
    assert_error(&reply, 400, "BAD_REQUEST", Some("malformed_request"));
    assert!(stage.alive(&tokens) && stage.asked() == 0);
}

#[tokio::test]
async fn a_head_that_does_not_come_ends_the_connection() {
    let stage = Stage::with(&[("header-timeout", "100ms")]).await;
    let mut slow = Connection::open(stage.address).await;
    slow.write(b"POST /logout HTTP/1.1\r\nHost: a\r\n").await;
    let ends = async { while !slow.ended().await {} };
    assert!(tokio::time::timeout(std::time::Duration::from_secs(10), ends).await.is_ok());
}

#[tokio::test]
async fn a_stop_drains_the_logout_under_way() {
    let stage = Stage::new().await;
    let tokens = stage.sign_up();
    stage.fault(json!({"operation": "logout", "kind": "delay", "seconds": 0.3, "times": 1}));
    let mut asked = waiting_logout(&stage, &tokens.access_token).await;
    let hung_up = stage.sign_up();
    stage.fault(json!({"operation": "logout", "kind": "delay", "seconds": 0.3, "times": 1}));
    drop(waiting_logout(&stage, &hung_up.access_token).await);
    assert!(stage.alive(&tokens) && stage.alive(&hung_up));

    stage.stop_gateway();
    let reply = asked.reply(false).await.unwrap();
    assert_eq!((reply.status, reply.header("x-logout-outcome")), (200, Some("revoked")));
    assert!(!stage.alive(&tokens));
    assert!(!stage.alive(&hung_up), "whose client had gone, is waited for too");
    assert!(tokio::net::TcpStream::connect(stage.address).await.is_err());
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_the_drain_timeout() {
    let stage = Stage::with(&[("drain-timeout", "100ms"), ("upstream-timeout", "1h")]).await;
    let tokens = stage.sign_up();
    stage.fault(json!({"operation": "logout", "kind": "hang"}));
    let mut asked = waiting_logout(&stage, &tokens.access_token).await;
    stage.stop_gateway();
    assert!(asked.reply(false).await.is_none(), "cut off");
}
