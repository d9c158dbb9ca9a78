//! The settings that decide how long GoTrue refreshes a session.

use std::time::Duration;

/// The limits of sessions. The default is none. A limit does not delete a session: it refuses the
/// refresh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionLimits {
    /// The time after the sign-in (`GOTRUE_SESSIONS_TIMEBOX`).
    pub timebox: Option<Duration>,
    /// The time after the last refresh (`GOTRUE_SESSIONS_INACTIVITY_TIMEOUT`).
    pub inactivity: Option<Duration>,
    /// The time after the sign-in in which a user with a second factor must verify it
    /// (`GOTRUE_SESSIONS_ALLOW_LOW_AAL`). Access tokens of such a session expire with it.
    pub low_aal: Option<Duration>,
    /// Whether only the session of a user that was refreshed last is refreshed
    /// (`GOTRUE_SESSIONS_SINGLE_PER_USER`).
    pub single_per_user: bool,
}
