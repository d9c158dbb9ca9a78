//! Faults of the operation `user`, for tokens that only GoTrue can verify, at `verify` and at the route for
//! CSRF tokens. While the upstream fails, the gateway must neither accept such a token nor refuse it as
//! invalid.

use std::time::Duration;

use gotrue_mock::{Algorithm, Tokens};
use serde_json::json;

use super::{
    LONG_TIMEOUT, RedirectTarget, SHORT_TIMEOUT, assert_failed, assert_in_time,
    faults::{Row, TIMEOUT, Verdict},
    send_concurrently, table,
};
use crate::harness::{FaultProxy, FaultStep, Operation, Reply, Setup, TestApp, assert_error};

#[tokio::test]
async fn a_token_that_cannot_be_verified_now_is_neither_accepted_nor_refused() {
    let redirect_target = RedirectTarget::listen();
    let (with_timeout, others) = table(&redirect_target);
    tokio::join!(
        run_concurrently(with_timeout, SHORT_TIMEOUT),
        run_concurrently(others, LONG_TIMEOUT)
    );
    redirect_target.assert_no_connection();
}

async fn start_app(proxy: &FaultProxy, upstream_timeout: Duration) -> TestApp {
    let setup = Setup::new().algorithm(Algorithm::Hs256);
    // Allow more requests, because tokens that only GoTrue can verify may take only an eighth of the places.
    let setup = setup.flag("max-in-flight", "8192");
    proxy
        .start_app(setup.flag("upstream-timeout", &format!("{}ms", upstream_timeout.as_millis())))
        .await
}

/// Runs the cases of all rows at the same time at one gateway.
async fn run_concurrently(rows: Vec<Row>, upstream_timeout: Duration) {
    let proxy = FaultProxy::start();
    let app = start_app(&proxy, upstream_timeout).await;
    let mut requests = Vec::new();
    for (n, row) in rows.into_iter().enumerate() {
        let expected = row.expected(Operation::User);
        for path in ["/api/auth/verify", "/api/auth/csrf"] {
            let (tokens, id) = (app.sign_up(), format!("{n}-{}", path.replace('/', ".")));
            proxy.inject_fault(Operation::User, &id, row.times, &row.steps);
            let request = app.get(path).bearer(&tokens.access_token);
            let request = request.header("X-Request-Id", &id);
            requests.push(((row.fault.clone(), expected, tokens, path, id), request));
        }
    }
    for ((fault, expected, tokens, path, id), reply, took) in send_concurrently(requests).await {
        println!("{path}: {fault}: {expected:?}, {} in {took:?}", reply.status);
        assert_eq!(
            proxy.call_count(Operation::User, &id),
            expected.0,
            "the number of requests that arrived"
        );
        check(&reply, path, expected.1, &tokens);
        assert_in_time(took, upstream_timeout);
        assert!(
            took >= upstream_timeout || expected != TIMEOUT,
            "the gateway gave up before the upstream timeout"
        );
        assert!(app.is_alive(&tokens));
    }
    proxy.wait_until_connections_dropped().await;
}

fn check(reply: &Reply, path: &str, verdict: Verdict, tokens: &Tokens) {
    match (verdict, path) {
        (Verdict::Done, _) => assert_eq!(reply.status, 200),
        (_, "/api/auth/verify") => assert_error(reply, 503, "NOT_READY", Some("auth_service")),
        (verdict, _) => assert_failed(reply, verdict),
    }
    let identity = (verdict == Verdict::Done && path == "/api/auth/verify")
        .then(|| tokens.user_id.to_string());
    assert_eq!(reply.header("x-auth-user-id"), identity.as_deref());
    assert!(verdict == Verdict::Done || reply.set_cookies().is_empty());
}

#[tokio::test]
async fn after_a_refused_connection_a_token_is_neither_accepted_nor_refused() {
    let proxy = FaultProxy::start();
    let app = start_app(&proxy, LONG_TIMEOUT).await;
    let tokens = app.sign_up();
    proxy.stop_listening();
    let reply = app.get("/api/auth/verify").bearer(&tokens.access_token).send().await;
    assert_error(&reply, 503, "NOT_READY", Some("auth_service"));
    let reply = app.get("/api/auth/csrf").bearer(&tokens.access_token).send().await;
    assert_failed(&reply, Verdict::Unavailable);
    assert_eq!(app.gotrue_call_count(), 0);
}

/// GoTrue's 200 has the id of the token's user. Another server may answer 200 to any request, without that
/// id.
#[tokio::test]
async fn a_token_is_accepted_only_if_gotrue_answers_with_the_user_of_the_token() {
    let proxy = FaultProxy::start();
    let app = start_app(&proxy, LONG_TIMEOUT).await;
    let tokens = app.sign_up();
    let metadata = "x".repeat(100_000);
    let cases = [
        (json!({"id": app.sign_up().user_id, "aud": "authenticated"}).to_string(), 503),
        (json!({"user": {"id": tokens.user_id}}).to_string(), 503),
        (json!([{"id": tokens.user_id}]).to_string(), 503),
        ("<html>sign in to this network</html>".to_owned(), 503),
        (String::new(), 503),
        (format!(r#"{{"id":"{}","user_metadata":{{"name":"{metadata}"}}}}"#, tokens.user_id), 200),
    ];
    for (n, (body, status)) in cases.into_iter().enumerate() {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let id = n.to_string();
        proxy.inject_fault(Operation::User, &id, 1, &[FaultStep::Send(answer.into())]);
        let request = app.get("/api/auth/verify").bearer(&tokens.access_token);
        let reply = request.header("X-Request-Id", &id).send().await;
        assert_eq!(reply.status, status, "{n}");
    }
}
