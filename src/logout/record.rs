//! Records logouts in the revocation list, so that `/api/auth/verify` refuses the tokens of ended sessions.
//!
//! 1. A logout is recorded only if the session is proven or GoTrue has answered for it.
//! 2. A logout that GoTrue did not confirm revokes only the session that requested it. There is one
//!    exception: a `global` or `others` logout that failed or is queued sets a cut-off, a time up to which
//!    all issued tokens of the user are refused, so that the logout works while GoTrue is down. Each session
//!    can set one such cut-off, and a repeated logout does not move it.

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
    /// Records the logout of `session` in the revocation list. The caller has checked that the session is
    /// proven or that GoTrue has answered for it.
    pub(super) async fn record(
        &self,
        session: &Session,
        request: LogoutRequest<'_>,
        attempt: &Attempt,
    ) {
        let Some(revocation) = self.revocation(session, request.scope, attempt).await else {
            return;
        };
        if let Err(cause) = self.store.revoke(&revocation).await {
            let request_id = request.caller.request_id();
            tracing::error!(request_id, %cause, "the store failed to save a revocation: it retries, and a restart before it succeeds loses the revocation");
        }
    }

    /// Records a session whose logout the worker gave up, so that its tokens stay refused although GoTrue has
    /// not ended it. A logout with the scope `others` does not end the session and is not recorded.
    pub(crate) async fn record_unended(&self, session: &Session, request: LogoutRequest<'_>) {
        if request.scope != Scope::Others {
            let attempt = Attempt::without_answer(LogoutResult::Failed(Refusal::Unexpected));
            self.record(session, LogoutRequest { scope: Scope::Local, ..request }, &attempt).await;
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
            // The revocation list has the end of the session already, and GoTrue has confirmed nothing new.
            LogoutResult::AlreadyEnded if !attempt.answered_by_gotrue => None,
            LogoutResult::Revoked if attempt.assumed => Some(entry(Scope::Local)),
            // GoTrue does not know the user any more, so all sessions have ended, even the one that `others`
            // leaves active.
            LogoutResult::AlreadyEnded if scope == Scope::Others => Some(entry(Scope::Global)),
            LogoutResult::Revoked | LogoutResult::AlreadyEnded => Some(entry(scope)),
            // The requesting session has ended, and GoTrue refused to end the user's other sessions.
            LogoutResult::OthersLiveOn => Some(entry(Scope::Local)),
            // GoTrue refused the credentials or the user: revoke at most the requesting session and set no
            // cut-off.
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

    /// Whether this session may set a cut-off that GoTrue has not confirmed: only once, and not after it was
    /// logged out here, because its tokens may then be in the hands of the thief against whom the user logged
    /// out. The result is also `false` if the store does not answer, because another instance may have set
    /// the cut-off.
    async fn may_set_cut_off(&self, session: &Session) -> bool {
        self.sync_list(session).await
            && !self.is_refused(session)
            && !self.has_counted_cut_off(session)
    }

    /// The cut-off: tokens with an `iat` up to this time count as issued before the logout.
    ///
    /// If GoTrue accepted the access token, the time by GoTrue's clock is between the token's `iat` and
    /// `exp`, and the header `Date` of the answer is used. A `Date` outside of these bounds comes from
    /// another clock, such as a proxy's. Then the gateway's own time is used, limited to these bounds. If
    /// GoTrue itself did not answer, `Date` may come from any server, so the gateway's time is used, but not
    /// a time before the `iat`.
    fn cut_off(&self, claims: &Claims, attempt: &Attempt) -> Timestamp {
        let now = self.clock.unix_seconds();
        let Validity { issued_at, expires_at } =
            attempt.refreshed.unwrap_or_else(|| claims.validity());
        let earliest = issued_at.unwrap_or(0);
        let is_plausible =
            |date: &i64| issued_at.is_some() && (earliest..=expires_at).contains(date);
        let seconds = if attempt.answered_by_gotrue {
            let date = attempt.date.map(unix_seconds).filter(is_plausible);
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
