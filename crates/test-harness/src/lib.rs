//! Helpers for all tests and benchmarks: a real gateway on a free port with the GoTrue mock behind it, one
//! clock that the test sets for both, and a browser that keeps cookies as RFC 6265 requires.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::new_without_default,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    missing_docs,
    reason = "a helper that panics makes its test fail, as it should"
)]

mod browser;
mod connect;
mod cookie_jar;
pub mod cpu_time;
mod fault_proxy;
mod gateway_process;
mod http;
pub mod jar_requests;
pub mod leak_check;
mod recordings;
mod redis_server;
mod response_headers;
mod server_process;
mod signers;
mod test_app;
mod test_clock;
mod threads;
mod tokens;
mod trace_collector;
pub mod uri_component;

use std::time::{Duration, UNIX_EPOCH};

pub use self::{
    browser::{Browser, CookieFormat, session_cookies},
    cookie_jar::{CookieJar, Page},
    fault_proxy::{FaultProxy, FaultStep, Operation},
    gateway_process::{API_KEY, GatewayProcess, Log, gateway_binary, unprivileged_gateway},
    http::{Connection, Reply, Request},
    recordings::{RECORDED_AT, RECORDED_ISSUER, SsrCookieJar, recording, ssr_cookie_jars},
    redis_server::RedisServer,
    response_headers::{assert_deletes_cookies, assert_only_known_headers},
    server_process::ServerProcess,
    signers::Signer,
    test_app::{SECRET, START_TIME, Setup, TestApp},
    test_clock::TestClock,
    threads::{BackgroundThread, run_concurrently},
    tokens::{claims_of, forged_token, hs256_token},
    trace_collector::{Span, TraceCollector},
};

/// The paths of the three logout routes, without and with a slash at the end.
pub const LOGOUT_PATHS: [&str; 6] = [
    "/api/auth/logout",
    "/api/v1/auth/logout",
    "/logout",
    "/logout/",
    "/api/auth/logout/",
    "/api/v1/auth/logout/",
];

/// Polls `condition` until it is true; fails the test if it is still false after 20 seconds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl FnMut() -> F) {
    let timeout = Duration::from_secs(20);
    assert!(eventually_within(timeout, condition).await, "not true within 20 s: {what}");
}

/// Polls `condition` until it is true or `timeout` has passed; returns whether it became true.
pub async fn eventually_within<F: Future<Output = bool>>(
    timeout: Duration,
    mut condition: impl FnMut() -> F,
) -> bool {
    let polling = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(timeout, polling).await.is_ok()
}

/// Asserts that `reply` is exactly the success response of `route`, and that `X-Logout-Outcome` is `outcome`.
#[track_caller]
pub fn assert_success(reply: &Reply, route: &str, user: uuid::Uuid, outcome: &str) {
    let (status, body) = match route.trim_end_matches('/') {
        "/api/auth/logout" => (200, r#"{"data":{"success":true}}"#.to_owned()),
        "/api/v1/auth/logout" => (204, String::new()),
        _ => (200, format!(r#"{{"message":"Logout successful. User id: {user}"}}"#)),
    };
    assert_eq!((reply.status, reply.text()), (status, body), "{route}");
    assert_eq!(reply.header("x-logout-outcome"), Some(outcome), "{route}");
    let content_type = (status == 200).then_some("application/json");
    assert_eq!(reply.header("content-type"), content_type, "{route}");
}

/// Asserts that `reply` is an error response `{"error": {…}}` with exactly the members that the contract
/// lists.
#[track_caller]
pub fn assert_error(reply: &Reply, status: u16, code: &str, reason: Option<&str>) {
    let members: &[&str] = match reason {
        Some(_) => &["code", "message", "reason", "request_id"],
        None => &["code", "message", "request_id"],
    };
    assert_envelope(reply, members, status, code, reason);
}

/// Asserts that `reply` is a 503 of `/readyz` that names `part` as missing. Returns the time in the member
/// `since`, in seconds since the Unix epoch.
#[track_caller]
pub fn assert_not_ready(reply: &Reply, part: &str) -> i64 {
    let members = ["code", "message", "reason", "request_id", "since"];
    assert_envelope(reply, &members, 503, "NOT_READY", Some(part));
    let since = reply.json()["error"]["since"].as_str().unwrap().to_owned();
    assert_eq!(since.len(), "2027-01-15T08:00:00Z".len(), "{since}");
    let since = humantime::parse_rfc3339(&since).unwrap();
    i64::try_from(since.duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

#[track_caller]
fn assert_envelope(
    reply: &Reply,
    expected: &[&str],
    status: u16,
    code: &str,
    reason: Option<&str>,
) {
    assert_eq!(reply.status, status, "{reply:?}");
    let error = &reply.json()["error"];
    assert_eq!(error["code"], code, "{reply:?}");
    assert_eq!(error["reason"].as_str(), reason, "{reply:?}");
    let members: Vec<&str> = error.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, expected);
    assert_eq!(reply.json().as_object().unwrap().len(), 1);
    assert_eq!(error["request_id"].as_str(), reply.header("x-request-id"));
    assert!(error["message"].as_str().is_some_and(|text| text.ends_with('.')));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("www-authenticate"), (status == 401).then_some("Bearer"));
}
