//! The use case: end a session at GoTrue and report the result truthfully.
//!
//! It does not know HTTP: it takes an authorised session, a scope and the clock, and returns a
//! [`LogoutReport`]. A logout that GoTrue cannot do now is queued, or reported as failed.

mod attempt;
mod known;
mod queued;
mod record;
mod report;
mod under_way;

use std::{sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

pub(crate) use self::report::{LogoutReport, LogoutRequest, LogoutResult};
pub(crate) use self::under_way::LocalLogouts;
use self::{
    attempt::{Attempt, RefreshError},
    under_way::UnderWay,
};
use crate::{
    clock::Clock,
    gotrue::{Deadline, GoTrue, LogoutAnswer, OnBehalfOf, Refusal},
    outcome::Scope,
    queue::enqueue::RevocationQueue,
    session::{
        Proof, Session,
        token::{session_of, validity_of},
        verifier::SignatureStatus,
    },
    store::Store,
};

/// Ends sessions. It holds everything that a logout needs besides the session.
#[derive(Clone, Debug)]
pub struct Logout {
    /// The client of GoTrue.
    pub(crate) gotrue: GoTrue,
    /// The store of revocations and queued logouts.
    pub store: Arc<dyn Store>,
    /// Takes the logouts that GoTrue fails to do; `None` if the store has no queue.
    pub(crate) queue: Option<Arc<RevocationQueue>>,
    /// The clock.
    pub(crate) clock: Clock,
    /// `GATEWAY_MAX_TOKEN_LIFETIME`.
    pub(crate) max_token_lifetime: Duration,
    /// The `local` logouts of this process that GoTrue has not answered.
    pub(crate) local_logouts: LocalLogouts,
}

impl Logout {
    /// Revokes what the scope names with the credentials of `session`, after a refresh if they have expired, and
    /// records the revocation. If GoTrue fails, the logout is queued.
    pub(crate) async fn end(
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
        // `verify` refuses the session's tokens, for instance after `others` of another session.
        let is_refused = self.is_refused(session);
        let asked = LogoutRequest { was_over: !is_up_to_date || knows_end || is_refused, ..asked };
        // A proven session that is not on the list has no entry in the queue, because a queued logout is on the
        // list.
        let may_have_queued =
            session.proof != Proof::Proven || is_refused || self.has_counted_cut_off(session);
        let queued =
            if may_have_queued { Box::pin(self.queued_others(session, asked)).await } else { None };
        let (attempt, upstream_time) = if session.signature == SignatureStatus::Unverifiable {
            let refusal = Refusal::Unavailable { retry_after: None };
            (Attempt::without_answer(LogoutResult::Failed(refusal)), None)
        } else {
            let (attempt, took) = self.attempt(session, asked, may_have_queued, deadline).await;
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
        if may_have_queued && attempt.result == LogoutResult::Revoked && !attempt.assumed {
            Box::pin(self.remove_settled(session, asked.scope, queued.as_ref())).await;
        }
        let Attempt { status: upstream_status, unknown, .. } = attempt;
        LogoutReport { result, upstream_status, upstream_time, unknown, proof }
    }

    /// Tries a queued logout once more. It stays in the queue unless this ends the session.
    pub(crate) async fn retry(
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

    /// Marks a `local` logout as under way. That of an unproven session is not marked, because a forger may have
    /// chosen the ids of another user's session.
    fn begin(&self, session: &Session, asked: LogoutRequest<'_>) -> Option<UnderWay> {
        let counts = asked.scope == Scope::Local && session.proof != Proof::Unproven;
        counts.then(|| self.local_logouts.begin(session.claims.session_id))
    }

    /// One attempt, and the time that GoTrue took for it.
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
        // GoTrue may have confirmed the session by a refresh.
        let session = &Session { proof, ..session.clone() };
        let enqueued = self.put_into_queue((queue, kept), session, asked, refusal);
        match Box::pin(enqueued).await {
            Ok(()) => LogoutResult::Queued(refusal.clone()),
            Err(cause) => {
                let request_id = asked.caller.request_id();
                tracing::error!(request_id, %cause, "the gateway could not queue a logout that GoTrue failed: the session may live until its user signs out again");
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
            // The gateway verified the token and GoTrue does not accept it: GoTrue's clock is ahead, or its keys
            // have rotated.
            let refresh_helps = answer.result == Err(Refusal::BadJwt)
                && session.signature == SignatureStatus::Verified
                && session.refresh_token.is_some();
            if !refresh_helps {
                return self.interpret(session, &answer, asked).await;
            }
        }
        let Some(refresh_token) = &session.refresh_token else {
            return Attempt::without_answer(LogoutResult::Expired);
        };
        // Boxed, like other rare steps: the future of each request is moved, so the usual one stays small.
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
            // Only for `local`, because the user's other sessions may live on; and not for an unproven session,
            // because a forger must not learn whether a session has ended.
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
                let mut attempt = self.interpret(session, &answer, asked).await;
                // GoTrue has just issued a token of this session.
                attempt.vouched = true;
                attempt.refreshed = validity_of(access_token.expose_secret());
                if matches!(attempt.result, LogoutResult::NotGenuine(_)) {
                    attempt.result = LogoutResult::Failed(Refusal::Unexpected);
                }
                attempt
            }
        }
    }

    /// Interprets GoTrue's answer to a logout.
    ///
    /// If a session is gone after a try without an answer, in this request or an earlier one, that try counts as
    /// the one that revoked it (contract, section 8). It does not if another logout may have ended the session and
    /// left the user's other sessions alive: if the list has its end, if a `local` logout of it is under way, or
    /// if it may have ended before the first try. The list also has the session of a user who repeats a
    /// `global`, so that user may get a wrong 401 `not_found`, but never a wrong success.
    async fn interpret(
        &self,
        session: &Session,
        answer: &LogoutAnswer,
        asked: LogoutRequest<'_>,
    ) -> Attempt {
        let mut attempt = Attempt::of(answer, asked.scope);
        let by_unanswered_try = match attempt.result {
            LogoutResult::Revoked => attempt.assumed,
            LogoutResult::OthersLiveOn => asked.tried_before && asked.scope == Scope::Global,
            _ => false,
        };
        if by_unanswered_try {
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

    /// A new access token of the same session and user.
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
