//! The operations of GoTrue that the gateway uses, and their names in metrics and traces.

/// An endpoint of GoTrue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl Operation {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Token => "token",
            Self::User => "user",
            Self::Jwks => "jwks",
            Self::Health => "health",
        }
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
