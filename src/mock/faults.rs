//! Faults: what a test asks the mock to do instead of answering.
//!
//! 1. A fault concerns one operation. The oldest one that has times left acts; each time it acts
//!    counts, and without `times` it lasts until reset.
//! 2. But for `delay`, the request has no effect, unless the fault says `effect`: then sessions
//!    change, and only the answer goes wrong.
//! 3. `hang`, `reset`, `truncate` and `garbage` act on the connection itself.

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

use super::error::{self, ApiVersion};

/// What a fault concerns: one of GoTrue's endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// `/logout`.
    Logout,
    /// `/token`, any grant.
    Token,
    /// `/.well-known/jwks.json`.
    Jwks,
    /// `/user`.
    User,
    /// `/health`.
    Health,
}

impl Operation {
    /// The operation at a path of the mock.
    pub(super) fn at(path: &str) -> Option<Self> {
        match path {
            "/auth/v1/logout" => Some(Self::Logout),
            "/auth/v1/token" => Some(Self::Token),
            "/auth/v1/.well-known/jwks.json" => Some(Self::Jwks),
            "/auth/v1/user" => Some(Self::User),
            "/auth/v1/health" => Some(Self::Health),
            _ => None,
        }
    }
}

/// One fault, as `POST /mock/faults` takes it.
#[derive(Clone, Debug, Deserialize)]
pub struct Fault {
    /// What it concerns.
    pub operation: Operation,
    /// How often it acts; `None`: until reset.
    pub times: Option<NonZeroU32>,
    /// Whether the request takes effect although its answer goes wrong.
    #[serde(default)]
    pub effect: bool,
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: Kind,
}

/// What goes wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    /// Another answer.
    Status(Answer),
    /// The right answer, late.
    Delay {
        /// Seconds.
        #[serde(deserialize_with = "seconds", default = "one_second", rename = "seconds")]
        by: Duration,
    },
    /// No answer; the connection stays open.
    Hang,
    /// The connection is reset (a TCP `RST`).
    Reset,
    /// A response that ends in the middle of its body.
    Truncate,
    /// Octets that are not HTTP.
    Garbage,
    /// A redirect.
    Redirect {
        /// Where to; without it to a path of the mock that does not exist, so that the call log
        /// shows who followed.
        #[serde(default = "nowhere")]
        location: String,
    },
    /// An answer of several megabytes.
    Oversize,
}

/// The answer of [`Kind::Status`].
#[derive(Clone, Debug, Deserialize)]
pub struct Answer {
    /// 200 to 599, default 503.
    #[serde(deserialize_with = "status", default = "service_unavailable")]
    pub status: StatusCode,
    /// A GoTrue error code: header and body are GoTrue's then.
    pub code: Option<String>,
    /// Sent besides; a `Content-Type` here is the body's.
    #[serde(deserialize_with = "headers", default)]
    pub headers: HeaderMap,
    /// A text as it is, anything else as JSON. Without it and without `code` the answer is that of
    /// an API gateway in front of GoTrue: `{"message":"…"}`.
    pub body: Option<Value>,
}

impl Answer {
    /// Nothing but a status.
    #[must_use]
    pub fn of(status: StatusCode) -> Self {
        Self { status, code: None, headers: HeaderMap::new(), body: None }
    }

    pub(super) fn respond(self, version: ApiVersion) -> Response {
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

/// A redirect that keeps method and body, as a client that follows it would be worst off with.
pub(super) fn redirect(location: &str) -> Response {
    let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// Valid JSON, so that nothing but its length can be held against it.
pub(super) fn oversize() -> Response {
    const LENGTH: usize = 4 << 20;
    let body = Bytes::from(json!({ "padding": "x".repeat(LENGTH) }).to_string());
    let json = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, json)], Body::from(body)).into_response()
}

/// What the connection is to do instead of sending a response.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the connection is to be reset")]
    Reset,
    #[error("the connection is to end after these octets")]
    Octets(&'static [u8]),
}

/// Less of a body than the head promises.
pub(super) const TRUNCATED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
    Content-Length: 500\r\n\r\n{\"access_token\":\"eyJhbGci";

/// Not HTTP, and long enough for a client to notice.
pub(super) const GARBAGE: &[u8] = b"\x16\x03\x01\x00\xff this is not HTTP \xfe\xff\r\n\r\n\x00\x00";

fn one_second() -> Duration {
    Duration::from_secs(1)
}

fn service_unavailable() -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}

fn nowhere() -> String {
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
