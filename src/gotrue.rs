//! The client of GoTrue: the only module that sends requests to it.
//!
//! 1. Every logout names its scope, because GoTrue's default is to sign every device out (recording
//!    `logout-no-scope`).
//! 2. Only 204 means revoked. The code of a refusal is in `x-sb-error-code`, or else in the body's
//!    `error_code` or `code` (both API versions); without a code the status decides.
//! 3. The client retries once, within the caller's deadline, if no response head arrived or the status is 502,
//!    503 or 504. If the session is gone after a try without an answer, that try counts as the one that
//!    revoked it, except with `others`, which does not end this session.
//! 4. The client follows no redirect, uses no system proxy, and keeps at most 64 KiB of a response body.

pub mod answer;
mod client;
mod log;
mod operation;
mod request;
mod retry_after;
mod transport;

use std::time::SystemTime;

use axum::http::HeaderValue;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::{outcome::Reason, telemetry::traces::TraceContext};

pub use self::{
    client::GoTrue,
    operation::{Operation, TryResult},
    retry_after::RetryAfter,
};
pub(crate) use self::{log::report_omitted_lines, transport::HttpClientError};

/// When `GATEWAY_UPSTREAM_TIMEOUT` ends for all tries of one request together.
pub(crate) type Deadline = Instant;

/// The client on whose behalf the gateway calls GoTrue, for GoTrue's logs and rate limits.
#[derive(Clone, Debug)]
pub struct OnBehalfOf {
    /// Sent as `X-Request-Id`.
    pub request_id: HeaderValue,
    /// The client's address, sent as `X-Forwarded-For` and `Sb-Forwarded-For`.
    pub forwarded_for: HeaderValue,
    /// Sent as `User-Agent`. Its length is bounded, so that no client makes the request too large for GoTrue.
    pub user_agent: Option<HeaderValue>,
    /// Sent as `traceparent` and `tracestate`, unless the gateway exports a span of its own.
    pub trace: TraceContext,
}

impl OnBehalfOf {
    /// The request's id as text.
    pub(crate) fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }
}

/// The result of a refresh. The token is used to revoke its session and never leaves the gateway.
#[derive(Debug)]
pub struct Refreshed {
    /// The new access token.
    pub access_token: SecretString,
}

/// An answer to `GET /health`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HealthAnswer {
    /// The status.
    pub(crate) status: u16,
    /// Whether the body names GoTrue.
    pub(crate) is_gotrue: bool,
    /// The major and minor version, if the body has one: 2 and 150 of `v2.150.1`.
    pub(crate) version: Option<(u32, u32)>,
    /// GoTrue's clock, from the `Date`.
    pub(crate) date: Option<SystemTime>,
}

/// GoTrue's answer to a logout.
#[derive(Debug)]
pub(crate) struct LogoutAnswer {
    /// `Ok` if GoTrue revoked what the scope names, else the reason.
    pub(crate) result: Result<(), Refusal>,
    /// Whether a try without an answer may have revoked the session although the result says otherwise.
    pub(crate) unknown: bool,
    /// Whether the result is an assumption: GoTrue did not answer 204, but the session is gone after a try
    /// without an answer, which counts as the one that revoked it.
    pub(crate) assumed: bool,
    /// GoTrue's clock, from the `Date`.
    pub(crate) date: Option<SystemTime>,
    /// The status, if an answer came.
    pub(crate) status: Option<u16>,
}

/// Why GoTrue did not do what the gateway asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `session_not_found` as the answer to a logout or to `GET /user`: the session is gone.
    #[error("the session does not exist")]
    SessionNotFound,
    /// `user_not_found` as the answer to a logout or to `GET /user`: the user is gone, with all sessions.
    #[error("the user does not exist")]
    UserNotFound,
    /// `user_banned`: GoTrue refuses, and the session lives on.
    #[error("the user is banned")]
    UserBanned,
    /// `bad_jwt`: the token is forged, has expired by GoTrue's clock, or is signed with a key that GoTrue no
    /// longer has.
    #[error("the access token is not accepted")]
    BadJwt,
    /// GoTrue returns no access token for this refresh token. That proves nothing about the session: GoTrue
    /// deletes used refresh tokens of living sessions, and refuses a refresh while a second factor is due.
    #[error("the refresh token is not accepted")]
    RefreshTokenRefused,
    /// GoTrue answered 429.
    #[error("rate limited")]
    RateLimited {
        /// `Retry-After`, if it is seconds or a date.
        retry_after: Option<RetryAfter>,
    },
    /// There was no connection, or the answer was 502 or 503.
    #[error("unreachable")]
    Unavailable {
        /// `Retry-After`, if it is seconds or a date.
        retry_after: Option<RetryAfter>,
    },
    /// The connection broke before the whole answer was there.
    #[error("the connection broke before an answer")]
    NoAnswer,
    /// The answer was 504: GoTrue did not answer the proxy in front of it.
    #[error("no answer in time, says the proxy in front of GoTrue")]
    GatewayTimeout,
    /// The deadline passed.
    #[error("no answer in time")]
    Timeout,
    /// The answer was another 5xx.
    #[error("an internal error")]
    Failed,
    /// The answer was a 4xx without a code that GoTrue uses for this operation, or a status that GoTrue does not
    /// use: the cause is this request or the configuration.
    #[error("an unexpected answer")]
    Unexpected,
}

impl Refusal {
    /// Whether a later retry may succeed: the refusal is not about the request itself.
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

    /// The contract's word for it.
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
