//! Records logouts on the revocation list.
//!
//! 1. Only logouts of proven sessions are recorded, or those that GoTrue has answered.
//! 2. A logout that GoTrue did not confirm revokes only the session that asked. One exception: a `global` or
//!    `others` that failed or is queued sets one cut-off for each session that asks, so that it works for an
//!    owner while GoTrue is down. Repeating it does not move the cut-off.

use std::time::SystemTime;

use jiff::Timestamp;

use super::{Logout, LogoutRequest, LogoutResult, attempt::Attempt};
use crate::{
    clock::from_unix_seconds,
    gotrue::Refusal,
    outcome::Scope,
    session::{
        Session,
        token::{Claims, Validity},
    },
    store::list::Revocation,
};

impl Logout {
    /// Records the logout of a session that is proven, or that GoTrue has answered for.
    pub(super) async fn record(
        &self,
        session: &Session,
        asked: LogoutRequest<'_>,
        attempt: &Attempt,
    ) {
        let Some(revocation) = self.revocation(session, asked.scope, attempt).await else { return };
        if let Err(cause) = self.store.revoke(&revocation).await {
            let request_id = asked.caller.request_id();
            tracing::error!(request_id, %cause, "a logout is not safely on the revocation list: the store retries, and a restart before that would lose it");
        }
    }

    /// Keeps a session on the list whose logout the worker gave up: GoTrue has not ended it.
    pub(crate) async fn record_unended(&self, session: &Session, asked: LogoutRequest<'_>) {
        if asked.scope != Scope::Others {
            let attempt = Attempt::without_answer(LogoutResult::Failed(Refusal::Unexpected));
            self.record(session, LogoutRequest { scope: Scope::Local, ..asked }, &attempt).await;
        }
    }

    async fn revocation(
        &self,
        session: &Session,
        scope: Scope,
        attempt: &Attempt,
    ) -> Option<Revocation> {
        let claims = &session.claims;
        let now = self.clock.now();
        let entry = |scope| {
            let cut_off = self.cut_off(claims, attempt);
            Revocation::new(claims, scope, cut_off, now, self.max_token_lifetime)
        };
        match &attempt.result {
            // The list has the end already: GoTrue has confirmed nothing new.
            LogoutResult::AlreadyEnded if !attempt.answered_by_gotrue => None,
            LogoutResult::Revoked if attempt.assumed => Some(entry(Scope::Local)),
            // The user is gone with all sessions, also with the one that asked to stay.
            LogoutResult::AlreadyEnded if scope == Scope::Others => Some(entry(Scope::Global)),
            LogoutResult::Revoked | LogoutResult::AlreadyEnded => Some(entry(scope)),
            // The session that asked is gone, and GoTrue refused to end the others.
            LogoutResult::OthersLiveOn => Some(entry(Scope::Local)),
            // GoTrue refused: no cut-off.
            LogoutResult::NotGenuine(_)
            | LogoutResult::Expired
            | LogoutResult::Failed(Refusal::UserBanned) => {
                (scope != Scope::Others).then(|| entry(Scope::Local).unconfirmed())
            }
            LogoutResult::Failed(_) | LogoutResult::Queued(_) => {
                let scope = if scope == Scope::Local || self.may_set_cut_off(session).await {
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
    /// to be rid of. If the store does not answer, another instance may have set the one cut-off.
    async fn may_set_cut_off(&self, session: &Session) -> bool {
        self.sync_list(session).await
            && !self.is_refused(session)
            && !self.has_counted_cut_off(session)
    }

    /// The time up to which tokens count as issued before the logout.
    ///
    /// GoTrue accepted the token that asked, so GoTrue's clock is between that token's `iat` and its `exp`,
    /// however far it is from the gateway's. A `Date` outside of these is that of another clock, such as a
    /// proxy's, or broken: then the gateway's own time counts, moved into these bounds. Where GoTrue itself
    /// did not answer, the `Date` may be that of any server, and only the `iat` is known to be past.
    fn cut_off(&self, claims: &Claims, attempt: &Attempt) -> Timestamp {
        let now = self.clock.unix_seconds();
        let Validity { issued_at, expires_at } =
            attempt.refreshed.unwrap_or_else(|| claims.validity());
        let earliest = issued_at.unwrap_or(0);
        let is_gotrues = |date: &i64| issued_at.is_some() && (earliest..=expires_at).contains(date);
        let seconds = if attempt.answered_by_gotrue {
            let date = attempt.date.map(unix_seconds).filter(is_gotrues);
            date.unwrap_or_else(|| now.min(expires_at).max(earliest))
        } else {
            now.max(earliest)
        };
        from_unix_seconds(seconds.max(0))
    }
}

fn unix_seconds(time: SystemTime) -> i64 {
    Timestamp::try_from(time).unwrap_or(Timestamp::MAX).as_second()
}
