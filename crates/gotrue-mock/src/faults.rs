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
        header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Value, json};

use crate::{
    error::{self, ApiVersion},
    error_codes::usual_error,
    operation::Operation,
};

/// One fault. The JSON that `POST /mock/faults` accepts deserializes to it, for example
/// `{"operation":"logout","kind":"status","status":503,"times":1}`. `docs/ci.md` lists all members.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Value")]
pub struct Fault {
    pub(crate) operation: Operation,
    /// How often the fault acts; `None` if it acts until it is cleared.
    pub(crate) times: Option<NonZeroU32>,
    /// Whether the request changes sessions although the fault replaces its response.
    pub(crate) effect: bool,
    pub(crate) kind: FaultKind,
    /// The JSON from which the fault was made.
    definition: Value,
}

/// The members that a fault can have, each for one kind or for all.
const MEMBERS: [&str; 11] = [
    "operation",
    "kind",
    "times",
    "effect",
    "status",
    "code",
    "message",
    "headers",
    "body",
    "seconds",
    "location",
];

#[derive(Deserialize)]
struct FaultMembers {
    operation: Operation,
    times: Option<NonZeroU32>,
    #[serde(default)]
    effect: bool,
    #[serde(flatten)]
    kind: FaultKind,
}

impl TryFrom<Value> for Fault {
    type Error = serde_json::Error;

    fn try_from(definition: Value) -> Result<Self, serde_json::Error> {
        let names = definition.as_object().into_iter().flat_map(|members| members.keys());
        if let Some(unknown) = names.into_iter().find(|name| !MEMBERS.contains(&name.as_str())) {
            return Err(serde_json::Error::custom(format!("unknown member {unknown}")));
        }
        let FaultMembers { operation, times, effect, kind } =
            FaultMembers::deserialize(&definition)?;
        kind.check().map_err(serde_json::Error::custom)?;
        Ok(Self { operation, times, effect, kind, definition })
    }
}

impl Fault {
    /// The JSON of the fault, as `GET /mock/faults` shows it: `times` is the number of requests that are left.
    pub(crate) fn to_json(&self) -> Value {
        let mut json = self.definition.clone();
        if let (Some(members), Some(times)) = (json.as_object_mut(), self.times) {
            members.insert("times".to_owned(), json!(times));
        }
        json
    }
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

impl FaultKind {
    /// Why this fault would not do what it says; `Ok` if it does.
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Status(FaultResponse { status: None, code: Some(code), .. })
                if usual_error(code).is_none() =>
            {
                Err(format!("GoTrue has no code {code}: correct it, or give a status, too"))
            }
            Self::Status(response) if response.headers.contains_key(CONTENT_LENGTH) => {
                Err("the length of a response follows from its body".to_owned())
            }
            Self::Redirect { location } if HeaderValue::from_str(location).is_err() => {
                Err("location is no value of a header".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// The response of [`FaultKind::Status`].
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct FaultResponse {
    /// The status, 200 to 599. The default is GoTrue's own for the code, else 503.
    #[serde(deserialize_with = "status", default)]
    status: Option<StatusCode>,
    /// An error code. Without a `body` the response is GoTrue's error with this code.
    code: Option<String>,
    /// The message of an error with a code. The default is one that GoTrue sends with the code.
    message: Option<String>,
    /// Headers to add to the response; they override headers such as `Content-Type`.
    #[serde(deserialize_with = "headers", default)]
    headers: HeaderMap,
    /// The body: a string is sent as text, any other value as JSON. Without `body` and `code` the
    /// response is that of an API gateway in front of GoTrue: `{"message":"…"}`.
    body: Option<Value>,
}

impl FaultResponse {
    pub(crate) fn into_response(self, version: ApiVersion) -> Response {
        let usual = self.code.as_deref().and_then(usual_error);
        let status = self.status.or(usual.map(|(status, _)| status));
        let status = status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let reason = status.canonical_reason().unwrap_or_default();
        let mut response = match (self.body, self.code) {
            (None, Some(code)) => {
                let usual = usual.map_or(reason, |(_, message)| message);
                let message = self.message.as_deref().unwrap_or(usual);
                error::error_response(status, &code, message, version)
            }
            (Some(Value::String(text)), _) => (status, text).into_response(),
            (Some(body), _) => (status, Json(body)).into_response(),
            (None, None) if status == StatusCode::NO_CONTENT => status.into_response(),
            (None, None) => (status, Json(json!({ "message": reason }))).into_response(),
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
    Access-Control-Allow-Origin: *\r\n\
    Content-Length: 500\r\n\r\n{\"access_token\":\"eyJhbGci";

/// Bytes that are not HTTP.
pub(crate) const GARBAGE: &[u8] = b"\x16\x03\x01\x00\xff this is not HTTP \xfe\xff\r\n\r\n\x00\x00";

fn one_second() -> Duration {
    Duration::from_secs(1)
}

fn unknown_path() -> String {
    "/auth/v1/redirected".to_owned()
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<StatusCode>, D::Error> {
    let status = StatusCode::from_u16(u16::deserialize(deserializer)?).ok();
    status
        .filter(|status| (200..=599).contains(&status.as_u16()))
        .map(Some)
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
