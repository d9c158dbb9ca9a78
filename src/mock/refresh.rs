//! Refresh tokens of one session, by GoTrue's rules.
//!
//! 1. Using a token revokes it and issues its successor.
//! 2. The parent of the active token goes on working, and answers the active token: its client never
//!    saw the reply.
//! 3. Any other used token works for [`REUSE_INTERVAL`] more; later it is refused, and the whole
//!    family is revoked.
//! 4. A revoked family's active token has [`REUSE_INTERVAL`] left like any other; afterwards nothing
//!    refreshes this session, which goes on existing.
//! 5. A clean-up deletes tokens that were revoked over [`CLEANUP_AGE`] ago, whether or not the
//!    session exists. A deleted token is unknown from then on.

use std::time::{Duration, SystemTime};

/// `GOTRUE_SECURITY_REFRESH_TOKEN_REUSE_INTERVAL`, as hosted Supabase has it.
const REUSE_INTERVAL: Duration = Duration::from_secs(10);

/// The age at which GoTrue's clean-up deletes a revoked refresh token.
const CLEANUP_AGE: Duration = Duration::from_hours(24);

/// The tokens of one session, oldest first.
#[derive(Default)]
pub(super) struct Family(Vec<RefreshToken>);

struct RefreshToken {
    token: String,
    parent: Option<String>,
    revoked_at: Option<SystemTime>,
}

/// What a refresh gives.
pub(super) enum Issued {
    /// A new token.
    New(String),
    /// The active token once more.
    Active(String),
}

/// The token was used too long ago.
pub(super) struct AlreadyUsed;

impl Family {
    /// A session's first token.
    pub(super) fn begin(token: String) -> Self {
        Self(vec![RefreshToken { token, parent: None, revoked_at: None }])
    }

    /// Every token of the family.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|token| token.token.as_str())
    }

    /// Deletes the tokens that were revoked over a day ago, and returns them.
    pub(super) fn clean_up(&mut self, now: SystemTime) -> Vec<String> {
        let is_due = |token: &mut RefreshToken| {
            token.revoked_at.is_some_and(|revoked_at| now > revoked_at + CLEANUP_AGE)
        };
        self.0.extract_if(.., is_due).map(|deleted| deleted.token).collect()
    }

    /// Exchanges a token of this family; `fresh` is the successor's value if there is one.
    pub(super) fn exchange(
        &mut self,
        token: &str,
        now: SystemTime,
        fresh: impl FnOnce() -> String,
    ) -> Result<Issued, AlreadyUsed> {
        let active = self.0.iter().rev().find(|token| token.revoked_at.is_none());
        if let Some(active) = active.filter(|active| active.parent.as_deref() == Some(token)) {
            return Ok(Issued::Active(active.token.clone()));
        }
        let used = self.0.iter_mut().find(|used| used.token == token).ok_or(AlreadyUsed)?;
        if used.revoked_at.is_some_and(|revoked_at| now > revoked_at + REUSE_INTERVAL) {
            for active in self.0.iter_mut().filter(|token| token.revoked_at.is_none()) {
                active.revoked_at = Some(now);
            }
            return Err(AlreadyUsed);
        }
        used.revoked_at = Some(now);
        let successor = fresh();
        self.0.push(RefreshToken {
            token: successor.clone(),
            parent: Some(token.to_owned()),
            revoked_at: None,
        });
        Ok(Issued::New(successor))
    }
}
