//! Each kind of fault on endpoints other than the logout: what the client receives, and whether the request has had its
//! effect.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper that panics makes its test fail, as it should"
)]

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::harness::{PASSWORD, RunningMock};

const SIGN_UP: &str = "POST /auth/v1/signup";

/// The longest wait for a response that must come.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// The wait for a response that must not come.
const SILENCE: Duration = Duration::from_millis(100);

/// Sends the body of a sign-up to an endpoint on a connection of its own, and reads until the connection ends. Returns
/// the kind of fault that this looks like, or `none`.
async fn kind_seen(mock: &RunningMock, endpoint: &str, limit: Duration) -> &'static str {
    let address = mock.mock.url().strip_prefix("http://").unwrap();
    let body = json!({"email": "ann@example.com", "password": PASSWORD}).to_string();
    let length = body.len();
    let head = format!("{endpoint} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    match timeout(limit, stream.read_to_end(&mut bytes)).await {
        Err(_) if bytes.is_empty() => "hang",
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionReset => "reset",
        Ok(Ok(_)) => kind_of_response(&String::from_utf8_lossy(&bytes)),
        result => panic!("{result:?}"),
    }
}

fn kind_of_response(response: &str) -> &'static str {
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or_default();
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    match head.strip_prefix("HTTP/1.1 ").map(|rest| rest.split(' ').next()) {
        Some(Some("200")) if length.is_some_and(|length| body.len() < length) => "truncate",
        Some(Some("200")) if body.len() > 4 << 20 => "oversize",
        Some(Some("200")) => "none",
        Some(Some("307")) => "redirect",
        Some(Some("503")) => "status",
        None if !head.is_empty() => "garbage",
        _ => panic!("{head}"),
    }
}

async fn inject(mock: &RunningMock, operation: &str, mut fault: Value) {
    fault["operation"] = json!(operation);
    let injected = mock.post("/mock/faults", fault).await;
    assert_eq!(injected.status, StatusCode::NO_CONTENT, "{}", injected.body);
}

fn limit(kind: &str) -> Duration {
    if kind == "hang" { SILENCE } else { TIME_LIMIT }
}

#[rstest]
#[case::on_a_sign_up("signup", SIGN_UP)]
#[case::on_a_code("otp", "POST /auth/v1/otp")]
#[case::on_the_settings("settings", "GET /auth/v1/settings")]
#[tokio::test]
async fn a_fault_of_each_kind_acts_once_and_the_request_has_no_effect(
    #[values("status", "hang", "reset", "truncate", "garbage", "redirect", "oversize")] kind: &str,
    #[case] operation: &str,
    #[case] endpoint: &str,
) {
    let mock = RunningMock::start_default().await;
    inject(&mock, operation, json!({"kind": kind, "times": 1})).await;
    assert_eq!(kind_seen(&mock, endpoint, limit(kind)).await, kind);
    assert_eq!(mock.mock.find_user_id("ann@example.com"), None);
    assert_eq!(kind_seen(&mock, endpoint, TIME_LIMIT).await, "none");
}

#[rstest]
#[tokio::test]
async fn a_fault_of_each_kind_can_leave_the_request_its_effect(
    #[values("status", "hang", "reset", "truncate", "garbage", "redirect", "oversize")] kind: &str,
) {
    let mock = RunningMock::start_default().await;
    inject(&mock, "signup", json!({"kind": kind, "effect": true})).await;
    assert_eq!(kind_seen(&mock, SIGN_UP, limit(kind)).await, kind);
    let created = async {
        while mock.mock.find_user_id("ann@example.com").is_none() {
            tokio::task::yield_now().await;
        }
    };
    timeout(TIME_LIMIT, created).await.unwrap();
}

#[rstest]
#[case::as_long_as_it_says(json!({"kind": "delay", "seconds": 0.05}), Duration::from_millis(50))]
#[case::a_second_by_default(json!({"kind": "delay"}), Duration::from_secs(1))]
#[tokio::test]
async fn a_delay_keeps_the_right_response_back(#[case] fault: Value, #[case] pause: Duration) {
    let mock = RunningMock::start_default().await;
    inject(&mock, "signup", fault).await;
    let start = Instant::now();
    assert_eq!(kind_seen(&mock, SIGN_UP, TIME_LIMIT).await, "none");
    assert!(start.elapsed() >= pause);
    assert!(mock.mock.find_user_id("ann@example.com").is_some());
}
