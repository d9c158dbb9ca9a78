//! Faults that a test injects into GoTrue's endpoints.
//!
//! 1. A fault acts on the requests of one operation: `times` times, or until it is cleared if
//!    `times` is missing. If there are several faults for one operation, the oldest acts.
//! 2. A request that a fault acts on has no effect on sessions, unless the fault sets `effect` or
//!    is a `delay`.
//! 3. With `hang`, `reset`, `truncate` and `garbage` the client receives no complete response.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use axum::{
    Json,
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, LOCATION},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Value, json};

use crate::error::{self, ApiVersion};

/// One of GoTrue's endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    /// The path `/logout`.
    Logout,
    /// The path `/token`, with any grant.
    Token,
    /// The path `/.well-known/jwks.json`.
    Jwks,
    /// The path `/.well-known/openid-configuration`.
    OpenidConfiguration,
    /// The path `/user`, with any method.
    User,
    /// The path `/health`.
    Health,
}

impl Operation {
    /// The operation of a request's path; `None` if no fault can act on this path.
    pub(crate) fn from_path(path: &str) -> Option<Self> {
        match path {
            "/auth/v1/logout" => Some(Self::Logout),
            "/auth/v1/token" => Some(Self::Token),
            "/auth/v1/.well-known/jwks.json" => Some(Self::Jwks),
            "/auth/v1/.well-known/openid-configuration" => Some(Self::OpenidConfiguration),
            "/auth/v1/user" => Some(Self::User),
            "/auth/v1/health" => Some(Self::Health),
            _ => None,
        }
    }
}

/// One fault. The JSON that `POST /mock/faults` accepts deserializes to it, for example
/// `{"operation":"logout","kind":"status","status":503,"times":1}`. The README lists all members.
#[derive(Clone, Debug, Deserialize)]
pub struct Fault {
    pub(crate) operation: Operation,
    /// How often the fault acts; `None` if it acts until it is cleared.
    pub(crate) times: Option<NonZeroU32>,
    /// Whether the request changes sessions although the fault replaces its response.
    #[serde(default)]
    pub(crate) effect: bool,
    #[serde(flatten)]
    pub(crate) kind: FaultKind,
}

/// What a fault does with a request.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum FaultKind {
    /// Answers with a response that the test chooses.
    Status(FaultResponse),
    /// Handles the request normally after a pause.
    Delay {
        #[serde(deserialize_with = "seconds", default = "one_second", rename = "seconds")]
        by: Duration,
    },
    /// Sends no answer and keeps the connection open.
    Hang,
    /// Resets the connection (TCP `RST`).
    Reset,
    /// Closes the connection in the middle of a response's body.
    Truncate,
    /// Sends bytes that are not HTTP, and closes the connection.
    Garbage,
    /// Answers with a redirect, status 307.
    Redirect {
        /// The default is a path that the mock does not have: the call log shows whether the client
        /// followed the redirect.
        #[serde(default = "unknown_path")]
        location: String,
    },
    /// Answers with a body of 4 MiB.
    Oversize,
}

/// The response of [`FaultKind::Status`].
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct FaultResponse {
    /// The status, 200 to 599; by default 503.
    #[serde(deserialize_with = "status", default = "service_unavailable")]
    status: StatusCode,
    /// An error code. Without a `body` the response is GoTrue's error with this code.
    code: Option<String>,
    /// Headers to add to the response; they override headers such as `Content-Type`.
    #[serde(deserialize_with = "headers", default)]
    headers: HeaderMap,
    /// The body: a string is sent as text, any other value as JSON. Without `body` and `code` the
    /// response is that of an API gateway in front of GoTrue: `{"message":"…"}`.
    body: Option<Value>,
}

impl FaultResponse {
    pub(crate) fn into_response(self, version: ApiVersion) -> Response {
        let reason = self.status.canonical_reason().unwrap_or_default();
        let mut response = match (self.body, self.code) {
            (None, Some(code)) => error::error_response(self.status, &code, reason, version),
            (Some(Value::String(text)), _) => (self.status, text).into_response(),
            (Some(body), _) => (self.status, Json(body)).into_response(),
            (None, None) if self.status == StatusCode::NO_CONTENT => self.status.into_response(),
            (None, None) => (self.status, Json(json!({ "message": reason }))).into_response(),
        };
        response.headers_mut().extend(self.headers);
        response
    }
}

/// A redirect with status 307, which keeps method and body: a client that follows it sends its
/// credentials to another address.
pub(crate) fn redirect(location: &str) -> Response {
    let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// A response of 4 MiB. It is valid JSON, so that only its length can make a client refuse it.
pub(crate) fn oversize() -> Response {
    const LENGTH: usize = 4 << 20;
    let body = Bytes::from(json!({ "padding": "x".repeat(LENGTH) }).to_string());
    let json = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, json)], Body::from(body)).into_response()
}

/// The error that makes hyper give the connection back without sending a response. It says what the
/// mock then does with the connection.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("a fault resets the connection")]
    Reset,
    #[error("a fault closes the connection after bytes of its own")]
    CloseAfter(&'static [u8]),
}

/// A response whose body is shorter than its `Content-Length`.
pub(crate) const TRUNCATED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
    Content-Length: 500\r\n\r\n{\"access_token\":\"eyJhbGci";

/// Bytes that are not HTTP.
pub(crate) const GARBAGE: &[u8] = b"\x16\x03\x01\x00\xff this is not HTTP \xfe\xff\r\n\r\n\x00\x00";

fn one_second() -> Duration {
    Duration::from_secs(1)
}

fn service_unavailable() -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}

fn unknown_path() -> String {
    "/auth/v1/redirected".to_owned()
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StatusCode, D::Error> {
    StatusCode::from_u16(u16::deserialize(deserializer)?)
        .ok()
        .filter(|status| (200..=599).contains(&status.as_u16()))
        .ok_or_else(|| D::Error::custom("status is not one of 200 to 599"))
}

fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderMap, D::Error> {
    let pairs = BTreeMap::<String, String>::deserialize(deserializer)?;
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::try_from(name).map_err(D::Error::custom)?;
        headers.insert(name, HeaderValue::try_from(value).map_err(D::Error::custom)?);
    }
    Ok(headers)
}
