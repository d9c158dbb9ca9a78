//! Sessions that GoTrue refuses to refresh although their rows exist.
//!
//! GoTrue checks these limits at a refresh only. The row stays, and the access token and the logout
//! still work (recorded: `session-timebox-refresh`, `session-inactive-refresh`,
//! `session-low-aal-refresh`, `session-single-old-refresh`).

use serde::Deserialize;

/// Why GoTrue answers a refresh with `session_expired`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionExpiry {
    /// The session is older than the project allows.
    #[default]
    Timebox,
    /// The session was not refreshed for longer than the project allows.
    Inactivity,
    /// The user has a second factor and did not present it in time.
    LowAal,
    /// The project allows one session for each user, and the user has signed in again.
    NewerLogin,
}

impl SessionExpiry {
    /// The message of GoTrue's error.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Timebox => "Session Expired",
            Self::Inactivity => "Session Expired (Inactivity)",
            Self::LowAal => "Session Expired (Low AAL: User Needs MFA Verification)",
            Self::NewerLogin => "Session Expired (Revoked by Newer Login)",
        }
    }
}
