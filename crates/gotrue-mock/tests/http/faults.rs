//! The faults of the GoTrue mock: what the client receives, and whether the session ends.

#![expect(clippy::unwrap_used, reason = "a helper that panics makes its test fail, as it should")]

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use axum::http::{Method, StatusCode};
use gotrue_mock::Tokens;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::harness::RunningMock;

async fn with_fault(fault: Value) -> (RunningMock, Tokens) {
    let mock = RunningMock::start_default().await;
    let session = mock.sign_up();
    let injected = mock.post("/mock/faults", fault).await;
    assert_eq!(injected.status, StatusCode::NO_CONTENT, "{}", injected.body);
    (mock, session)
}

/// Sends a logout on a new connection; returns the socket, from which the test reads the raw response.
async fn raw_logout(mock: &RunningMock, session: &Tokens) -> TcpStream {
    let address = mock.mock.url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /auth/v1/logout?scope=local HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 0\r\n\r\n",
        session.access_token
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn read_to_end(mut stream: TcpStream) -> std::io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).await.map(|_| octets)
}

#[tokio::test]
async fn a_status_alone_looks_like_an_api_gateway_in_front_of_gotrue() {
    let (mock, session) = with_fault(json!({"operation": "logout", "kind": "status"})).await;
    let response = mock.logout(&session.access_token).await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.json(), json!({"message": "Service Unavailable"}));
    assert_eq!(response.code(), "");
    assert!(mock.mock.session_alive(session.session_id));
}

#[rstest]
#[case::of_the_new_api(&[("x-supabase-api-version", "2024-01-01")], json!("over_request_rate_limit"))]
#[case::of_the_old_api(&[], json!(429))]
#[tokio::test]
async fn a_status_with_a_code_looks_like_gotrue(
    #[case] headers: &[(&str, &str)],
    #[case] code: Value,
) {
    let (mock, _) = with_fault(json!({
        "operation": "user", "kind": "status", "status": 429, "code": "over_request_rate_limit",
        "headers": {"Retry-After": "7"},
    }))
    .await;
    let response = mock.send(Method::GET, "/auth/v1/user", headers, None).await;
    assert_eq!(response.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.code(), "over_request_rate_limit");
    assert_eq!(response.json()["code"], code);
    assert_eq!(response.header("retry-after"), Some("7"));
}

#[tokio::test]
async fn a_status_fault_can_have_a_body() {
    let (mock, session) = with_fault(json!({
        "operation": "logout", "kind": "status", "status": 200, "body": "<h1>Sign in to WiFi</h1>",
        "headers": {"Content-Type": "text/html"},
    }))
    .await;
    let response = mock.logout(&session.access_token).await;
    assert_eq!(
        (response.status, response.body.as_str()),
        (StatusCode::OK, "<h1>Sign in to WiFi</h1>")
    );
    assert_eq!(response.header("content-type"), Some("text/html"));
    assert!(mock.mock.session_alive(session.session_id));
}

#[tokio::test]
async fn a_status_fault_can_have_another_date() {
    let date = "Fri, 01 Jan 2100 00:00:00 GMT";
    let (mock, session) = with_fault(json!({
        "operation": "logout", "kind": "status", "headers": {"Date": date}, "times": 1,
    }))
    .await;
    assert_eq!(mock.logout(&session.access_token).await.header("date"), Some(date));
    assert_ne!(mock.logout(&session.access_token).await.header("date"), Some(date));
}

#[tokio::test]
async fn a_delayed_request_gets_the_correct_response_late() {
    let (mock, session) =
        with_fault(json!({"operation": "logout", "kind": "delay", "seconds": 0.05})).await;
    let start = Instant::now();
    assert_eq!(mock.logout(&session.access_token).await.status, StatusCode::NO_CONTENT);
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert!(!mock.mock.session_alive(session.session_id));
}

#[tokio::test]
async fn a_hanging_request_is_never_answered() {
    let (mock, session) = with_fault(json!({"operation": "logout", "kind": "hang"})).await;
    let stream = raw_logout(&mock, &session).await;
    let response = tokio::time::timeout(Duration::from_millis(100), read_to_end(stream)).await;
    assert!(response.is_err(), "{response:?}");
    assert!(mock.mock.session_alive(session.session_id));
}

#[tokio::test]
async fn a_reset_connection_sends_nothing() {
    let (mock, session) = with_fault(json!({"operation": "logout", "kind": "reset"})).await;
    let response = read_to_end(raw_logout(&mock, &session).await).await;
    assert_eq!(response.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(mock.mock.session_alive(session.session_id));
}

#[tokio::test]
async fn a_truncated_answer_ends_in_the_middle_of_its_body() {
    let (mock, session) = with_fault(json!({"operation": "logout", "kind": "truncate"})).await;
    let response = read_to_end(raw_logout(&mock, &session).await).await.unwrap();
    let response = String::from_utf8(response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("Content-Length: 500"), "{head}");
    assert!((1..500).contains(&body.len()), "{body}");
}

#[tokio::test]
async fn garbage_is_not_http() {
    let (mock, session) = with_fault(json!({"operation": "logout", "kind": "garbage"})).await;
    let response = read_to_end(raw_logout(&mock, &session).await).await.unwrap();
    assert!(!response.is_empty() && !response.starts_with(b"HTTP"), "{response:?}");
}

#[tokio::test]
async fn a_redirect_leads_to_the_mock_and_the_call_log_shows_the_request_that_followed_it() {
    let (mock, session) = with_fault(json!({"operation": "logout", "kind": "redirect"})).await;
    let response = mock.logout(&session.access_token).await;
    assert_eq!(response.status, StatusCode::TEMPORARY_REDIRECT);
    let location = response.header("location").unwrap();
    mock.get(location).await;
    assert_eq!(mock.mock.calls().last().unwrap().path, location);
}

#[tokio::test]
async fn a_redirect_can_have_another_location() {
    let location = "http://127.0.0.1:1/";
    let (mock, _) =
        with_fault(json!({"operation": "jwks", "kind": "redirect", "location": location})).await;
    let response = mock.get("/auth/v1/.well-known/jwks.json").await;
    assert_eq!(response.header("location"), Some(location));
}

#[tokio::test]
async fn an_oversize_answer_is_valid_json_of_megabytes() {
    let (mock, _) = with_fault(json!({"operation": "jwks", "kind": "oversize"})).await;
    let response = mock.get("/auth/v1/.well-known/jwks.json").await;
    assert!(response.body.len() > 4 << 20 && response.json().is_object());
}

#[tokio::test]
async fn a_request_whose_response_is_lost_can_have_had_its_effect() {
    let (mock, session) =
        with_fault(json!({"operation": "logout", "kind": "reset", "effect": true})).await;
    read_to_end(raw_logout(&mock, &session).await).await.unwrap_err();
    assert!(!mock.mock.session_alive(session.session_id));
}

#[tokio::test]
async fn a_fault_acts_as_often_as_requested_and_only_on_its_operation() {
    let (mock, session) =
        with_fault(json!({"operation": "user", "kind": "status", "status": 500, "times": 2})).await;
    let bearer = format!("Bearer {}", session.access_token);
    let headers = [("authorization", bearer.as_str())];
    let mut seen = Vec::new();
    for _ in 0..3 {
        assert_eq!(mock.get("/auth/v1/.well-known/jwks.json").await.status, StatusCode::OK);
        seen.push(mock.send(Method::GET, "/auth/v1/user", &headers, None).await.status.as_u16());
    }
    assert_eq!(seen, [500, 500, 200]);
}

#[tokio::test]
async fn a_fault_without_times_lasts_until_reset() {
    let (mock, _) = with_fault(json!({"operation": "jwks", "kind": "status", "status": 502})).await;
    for _ in 0..4 {
        assert_eq!(mock.get("/auth/v1/.well-known/jwks.json").await.status.as_u16(), 502);
    }
    mock.post("/mock/reset", json!({})).await;
    assert_eq!(mock.get("/auth/v1/.well-known/jwks.json").await.status, StatusCode::OK);
}

#[tokio::test]
async fn faults_act_one_after_the_other() {
    let (mock, session) =
        with_fault(json!({"operation": "token", "kind": "status", "status": 503, "times": 1}))
            .await;
    mock.post(
        "/mock/faults",
        json!({"operation": "token", "kind": "status", "status": 504, "times": 1}),
    )
    .await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(mock.refresh(&session.refresh_token).await.status.as_u16());
    }
    assert_eq!(seen, [503, 504, 200]);
}

#[rstest]
#[case::nothing(json!({}))]
#[case::an_unknown_operation(json!({"operation": "nope", "kind": "status"}))]
#[case::an_unknown_kind(json!({"operation": "logout", "kind": "nope"}))]
#[case::no_times(json!({"operation": "logout", "kind": "hang", "times": 0}))]
#[case::an_impossible_status(json!({"operation": "logout", "kind": "status", "status": 99}))]
#[case::negative_seconds(json!({"operation": "logout", "kind": "delay", "seconds": -1}))]
#[tokio::test]
async fn an_invalid_fault_is_refused_and_changes_nothing(#[case] fault: Value) {
    let mock = RunningMock::start_default().await;
    let refused = mock.post("/mock/faults", fault).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.body);
    let session = mock.sign_up();
    assert_eq!(mock.logout(&session.access_token).await.status, StatusCode::NO_CONTENT);
}
