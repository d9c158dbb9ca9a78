//! The only room that speaks to GoTrue.
//!
//! 1. Every logout names its scope: GoTrue's own default signs every device out
//!    (recording `logout-no-scope`).
//! 2. Only 204 means revoked. A refusal is told by `x-sb-error-code`, then by the body's
//!    `error_code` or `code` (both API versions), then by the status.
//! 3. One retry when no answer's head arrived or on 502, 503 and 504, inside the caller's deadline.
//!    After a try whose outcome is unknown, a session that is gone was revoked by it (not so with
//!    `others`, which leaves this session alone).
//! 4. No redirect is followed, no system proxy used, no answer read beyond 64 KiB.

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

use crate::{logout::outcome::Reason, telemetry::traces::TraceContext};

pub(crate) use self::log::report_omitted_lines;
pub use self::{
    client::GoTrue,
    operation::{Operation, TryResult},
    retry_after::RetryAfter,
    transport::HttpClientError,
};

/// When the whole budget is used up.
pub type Deadline = Instant;

/// Whose request is passed on, for GoTrue's logs and rate limits.
#[derive(Clone, Debug)]
pub struct OnBehalfOf {
    /// Sent as `X-Request-Id`.
    pub request_id: HeaderValue,
    /// The client's address, sent as `X-Forwarded-For` and `Sb-Forwarded-For`.
    pub forwarded_for: HeaderValue,
    /// Sent as `User-Agent`; bounded, so that no client makes the request too large for GoTrue.
    pub user_agent: Option<HeaderValue>,
    /// Sent as `traceparent` and `tracestate`, unless our own span is.
    pub trace: TraceContext,
}

impl OnBehalfOf {
    /// The request's id as text.
    #[must_use]
    pub fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }
}

/// A session's fresh tokens; they are for revoking it and never leave the gateway.
#[derive(Debug)]
pub struct Refreshed {
    /// The new access token.
    pub access_token: SecretString,
}

/// Who answered a `GET /health`.
#[derive(Clone, Copy, Debug)]
pub struct Health {
    /// The answer's status.
    pub status: u16,
    /// Whether it says to be GoTrue.
    pub is_gotrue: bool,
    /// Its major and minor version, if the answer has one: 2 and 150 of `v2.150.1`.
    pub version: Option<(u32, u32)>,
    /// Its clock, from the answer's `Date`.
    pub date: Option<SystemTime>,
}

/// GoTrue's answer to a logout.
#[derive(Debug)]
pub struct LogoutAnswer {
    /// Revoked, or why not.
    pub result: Result<(), Refusal>,
    /// Where it is not revoked: it may be all the same, by a try whose answer did not come.
    pub unknown: bool,
    /// GoTrue did not say 204: the session is gone after a try whose answer did not come, which counts as
    /// revoked by that try.
    pub assumed: bool,
    /// GoTrue's own clock, from the answer's `Date`.
    pub date: Option<SystemTime>,
    /// The answer's status, if one came.
    pub status: Option<u16>,
}

/// Why GoTrue did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `session_not_found` in answer to a logout or to `GET /user`: the session is gone.
    #[error("the session does not exist")]
    SessionNotFound,
    /// `user_not_found` in answer to a logout or to `GET /user`: the user is gone, with all sessions.
    #[error("the user does not exist")]
    UserNotFound,
    /// `user_banned`: refused, and the session lives on.
    #[error("the user is banned")]
    UserBanned,
    /// `bad_jwt`: forged, expired by GoTrue's clock, or of a key it no longer has.
    #[error("the access token is not accepted")]
    BadJwt,
    /// GoTrue gives no access token for this refresh token. That proves nothing about the session:
    /// GoTrue deletes used refresh tokens of living sessions, and refuses them while a second factor is
    /// due.
    #[error("the refresh token is not accepted")]
    RefreshTokenRefused,
    /// 429.
    #[error("rate limited")]
    RateLimited {
        /// `Retry-After`, if it is seconds or a date.
        retry_after: Option<RetryAfter>,
    },
    /// No connection, 502 or 503.
    #[error("unreachable")]
    Unavailable {
        /// `Retry-After`, if it is seconds or a date.
        retry_after: Option<RetryAfter>,
    },
    /// The connection broke before the whole answer was there.
    #[error("the connection broke before an answer")]
    NoAnswer,
    /// 504: GoTrue did not answer the proxy in front of it.
    #[error("no answer in time, says the proxy in front")]
    GatewayTimeout,
    /// The budget is used up.
    #[error("no answer in time")]
    Timeout,
    /// Any other 5xx.
    #[error("an internal error")]
    Failed,
    /// A 4xx without one of GoTrue's codes, a code that GoTrue does not have at this place, or a status
    /// that GoTrue does not answer with: it is about this request or the configuration.
    #[error("an unexpected answer")]
    Unexpected,
}

impl Refusal {
    /// Whether asking again later may help: it says nothing about the request.
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
    #[must_use]
    pub fn reason(&self) -> Reason {
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

    /// Whether it is about GoTrue as a whole, so that other requests would fail as well. A request that
    /// GoTrue does not answer in time, or fails at, may be alone in that.
    #[must_use]
    pub fn is_about_gotrue(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unavailable { .. } | Self::GatewayTimeout)
    }
}
