//! The client of GoTrue: the only module that sends requests to it.
//!
//! 1. Every logout request has a `scope`, because without it GoTrue signs every device out (recording
//!    `logout-no-scope`).
//! 2. Only a 204 means that GoTrue revoked the session. The code of a refusal is in the header
//!    `x-sb-error-code`, or else in the body's `error_code` or `code` (both API versions). Without a code the
//!    status decides.
//! 3. The client retries once, within the caller's deadline, if no response head arrived or the status is
//!    502, 503 or 504. If the first try got no answer and the second one finds no session, the first try
//!    counts as the one that revoked it. `others` is an exception, because it does not end the session that
//!    asks.
//! 4. The client follows no redirect, uses no system proxy, and keeps at most 64 KiB of a response body.

pub mod answer;
mod client;
mod log;
mod request;
mod retry_after;
mod transport;

use std::{fmt, time::SystemTime};

use axum::http::HeaderValue;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::{outcome::Reason, telemetry::traces::TraceContext};

pub use self::{client::GoTrue, retry_after::RetryAfter};
pub(crate) use self::{
    log::{ConnectionSettings, report_omitted_lines, unanswered::TARGET as UNANSWERED_TARGET},
    transport::{HttpClientError, causes},
};

/// The time at which `GATEWAY_UPSTREAM_TIMEOUT` ends. It limits all tries of one request together.
pub(crate) type Deadline = Instant;

/// The client on whose behalf the gateway calls GoTrue, for GoTrue's logs and rate limits.
#[derive(Clone, Debug)]
pub struct OnBehalfOf {
    /// The id of the client's request, sent as `X-Request-Id`.
    pub request_id: HeaderValue,
    /// The client's address, sent as `X-Forwarded-For` and `Sb-Forwarded-For`. `None` if it is not known: GoTrue then
    /// gets neither header, because it reads only an IP address there.
    pub forwarded_for: Option<HeaderValue>,
    /// The client's `User-Agent`, sent unchanged. Its length is bounded, so that no client makes the request
    /// too large for GoTrue.
    pub user_agent: Option<HeaderValue>,
    /// The client's trace, sent as `traceparent` and `tracestate` unless the gateway exports a span of its
    /// own.
    pub trace: TraceContext,
}

impl OnBehalfOf {
    /// The client of a stored record. An empty `forwarded_for` is an address that was not known. A request id that
    /// no header can have becomes `unknown`.
    pub(crate) fn of_record(
        request_id: &str,
        forwarded_for: &str,
        user_agent: Option<&str>,
    ) -> Self {
        let value = |text: &str| HeaderValue::try_from(text).ok();
        Self {
            request_id: value(request_id).unwrap_or(HeaderValue::from_static("unknown")),
            forwarded_for: value(forwarded_for).filter(|address| !address.is_empty()),
            user_agent: user_agent.and_then(value),
            trace: TraceContext::default(),
        }
    }

    pub(crate) fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }
}

/// The result of a refresh. The access token is used to revoke its session and never leaves the gateway.
#[derive(Debug)]
pub struct Refreshed {
    /// The new access token.
    pub access_token: SecretString,
}

/// An answer to `GET /health`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HealthAnswer {
    pub(crate) status: u16,
    /// Whether the body says that the server is GoTrue.
    pub(crate) is_gotrue: bool,
    /// The major and minor version, if the body has one: 2 and 150 of `v2.150.1`.
    pub(crate) version: Option<(u32, u32)>,
    /// GoTrue's clock, from the header `Date`.
    pub(crate) date: Option<SystemTime>,
}

/// GoTrue's answer to a logout.
#[derive(Debug)]
pub(crate) struct LogoutAnswer {
    /// `Ok` if GoTrue revoked the sessions that the scope names, else the reason.
    pub(crate) result: Result<(), Refusal>,
    /// Whether a try without an answer may have revoked the session although the result says otherwise.
    pub(crate) unknown: bool,
    /// Whether the result is an assumption: GoTrue did not answer 204, but the session is gone after a try
    /// without an answer, and this try counts as the one that revoked it.
    pub(crate) assumed: bool,
    /// GoTrue's clock, from the header `Date`.
    pub(crate) date: Option<SystemTime>,
    /// The HTTP status, if an answer came.
    pub(crate) status: Option<u16>,
}

/// Why GoTrue did not do what the gateway asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// GoTrue answered a logout or `GET /user` with `session_not_found`: the session is gone.
    #[error("GoTrue does not know the session")]
    SessionNotFound,
    /// GoTrue answered a logout or `GET /user` with `user_not_found`: the user is gone, with all sessions.
    #[error("GoTrue does not know the user")]
    UserNotFound,
    /// GoTrue answered `user_banned`: it refuses the request, and the session stays active.
    #[error("the user is banned")]
    UserBanned,
    /// GoTrue answered `bad_jwt`: the token is forged, has expired by GoTrue's clock, or is signed with a key
    /// that GoTrue no longer has.
    #[error("GoTrue does not accept the access token")]
    BadJwt,
    /// GoTrue returned no access token for this refresh token. That proves nothing about the session: GoTrue
    /// deletes used refresh tokens of living sessions, and refuses a refresh while a second factor is due.
    #[error("GoTrue does not accept the refresh token")]
    RefreshTokenRefused,
    /// GoTrue answered 429.
    #[error("GoTrue limits the rate of requests")]
    RateLimited {
        /// `Retry-After`, if it is seconds or a date.
        retry_after: Option<RetryAfter>,
    },
    /// The gateway could not connect, or the answer was 502 or 503.
    #[error("GoTrue is unreachable")]
    Unavailable {
        /// `Retry-After`, if it is seconds or a date.
        retry_after: Option<RetryAfter>,
    },
    /// The connection broke before the whole answer was there.
    #[error("the connection to GoTrue broke before an answer came")]
    NoAnswer,
    /// The answer was 504: GoTrue did not answer the proxy in front of it.
    #[error("the proxy in front of GoTrue got no answer in time")]
    GatewayTimeout,
    /// The deadline passed before an answer came.
    #[error("GoTrue did not answer in time")]
    Timeout,
    /// The answer was another 5xx.
    #[error("GoTrue had an internal error")]
    Failed,
    /// The answer was a 4xx without a code that GoTrue uses for this operation, or a status that GoTrue does
    /// not use: the request itself or the configuration is the cause.
    #[error("GoTrue gave an unexpected answer")]
    Unexpected,
}

/// Why the gateway did not get a document that GoTrue publishes, or the answer to `GET /health`.
#[derive(Debug)]
pub(crate) struct FetchError {
    refusal: Refusal,
    /// Why there was no connection, or why the connection broke: for example a name that was not found, a refused
    /// connection or a certificate.
    cause: Option<String>,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Some(cause) => write!(f, "{}: {cause}", self.refusal),
            None => self.refusal.fmt(f),
        }
    }
}

impl FetchError {
    /// What an operator should check.
    pub(crate) fn advice(&self, settings: ConnectionSettings) -> String {
        settings.advice(&self.refusal, self.cause.as_deref().unwrap_or_default())
    }
}

impl From<Refusal> for FetchError {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, cause: None }
    }
}

impl Refusal {
    /// Whether a later retry may succeed, because the cause is temporary and not the request itself.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::Unavailable { .. }
            | Self::NoAnswer
            | Self::GatewayTimeout
            | Self::Timeout
            | Self::Failed => true,
            Self::SessionNotFound
            | Self::UserNotFound
            | Self::UserBanned
            | Self::BadJwt
            | Self::RefreshTokenRefused
            | Self::Unexpected => false,
        }
    }

    /// The reason that responses, log lines and metrics give for this refusal.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::SessionNotFound | Self::UserNotFound => Reason::NotFound,
            Self::UserBanned => Reason::UserBanned,
            Self::RateLimited { .. } => Reason::RateLimited,
            Self::Unavailable { .. } | Self::NoAnswer => Reason::AuthServiceUnavailable,
            Self::GatewayTimeout | Self::Timeout => Reason::AuthServiceTimeout,
            Self::RefreshTokenRefused => Reason::Expired,
            Self::BadJwt | Self::Failed | Self::Unexpected => Reason::AuthServiceError,
        }
    }

    /// Whether other requests would be refused as well, because GoTrue itself is down or rate-limiting. A
    /// timeout or a failure may concern one request alone.
    #[must_use]
    pub fn is_about_gotrue(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unavailable { .. } | Self::GatewayTimeout)
    }
}
