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
mod operation;
mod transport;

use std::time::SystemTime;

use axum::http::HeaderValue;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::telemetry::traces::TraceContext;

pub use self::{client::GoTrue, operation::Operation, transport::NoClient};

/// When the whole budget is used up.
pub type Deadline = Instant;

/// Whose request is passed on, for GoTrue's logs and rate limits.
#[derive(Clone, Debug)]
pub struct OnBehalfOf {
    /// Sent as `X-Request-Id`.
    pub request_id: HeaderValue,
    /// The client's address, sent as `X-Forwarded-For`.
    pub forwarded_for: HeaderValue,
    /// Sent as `User-Agent`.
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
    /// GoTrue's own clock, from the answer's `Date`.
    pub date: Option<SystemTime>,
    /// The answer's status, if one came.
    pub status: Option<u16>,
}

/// Why GoTrue did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `session_not_found`; when refreshing also `refresh_token_not_found` and `session_expired`.
    #[error("the session does not exist")]
    SessionNotFound,
    /// `user_not_found`.
    #[error("the user does not exist")]
    UserNotFound,
    /// `user_banned`: refused, and the session lives on.
    #[error("the user is banned")]
    UserBanned,
    /// `bad_jwt`: forged, expired by GoTrue's clock, or of a key it no longer has.
    #[error("the access token is not accepted")]
    BadJwt,
    /// `validation_failed` or `bad_json` when refreshing: no refresh token worth the name.
    #[error("the refresh token is not one")]
    BadRefreshToken,
    /// `refresh_token_already_used`: it will never do again, and the session may live.
    #[error("the refresh token was used before")]
    RefreshTokenUsed,
    /// 429.
    #[error("rate limited")]
    RateLimited {
        /// `Retry-After`, if it is seconds or a date.
        retry_after: Option<HeaderValue>,
    },
    /// No connection, 502 or 503.
    #[error("unreachable")]
    Unavailable {
        /// `Retry-After`, if it is seconds or a date.
        retry_after: Option<HeaderValue>,
    },
    /// 504, or the budget is used up.
    #[error("no answer in time")]
    Timeout,
    /// Anything that GoTrue never answers at this place.
    #[error("an unexpected answer")]
    Unexpected,
}

impl Refusal {
    /// Whether asking again later may help: it says nothing of the session.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. } | Self::Unavailable { .. } | Self::Timeout | Self::Unexpected
        )
    }
}
