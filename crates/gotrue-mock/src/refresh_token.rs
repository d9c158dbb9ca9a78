//! The refresh tokens of one session, by GoTrue's rules.
//!
//! 1. A refresh revokes the token that it uses, and issues a successor.
//! 2. A refresh with the parent of the active token returns the active token again, at any time,
//!    because the client may never have received it. The parent is the token that was exchanged for
//!    the active one.
//! 3. Any other used token works for [`REUSE_INTERVAL`] after its use. After that time it is
//!    refused, and the active token is revoked.
//! 4. A token that rule 3 revoked works for [`REUSE_INTERVAL`] as well. If it is not used by then,
//!    no token refreshes the session any more. The session still exists.
//! 5. A clean-up deletes tokens that were revoked over [`CLEANUP_AGE`] ago, also of sessions that
//!    still exist. GoTrue then answers that it does not know the token.

mod format;

pub(crate) use format::is_well_formed;

use std::time::{Duration, SystemTime};

/// `GOTRUE_SECURITY_REFRESH_TOKEN_REUSE_INTERVAL`, as hosted Supabase sets it.
const REUSE_INTERVAL: Duration = Duration::from_secs(10);

/// The age at which GoTrue's clean-up deletes a revoked refresh token.
const CLEANUP_AGE: Duration = Duration::from_hours(24);

/// The tokens of one session, oldest first.
#[derive(Clone)]
pub(crate) struct TokenFamily(Vec<RefreshToken>);

#[derive(Clone)]
struct RefreshToken {
    token: String,
    parent: Option<String>,
    issued_at: SystemTime,
    revoked_at: Option<SystemTime>,
}

/// The refresh token in the response to a refresh.
pub(crate) enum IssuedToken {
    New(String),
    /// The active token, which an earlier refresh issued.
    Active(String),
}

/// The token was used longer than [`REUSE_INTERVAL`] ago.
pub(crate) struct AlreadyUsedError;

impl TokenFamily {
    /// A family with one token, the first of its session.
    pub(crate) fn new(token: String, issued_at: SystemTime) -> Self {
        Self(vec![RefreshToken { token, parent: None, issued_at, revoked_at: None }])
    }

    /// Every token of the family, including revoked ones.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|token| token.token.as_str())
    }

    /// The number of tokens that are not revoked, and of those that are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let live = self.0.iter().filter(|token| token.revoked_at.is_none()).count();
        (live, self.0.len() - live)
    }

    /// Deletes the tokens that were revoked over [`CLEANUP_AGE`] ago, and returns them.
    pub(crate) fn clean_up(&mut self, now: SystemTime) -> Vec<String> {
        let is_due = |token: &mut RefreshToken| {
            token.revoked_at.is_some_and(|revoked_at| now > revoked_at + CLEANUP_AGE)
        };
        self.0.extract_if(.., is_due).map(|deleted| deleted.token).collect()
    }

    /// When a token of this family was issued or, if it is revoked, when it was revoked.
    pub(crate) fn updated_at(&self, token: &str) -> Option<SystemTime> {
        let token = self.0.iter().find(|known| known.token == token)?;
        Some(token.revoked_at.unwrap_or(token.issued_at))
    }

    /// Revokes the active token and issues its successor. `None` if no token is active.
    pub(crate) fn rotate(
        &mut self,
        now: SystemTime,
        generate: impl FnOnce() -> String,
    ) -> Option<String> {
        let active = self.0.iter_mut().rev().find(|token| token.revoked_at.is_none())?;
        active.revoked_at = Some(now);
        let parent = Some(active.token.clone());
        let token = generate();
        let successor = RefreshToken { token, parent, issued_at: now, revoked_at: None };
        let token = successor.token.clone();
        self.0.push(successor);
        Some(token)
    }

    /// Exchanges a token of this family. `generate` makes the successor, if one is needed.
    pub(crate) fn exchange(
        &mut self,
        token: &str,
        now: SystemTime,
        generate: impl FnOnce() -> String,
    ) -> Result<IssuedToken, AlreadyUsedError> {
        let active = self.0.iter().rev().find(|token| token.revoked_at.is_none());
        if let Some(active) = active.filter(|active| active.parent.as_deref() == Some(token)) {
            return Ok(IssuedToken::Active(active.token.clone()));
        }
        let used = self.0.iter_mut().find(|used| used.token == token).ok_or(AlreadyUsedError)?;
        if used.revoked_at.is_some_and(|revoked_at| now > revoked_at + REUSE_INTERVAL) {
            for active in self.0.iter_mut().filter(|token| token.revoked_at.is_none()) {
                active.revoked_at = Some(now);
            }
            return Err(AlreadyUsedError);
        }
        used.revoked_at = Some(now);
        let successor = generate();
        self.0.push(RefreshToken {
            token: successor.clone(),
            parent: Some(token.to_owned()),
            issued_at: now,
            revoked_at: None,
        });
        Ok(IssuedToken::New(successor))
    }
}
