//! Where ended sessions are remembered while their access tokens live on.

pub mod memory;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::{config::Scope, session::token::Claims};

/// One logout, as the revocation list remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Whose.
    pub user: Uuid,
    /// The session that asked for it.
    pub session: Uuid,
    /// Which of the user's sessions it ends.
    pub scope: Scope,
    /// Tokens issued before it are refused where the scope is not `local`; seconds since the Unix
    /// epoch, by GoTrue's clock.
    pub cut_off: i64,
    /// When no token it can match is alive any more; seconds since the Unix epoch.
    pub until: i64,
}

impl Revocation {
    /// The logout of `claims` at `now`; `cut_off` is the time by GoTrue's clock, as far as it is known.
    /// It is remembered as long as the longest token it can match lives.
    #[must_use]
    pub fn new(
        claims: &Claims,
        scope: Scope,
        cut_off: SystemTime,
        now: i64,
        lifetime: Duration,
    ) -> Self {
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let since_epoch = cut_off.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self {
            user: claims.sub,
            session: claims.session_id,
            scope,
            cut_off: i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX),
            until: now.saturating_add(lifetime).max(claims.exp),
        }
    }
}
