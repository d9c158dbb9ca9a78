//! The rules of sections 4 and 7 of the contract, which hold for the reply to every request.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header, request::Parts};
use bytes::Bytes;
use seeds::ALLOWED_ORIGIN;
use serde_json::Value;

use crate::cookie::SetCookie;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ALWAYS: [(&str, &str); 6] = [
    ("cache-control", "no-store"),
    ("pragma", "no-cache"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("vary", "Origin, Sec-Fetch-Site"),
];

/// Every error that the contract lists: its status, its code and its possible reasons.
const ERRORS: [(u16, &str, &[&str]); 11] = [
    (400, "BAD_REQUEST", &["unsupported_scope", "duplicate_header", "malformed_request"]),
    (401, "NOT_AUTHENTICATED", &["missing", "invalid", "expired", "not_found", "revoked"]),
    (403, "CSRF_FAILED", &["missing", "invalid", "cross_site"]),
    (404, "NOT_FOUND", &[]),
    (405, "METHOD_NOT_ALLOWED", &[]),
    (413, "PAYLOAD_TOO_LARGE", &[]),
    (415, "UNSUPPORTED_MEDIA_TYPE", &[]),
    (429, "RATE_LIMITED", &[]),
    (
        500,
        "LOGOUT_FAILED",
        &["auth_service_unavailable", "auth_service_timeout", "auth_service_error", "user_banned"],
    ),
    (503, "OVERLOADED", &[]),
    (503, "NOT_READY", &["key_set", "auth_service", "store", "shutting_down"]),
];

/// A reply of the gateway with its whole body.
pub type Reply = Response<Bytes>;

/// The value of a header, or `None`; panics if the reply has the header more than once.
#[must_use]
pub fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    let mut values = reply.headers().get_all(name).iter();
    let value = values.next().map(|value| value.to_str().expect("text"));
    assert!(values.next().is_none(), "the reply has {name} more than once");
    value
}

/// Asserts the rules of the contract that hold for every reply.
pub fn assert_contract(request: &Parts, reply: &Reply) {
    for (name, value) in ALWAYS {
        assert_eq!(header(reply, name), Some(value), "{reply:?}");
    }
    let policy = header(reply, "content-security-policy").expect("a policy");
    let page = request.uri.path().starts_with("/docs");
    assert!(policy == "default-src 'none'; frame-ancestors 'none'" || page, "{policy}");
    assert_eq!(header(reply, "server"), None);
    for value in reply.headers().values() {
        assert!(
            !value.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)),
            "{value:?}"
        );
    }
    assert_request_id(&request.headers, reply);
    if let Some(origin) = header(reply, "access-control-allow-origin") {
        assert_eq!(origin, ALLOWED_ORIGIN);
        assert_eq!(
            request.headers.get(header::ORIGIN).map(HeaderValue::as_bytes),
            Some(origin.as_bytes())
        );
    }
    for line in reply.headers().get_all(header::SET_COOKIE) {
        let cookie = SetCookie::parse(line.as_bytes());
        let path = request.uri.path().trim_end_matches('/');
        let csrf = path == "/api/auth/csrf" && cookie.name == "sb-csrf-token";
        assert!(csrf || cookie.value.is_empty() && cookie.max_age == 0, "{line:?}");
    }
    let status = reply.status().as_u16();
    match status {
        200 | 202 | 204 => {}
        // The redirects of `verify` and of forms.
        302 | 303 => assert!(header(reply, "location").is_some(), "{reply:?}"),
        400.. => assert_error(request, reply),
        _ => panic!("the contract has no such reply: {reply:?}"),
    }
    assert_eq!(header(reply, "www-authenticate").is_some(), status == 401);
    assert!(status != 405 || header(reply, "allow").is_some(), "{reply:?}");
}

fn assert_request_id(asked: &HeaderMap, reply: &Reply) {
    let id = header(reply, "x-request-id").expect("an id");
    let decent = |id: &[u8]| {
        (1..129).contains(&id.len())
            && id.iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
    };
    assert!(decent(id.as_bytes()), "{id}");
    let given: Vec<_> = asked.get_all(REQUEST_ID).iter().collect();
    if let [given] = given[..] {
        assert!(!decent(given.as_bytes()) || given == id, "{given:?} {id}");
    }
}

fn assert_error(request: &Parts, reply: &Reply) {
    if request.method == Method::HEAD {
        return;
    }
    assert_eq!(header(reply, "content-type"), Some("application/json"), "{reply:?}");
    let body: Value = serde_json::from_slice(reply.body()).expect("an envelope");
    let error = &body["error"];
    let code = error["code"].as_str().expect("a code");
    let known = ERRORS
        .iter()
        .find(|(status, known, _)| (*status, *known) == (reply.status().as_u16(), code));
    let (_, _, reasons) =
        known.unwrap_or_else(|| panic!("the contract has no such reply: {reply:?}"));
    match error["reason"].as_str() {
        Some(reason) => assert!(reasons.contains(&reason), "{body}"),
        None => assert!(reasons.is_empty(), "{body}"),
    }
    assert_eq!(error["request_id"].as_str(), header(reply, "x-request-id"));
    let text = error["message"].as_str().expect("a text");
    assert!(text.ends_with('.') && text.len() < 80, "{body}");
    // Only the 503 of `/readyz` has the member `since`.
    let since = request.uri.path() == "/readyz" && code == "NOT_READY";
    assert_eq!(error["since"].is_string(), since, "{body}");
    let members = error.as_object().expect("an object").len();
    assert_eq!(
        (body.as_object().map(serde_json::Map::len), members),
        (Some(1), 3 + usize::from(!reasons.is_empty()) + usize::from(since))
    );
}
