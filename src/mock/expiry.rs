//! Sessions that GoTrue no longer refreshes although their rows exist.
//!
//! Only a refresh looks at these limits: the access token, a logout and the row go on (recorded:
//! `session-timebox-refresh`, `session-inactive-refresh`, `session-low-aal-refresh`,
//! `session-single-old-refresh`).

use serde::Deserialize;

/// Why a refresh is answered `session_expired`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionExpiry {
    /// The session is older than the project allows.
    #[default]
    Timebox,
    /// The session was not refreshed for too long.
    Inactivity,
    /// The user has a second factor and did not present it in time.
    LowAal,
    /// The project allows one session for each user, and the user has signed in again.
    NewerLogin,
}

impl SessionExpiry {
    /// GoTrue's words for it.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Timebox => "Session Expired",
            Self::Inactivity => "Session Expired (Inactivity)",
            Self::LowAal => "Session Expired (Low AAL: User Needs MFA Verification)",
            Self::NewerLogin => "Session Expired (Revoked by Newer Login)",
        }
    }
}

/// The body of `POST /mock/sessions/{id}/expire`, which may be left out.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Expire {
    pub(super) reason: SessionExpiry,
}
