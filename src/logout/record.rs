//! What a logout leaves on the revocation list, and what it settles in the queue.
//!
//! 1. Only logouts of proven sessions are recorded, or those that GoTrue has answered.
//! 2. What GoTrue did not confirm ends no other session than the one that asked; but a `global` or
//!    `others` that failed or waits sets one cut-off for each session, so that an owner who asks for it
//!    while GoTrue is down is heard. Repeating it moves nothing.

use std::time::{Duration, SystemTime};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::ExposeSecret as _;

use super::{Asked, Logout, Outcome, attempt::Attempt};
use crate::{
    config::Scope,
    gotrue::Refusal,
    queue::entry::{Entry, entry_id},
    session::{Proof, Session, token::CLOCK_AHEAD_SECONDS},
    store::list::{Revocation, SessionFact},
};

/// As far as a token of GoTrue's may be ahead of our clock, its cut-off may be.
const CLOCK_AHEAD: Duration = Duration::from_secs(CLOCK_AHEAD_SECONDS.unsigned_abs());

impl Logout {
    /// Records the logout of a session that is proven, or that GoTrue has answered for.
    pub(super) async fn record(&self, session: &Session, asked: Asked<'_>, attempt: &Attempt) {
        let Some(revocation) = self.revocation(session, asked.scope, attempt).await else { return };
        if let Err(cause) = self.store.revoke(&revocation).await {
            let request_id = asked.caller.request_id();
            tracing::error!(request_id, %cause, "a logout is not safely on the revocation list");
        }
    }

    /// Records that a session which no GoTrue ever ended stays refused: the queue gave it up.
    pub(crate) async fn record_unended(&self, session: &Session, asked: Asked<'_>) {
        if asked.scope != Scope::Others {
            let attempt = Attempt::without_answer(Outcome::Failed(Refusal::Unexpected));
            self.record(session, Asked { scope: Scope::Local, ..asked }, &attempt).await;
        }
    }

    async fn revocation(
        &self,
        session: &Session,
        scope: Scope,
        attempt: &Attempt,
    ) -> Option<Revocation> {
        let claims = &session.claims;
        let now = self.clock.unix_seconds();
        let entry = |scope| {
            let cut_off = self.cut_off(attempt);
            Revocation::new(claims, scope, cut_off, now, self.max_token_lifetime)
        };
        match &attempt.outcome {
            // The gateway knew it already: GoTrue has confirmed nothing new.
            Outcome::AlreadyEnded if !attempt.answered_by_gotrue => None,
            Outcome::Revoked if attempt.assumed => Some(entry(Scope::Local)),
            Outcome::Revoked | Outcome::AlreadyEnded => Some(entry(scope)),
            // The session that asked is gone, and GoTrue refused to end the others.
            Outcome::OthersLiveOn => Some(entry(Scope::Local)),
            // GoTrue refused: no cut-off.
            Outcome::NotGenuine(_) | Outcome::Expired | Outcome::Failed(Refusal::UserBanned) => {
                (scope != Scope::Others).then(|| entry(Scope::Local).unconfirmed())
            }
            Outcome::Failed(_) | Outcome::Queued(_) => {
                let scope = if scope == Scope::Local || self.may_set_cut_off(session, now).await {
                    scope
                } else if scope == Scope::Others {
                    return None;
                } else {
                    Scope::Local
                };
                Some(entry(scope).unconfirmed())
            }
        }
    }

    /// Whether a cut-off that GoTrue has not confirmed may be set for this session: once, and not for
    /// one that was logged out here already. Its tokens may be with the very thief whom its user wanted
    /// to be rid of.
    async fn may_set_cut_off(&self, session: &Session, now: i64) -> bool {
        let claims = &session.claims;
        let list = self.store.list();
        if list.holds_fact(SessionFact::CutOffCounted, claims.session_id, now) {
            return false;
        }
        // A store that cannot tell is no reason to forget that an owner asked to leave.
        !self.store.is_revoked(claims, now).await.unwrap_or(false)
    }

    /// The time up to which tokens count as issued before the logout.
    fn cut_off(&self, attempt: &Attempt) -> SystemTime {
        let now = self.clock.now();
        match attempt.date {
            Some(date) if attempt.answered_by_gotrue => date.min(now + CLOCK_AHEAD),
            // Perhaps GoTrue's clock, which may be behind ours; perhaps that of any other server.
            Some(date) => date.clamp(now - CLOCK_AHEAD, now),
            None => now,
        }
    }

    /// Whether the queue may have entries of this session. A proven session that is not on the list has
    /// none: what is queued for it is recorded there.
    pub(super) fn may_have_queued(&self, session: &Session) -> bool {
        let (claims, now) = (&session.claims, self.clock.unix_seconds());
        let list = self.store.list();
        session.proof != Proof::Proven
            || list.refuses(claims, now)
            || list.holds_fact(SessionFact::CutOffCounted, claims.session_id, now)
    }

    /// The scopes, wider than `local`, for which the queue has an entry of this session that its user asked
    /// for.
    pub(super) async fn queued_wider_scopes(&self, session: &Session) -> Vec<Scope> {
        let Some(queue) = self.store.queue() else { return Vec::new() };
        let mut scopes = Vec::new();
        for wider in [Scope::Global, Scope::Others] {
            let id = entry_id(session.claims.session_id, wider);
            match queue.get(id).await {
                Ok(Some(entry)) if self.is_of_user(&entry, session) => scopes.push(wider),
                Ok(_) => {}
                // A logout waits for a store that does not answer once and not for each scope.
                Err(cause) => {
                    tracing::warn!(%cause, "a logout cannot look for queued ones of its session");
                    break;
                }
            }
        }
        scopes
    }

    /// Removes what a confirmed logout of this scope has settled.
    pub(super) async fn remove_settled(&self, session: &Session, scope: Scope) {
        let settled: &[Scope] = match scope {
            Scope::Global => &[Scope::Global, Scope::Others, Scope::Local],
            Scope::Others => &[Scope::Others],
            Scope::Local => &[Scope::Local],
        };
        for scope in settled {
            self.remove_queued(session, *scope).await;
        }
    }

    /// Whether the user of `session` asked for what is queued. An expired access token may come from an old
    /// log, so an entry of a stale session counts only where this request shows the same refresh token:
    /// else an old token would make the user's `local` logout a `global` one.
    fn is_of_user(&self, entry: &Entry, session: &Session) -> bool {
        if !entry.is_stale() {
            return true;
        }
        let (Some(queue), Some(shown)) = (&self.queue, &session.refresh_token) else {
            return false;
        };
        let is_shown = |sealed| {
            let refresh_token = queue.open(sealed, entry).ok().and_then(|c| c.refresh_token);
            refresh_token.is_some_and(|queued| {
                let [queued, shown] =
                    [&queued, shown].map(|token| token.expose_secret().as_bytes());
                verify_slices_are_equal(queued, shown).is_ok()
            })
        };
        entry.credentials.iter().any(is_shown)
    }

    pub(super) async fn remove_queued(&self, session: &Session, scope: Scope) {
        let Some(queue) = self.store.queue() else { return };
        if let Err(cause) = queue.remove(entry_id(session.claims.session_id, scope)).await {
            tracing::warn!(%cause, "a logout that is done stays in the queue: it is asked for again");
        }
    }
}
