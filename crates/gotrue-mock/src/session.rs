//! A session: how the user authenticated, and until when GoTrue refreshes it.

use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::{
    refresh_token::TokenFamily, session_expiry::SessionExpiry, session_limits::SessionLimits,
};

/// An authenticator assurance level: the `aal` claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aal {
    /// One factor.
    One,
    /// A second factor was verified.
    Two,
}

impl Aal {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::One => "aal1",
            Self::Two => "aal2",
        }
    }
}

/// One row of `auth.mfa_amr_claims`: a method by which the user authenticated, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AuthenticationMethod {
    pub(crate) method: &'static str,
    pub(crate) at: SystemTime,
}

/// The methods in the `amr` claim that raise a session to aal2.
const SECOND_FACTORS: [&str; 2] = ["totp", "mfa/phone"];

/// One row of `auth.sessions`.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    /// How the user authenticated, latest first.
    pub(crate) amr: Vec<AuthenticationMethod>,
    /// The level in the row, by which GoTrue decides what the session may do. An access token has
    /// the level of `amr`.
    pub(crate) aal: Aal,
    /// The factor that was verified last.
    pub(crate) factor_id: Option<Uuid>,
    pub(crate) created_at: SystemTime,
    /// When the session was refreshed last; `None` if never.
    pub(crate) refreshed_at: Option<SystemTime>,
    /// Numbers the sessions in the order in which they began.
    pub(crate) serial: u64,
    /// Why every refresh of this session is refused; `None` if a test has not expired it.
    pub(crate) expiry: Option<SessionExpiry>,
    pub(crate) tokens: TokenFamily,
}

impl Session {
    /// The level of an access token.
    pub(crate) fn token_aal(&self) -> Aal {
        let has_second = self.amr.iter().any(|entry| SECOND_FACTORS.contains(&entry.method));
        if has_second { Aal::Two } else { Aal::One }
    }

    /// The number of its refresh tokens that are not revoked, and of those that are.
    pub(crate) fn token_counts(&self) -> (usize, usize) {
        self.tokens.counts()
    }

    /// GoTrue's `IsRecovery`: a session that began with a code counts as a recovery of the password (recorded:
    /// `strict-otp-session`).
    pub(crate) fn is_recovery(&self) -> bool {
        self.amr.iter().any(|entry| matches!(entry.method, "otp" | "magiclink" | "recovery"))
    }

    /// Raises the session to the level of a second factor, which was verified now.
    pub(crate) fn verify_factor(&mut self, factor: Uuid, method: &'static str, now: SystemTime) {
        self.amr.retain(|entry| entry.method != method);
        self.amr.insert(0, AuthenticationMethod { method, at: now });
        (self.aal, self.factor_id) = (self.token_aal(), Some(factor));
    }

    /// Lowers the session after its factor was deleted.
    pub(crate) fn forget_factor(&mut self, method: &'static str) {
        self.amr.retain(|entry| entry.method != method);
        (self.aal, self.factor_id) = (Aal::One, None);
    }

    /// When the session was refreshed last. `token_updated_at` is the time at which the presented
    /// refresh token was issued or revoked; it counts as long as the session was never refreshed.
    pub(crate) fn last_refreshed_at(&self, token_updated_at: Option<SystemTime>) -> SystemTime {
        let token_updated_at = token_updated_at.unwrap_or(self.created_at);
        let before = || token_updated_at.max(self.created_at);
        self.refreshed_at.unwrap_or_else(before)
    }

    /// Why GoTrue refuses to refresh this session; `None` if it does not. `highest` is the level
    /// that the user can reach, `token_updated_at` as in [`Self::last_refreshed_at`].
    pub(crate) fn find_expiry(
        &self,
        limits: &SessionLimits,
        highest: Aal,
        token_updated_at: Option<SystemTime>,
        now: SystemTime,
    ) -> Option<SessionExpiry> {
        let is_past = |since: SystemTime, limit: Option<Duration>| {
            limit.is_some_and(|limit| now > since + limit)
        };
        if self.expiry.is_some() {
            self.expiry
        } else if is_past(self.created_at, limits.timebox) {
            Some(SessionExpiry::Timebox)
        } else if is_past(self.last_refreshed_at(token_updated_at), limits.inactivity) {
            Some(SessionExpiry::Inactivity)
        } else if self.aal < highest && is_past(self.created_at, limits.low_aal) {
            Some(SessionExpiry::LowAal)
        } else {
            None
        }
    }
}
