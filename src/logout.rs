//! The use case: end a session at GoTrue and say truthfully what became of it.
//!
//! It knows no HTTP framework: a session whose right to be here is settled, a scope and the clock go
//! in, a [`LogoutReport`] comes out. What cannot be done now is queued, or said to have failed.

mod attempt;
mod known;
mod queued;
mod record;
mod under_way;

use std::{sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

pub use self::under_way::LocalLogouts;
use self::{
    attempt::{Attempt, RefreshError},
    under_way::UnderWay,
};
use crate::outcome::{Route, Scope, Stored};
use crate::{
    clock::Clock,
    gotrue::{Deadline, GoTrue, LogoutAnswer, OnBehalfOf, Refusal},
    queue::enqueue::RevocationQueue,
    session::{
        Proof, Session,
        token::{TokenError, session_of, validity_of},
        verifier::SignatureStatus,
    },
    store::Store,
};

/// What became of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogoutResult {
    /// GoTrue revoked what the scope names.
    Revoked,
    /// There was nothing left to revoke.
    AlreadyEnded,
    /// This session is gone, so GoTrue refused to end the user's others: they live on.
    OthersLiveOn,
    /// The credential turned out not to be genuine.
    NotGenuine(TokenError),
    /// The access token has expired, and GoTrue gives no other for the refresh token. Whether the
    /// session lives is not known.
    Expired,
    /// GoTrue failed, and will be asked again: that is durably queued.
    Queued(Refusal),
    /// GoTrue failed or refused; the session may live.
    Failed(Refusal),
}

/// What happened, for the reply and the audit log.
#[derive(Clone, Debug)]
pub struct LogoutReport {
    /// What became of the session.
    pub result: LogoutResult,
    /// The status of GoTrue's answer to the logout, if it was asked and answered.
    pub upstream_status: Option<u16>,
    /// How long it took, with a refresh and a second try, if it was asked.
    pub upstream_time: Option<Duration>,
    /// Where it is not revoked: it may be all the same, by a try whose answer did not come.
    pub unknown: bool,
    /// How far the session is known by now: GoTrue's answer may have vouched for it.
    pub proof: Proof,
}

/// What is asked for, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct LogoutRequest<'a> {
    /// Which of the user's sessions end.
    pub scope: Scope,
    /// The route, for the entry in the queue.
    pub route: &'a Stored<Route>,
    /// Whose request it is.
    pub caller: &'a OnBehalfOf,
    /// An earlier try may have had its effect without our hearing of it.
    pub tried_before: bool,
    /// The gateway knew before the first try that the session was over, or refused its tokens: a session
    /// that is gone afterwards was not necessarily ended by that try. [`Logout::end`] looks for itself.
    pub was_over: bool,
}

/// Ends sessions; everything it needs besides the session itself.
#[derive(Clone, Debug)]
pub struct Logout {
    /// Who revokes.
    pub gotrue: GoTrue,
    /// Who remembers.
    pub store: Arc<dyn Store>,
    /// Takes what GoTrue could not be asked for, where the store has a queue.
    pub queue: Option<Arc<RevocationQueue>>,
    /// When it is.
    pub clock: Clock,
    /// `GATEWAY_MAX_TOKEN_LIFETIME`.
    pub max_token_lifetime: Duration,
    /// The `local` logouts of this process whose answer has not come.
    pub local_logouts: LocalLogouts,
}

impl Logout {
    /// Revokes what is asked for with `session`'s credentials, refreshing them first if they have
    /// expired, and records it on the revocation list. Where GoTrue fails, the logout is queued.
    pub async fn end(
        &self,
        session: &Session,
        asked: LogoutRequest<'_>,
        deadline: Deadline,
    ) -> LogoutReport {
        let is_up_to_date = self.sync_list(session).await;
        let knows_end = self.knows_end(session);
        if asked.scope == Scope::Local && session.proof != Proof::Unproven && knows_end {
            // GoTrue before 2.150 takes a second local logout for a global one.
            return LogoutReport {
                result: LogoutResult::AlreadyEnded,
                upstream_status: None,
                upstream_time: None,
                unknown: false,
                proof: session.proof,
            };
        }
        // `verify` refuses its tokens: such as after `others` of another session.
        let is_refused = self.is_refused(session);
        let asked = LogoutRequest { was_over: !is_up_to_date || knows_end || is_refused, ..asked };
        // A proven session that is not on the list has no entry in the queue: what is queued for it is
        // recorded there.
        let may_wait =
            session.proof != Proof::Proven || is_refused || self.has_counted_cut_off(session);
        let queued =
            if may_wait { Box::pin(self.queued_others(session, asked)).await } else { None };
        let (attempt, upstream_time) = if session.signature == SignatureStatus::Unverifiable {
            let refusal = Refusal::Unavailable { retry_after: None };
            (Attempt::without_answer(LogoutResult::Failed(refusal)), None)
        } else {
            let (attempt, took) = self.attempt(session, asked, may_wait, deadline).await;
            (attempt, Some(took))
        };
        if attempt.vouched
            && let Some(queue) = &self.queue
        {
            queue.report_gotrue_answered();
        }
        let proof = if attempt.vouched { Proof::Proven } else { session.proof };
        let recorded = async {
            if proof == Proof::Proven {
                self.record(session, asked, &attempt).await;
            }
        };
        let ((), result) = tokio::join!(recorded, self.enqueue(session, asked, &attempt, proof));
        if may_wait && attempt.result == LogoutResult::Revoked && !attempt.assumed {
            Box::pin(self.remove_settled(session, asked.scope, queued.as_ref())).await;
        }
        let Attempt { status: upstream_status, unknown, .. } = attempt;
        LogoutReport { result, upstream_status, upstream_time, unknown, proof }
    }

    /// The same for a logout that is in the queue, and stays there unless this ends the session.
    pub async fn retry(
        &self,
        session: &Session,
        asked: LogoutRequest<'_>,
        deadline: Deadline,
    ) -> LogoutReport {
        let (attempt, took) = self.attempt(session, asked, true, deadline).await;
        if attempt.vouched || attempt.is_final() {
            self.record(session, asked, &attempt).await;
        }
        let proof = if attempt.vouched { Proof::Proven } else { session.proof };
        let Attempt { result, status: upstream_status, unknown, .. } = attempt;
        LogoutReport { result, upstream_status, upstream_time: Some(took), unknown, proof }
    }

    /// Marks a `local` logout as under way. One of an unproven session counts for nothing: its ids may be
    /// those of another user's session.
    fn begin(&self, session: &Session, asked: LogoutRequest<'_>) -> Option<UnderWay> {
        let counts = asked.scope == Scope::Local && session.proof != Proof::Unproven;
        counts.then(|| self.local_logouts.begin(session.claims.session_id))
    }

    /// One attempt, and how long GoTrue took for it: a duration, which the time of day has no part in.
    async fn attempt(
        &self,
        session: &Session,
        asked: LogoutRequest<'_>,
        may_have_queued: bool,
        deadline: Deadline,
    ) -> (Attempt, Duration) {
        let begun = Instant::now();
        let attempt = match self.answer_of_ended(session, asked, deadline).await {
            Some(attempt) => attempt,
            None => self.revoke_widest(session, asked, may_have_queued, deadline).await,
        };
        (attempt, begun.elapsed())
    }

    async fn enqueue(
        &self,
        session: &Session,
        asked: LogoutRequest<'_>,
        attempt: &Attempt,
        proof: Proof,
    ) -> LogoutResult {
        let result = attempt.result.clone();
        let LogoutResult::Failed(refusal) = &result else { return result };
        let (Some(queue), Some(kept)) = (&self.queue, self.store.queue()) else { return result };
        if !refusal.is_passing() || proof == Proof::Unproven {
            return result;
        }
        let asked = LogoutRequest { tried_before: asked.tried_before || attempt.unknown, ..asked };
        // GoTrue may have vouched for the session by a refresh.
        let session = &Session { proof, ..session.clone() };
        let enqueued = self.put_into_queue((queue, kept), session, asked, refusal);
        match Box::pin(enqueued).await {
            Ok(()) => LogoutResult::Queued(refusal.clone()),
            Err(cause) => {
                let request_id = asked.caller.request_id();
                tracing::error!(request_id, %cause, "a failed logout could not be queued");
                result
            }
        }
    }

    async fn revoke(
        &self,
        session: &Session,
        asked: LogoutRequest<'_>,
        deadline: Deadline,
    ) -> Attempt {
        let LogoutRequest { scope, caller, .. } = asked;
        if !session.expired {
            let answer = self.gotrue.logout(&session.access_token, scope, caller, deadline).await;
            // It verified here and GoTrue does not take it: its clock is ahead, or its keys rotated.
            let refresh_helps = answer.result == Err(Refusal::BadJwt)
                && session.signature == SignatureStatus::Verified
                && session.refresh_token.is_some();
            if !refresh_helps {
                return self.judged(session, &answer, asked).await;
            }
        }
        let Some(refresh_token) = &session.refresh_token else {
            return Attempt::without_answer(LogoutResult::Expired);
        };
        // Boxed, as are other rare steps: the future of each request is moved, so the usual one stays small.
        Box::pin(self.refresh_and_revoke(session, refresh_token, asked, deadline)).await
    }

    async fn refresh_and_revoke(
        &self,
        session: &Session,
        refresh_token: &SecretString,
        asked: LogoutRequest<'_>,
        deadline: Deadline,
    ) -> Attempt {
        let LogoutRequest { scope, caller, .. } = asked;
        match self.refresh(session, refresh_token, caller, deadline).await {
            // The user's other sessions may live on, so this answers a `local` logout alone; and a session
            // that a forger may have named learns nothing.
            Err(RefreshError::Refused(Refusal::RefreshTokenRefused))
                if scope == Scope::Local
                    && session.proof != Proof::Unproven
                    && self.is_over(session).await =>
            {
                Attempt::without_answer(LogoutResult::AlreadyEnded)
            }
            Err(fault) => Attempt::without_answer(fault.result()),
            Ok(access_token) => {
                let answer = self.gotrue.logout(&access_token, scope, caller, deadline).await;
                let mut attempt = self.judged(session, &answer, asked).await;
                // GoTrue itself just issued a token of this very session.
                attempt.vouched = true;
                attempt.refreshed = validity_of(access_token.expose_secret());
                if matches!(attempt.result, LogoutResult::NotGenuine(_)) {
                    attempt.result = LogoutResult::Failed(Refusal::Unexpected);
                }
                attempt
            }
        }
    }

    /// Judges GoTrue's answer to a logout.
    ///
    /// A session that is gone after a try without an answer, in this request or an earlier one, counts as
    /// revoked by that try (contract, section 8). It does not where another logout may have ended it, which left
    /// the user's other sessions alone: where the list has its end, where a `local` logout of it is under way,
    /// or where it may have been over before the first try. The list also has the session of a user who repeats
    /// a `global`, so that user may get a false alarm (401 `not_found`), but never a false success.
    async fn judged(
        &self,
        session: &Session,
        answer: &LogoutAnswer,
        asked: LogoutRequest<'_>,
    ) -> Attempt {
        let mut attempt = Attempt::of(answer, asked.scope);
        let by_unheard_try = match attempt.result {
            LogoutResult::Revoked => attempt.assumed,
            LogoutResult::OthersLiveOn => asked.tried_before && asked.scope == Scope::Global,
            _ => false,
        };
        if by_unheard_try {
            attempt.assumed = true;
            let is_ending = self.local_logouts.contains(session.claims.session_id);
            let is_over = self.is_over(session).await;
            attempt.result = match asked.scope {
                Scope::Local if is_over => LogoutResult::AlreadyEnded,
                Scope::Global | Scope::Others if is_over || asked.was_over || is_ending => {
                    LogoutResult::OthersLiveOn
                }
                _ => LogoutResult::Revoked,
            };
        }
        attempt
    }

    /// A fresh access token of the same session and user, or none.
    async fn refresh(
        &self,
        session: &Session,
        refresh_token: &SecretString,
        caller: &OnBehalfOf,
        deadline: Deadline,
    ) -> Result<SecretString, RefreshError> {
        let refreshed = self.gotrue.refresh(refresh_token, caller, deadline).await?;
        let same = session_of(refreshed.access_token.expose_secret())
            == Some((session.claims.sub, session.claims.session_id));
        if same { Ok(refreshed.access_token) } else { Err(RefreshError::Foreign) }
    }
}
