//! The operations of GoTrue that the gateway uses, and the names of operations and results in metrics and traces.

use strum::{IntoStaticStr, VariantArray};

/// An endpoint of GoTrue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Operation {
    /// `POST /logout`
    Logout,
    /// `POST /token?grant_type=refresh_token`
    Token,
    /// `GET /user`
    User,
    /// `GET /.well-known/jwks.json`
    Jwks,
    /// `GET /health`
    Health,
}

/// How one try of a request to GoTrue ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum TryResult {
    /// The status of a success.
    Ok,
    /// Any other status below 500.
    Refused,
    /// 429.
    RateLimited,
    /// No connection, no head of an answer, 502 or 503.
    Unavailable,
    /// The budget was used up, or 504.
    Timeout,
    /// Any other status.
    Error,
}

impl TryResult {
    /// The label of metrics and the field of spans.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Operation {
    /// The label of metrics and the field of log lines.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }

    /// The name of the span in a trace.
    pub(super) fn purpose(self) -> &'static str {
        match self {
            Self::Logout => "revoke",
            Self::Token => "refresh",
            Self::User => "ask for the user",
            Self::Jwks => "fetch the key set",
            Self::Health => "ask for the health",
        }
    }
}
