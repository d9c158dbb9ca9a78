//! The operations of GoTrue that the gateway uses, and their names in metrics and traces.

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
    /// `GET /.well-known/openid-configuration`
    OpenidConfiguration,
    /// `GET /health`
    Health,
}

/// How one try of a request to GoTrue ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum TryResult {
    /// GoTrue answered with the status of a success.
    Ok,
    /// The answer had another status below 500.
    Refused,
    /// The answer was 429.
    RateLimited,
    /// The gateway could not connect, no head of an answer came, or the answer was 502 or 503.
    Unavailable,
    /// The deadline passed, or the answer was 504.
    Timeout,
    /// The answer had any other status.
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
    pub(crate) fn purpose(self) -> &'static str {
        match self {
            Self::Logout => "revoke",
            Self::Token => "refresh",
            Self::User => "ask for the user",
            Self::Jwks => "fetch the key set",
            Self::OpenidConfiguration => "ask for the issuer",
            Self::Health => "ask for the health",
        }
    }
}
