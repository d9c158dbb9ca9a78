//! Ends a session at GoTrue and reports the result truthfully.
//!
//! This module does not know HTTP: [`Logout::end`] takes an authenticated session and a [`LogoutRequest`],
//! and returns a [`LogoutReport`]. If GoTrue fails, the logout is queued or reported as failed.

mod attempt;
mod known;
mod queued;
mod record;
mod refresh;
mod report;
mod under_way;

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret;
use tokio::time::Instant;

pub(crate) use self::known::report_omitted_lines;
pub(crate) use self::report::{LogoutReport, LogoutRequest, LogoutResult};
pub(crate) use self::under_way::LocalLogouts;
use self::{
    attempt::{Attempt, RefreshError},
    under_way::UnderWay,
};
use crate::{
    clock::Clock,
    gotrue::{Deadline, GoTrue, LogoutAnswer, Refusal},
    outcome::Scope,
    queue::enqueue::RevocationQueue,
    session::{Proof, Session, token::validity_of, verifier::SignatureStatus},
    store::Store,
};

/// Ends sessions, with the client of GoTrue, the store, the queue and the clock.
#[derive(Clone, Debug)]
pub struct Logout {
    /// The client that sends requests to GoTrue.
    pub(crate) gotrue: GoTrue,
    /// The store of the revocation list, the queue and the failure log.
    pub store: Arc<dyn Store>,
    /// Adds logouts to the store's queue if GoTrue fails; `None` if the store has no queue.
    pub(crate) queue: Option<Arc<RevocationQueue>>,
    /// The gateway's clock.
    pub(crate) clock: Clock,
    /// `GATEWAY_MAX_TOKEN_LIFETIME`.
    pub(crate) max_token_lifetime: Duration,
    /// The `local` logouts that this process has sent to GoTrue and whose result is not recorded yet.
    pub(crate) local_logouts: LocalLogouts,
}

impl Logout {
    /// Asks GoTrue to end the sessions that the request's scope names, with the credentials of `session`, and
    /// records the revocation. An expired access token is refreshed first. If GoTrue fails, the logout is
    /// queued.
    pub(crate) async fn end(
        &self,
        session: &Session,
        request: LogoutRequest<'_>,
        deadline: Deadline,
    ) -> LogoutReport {
        let is_up_to_date = self.sync_list(session).await;
        let list_has_end = self.list_has_end(session);
        if request.scope == Scope::Local && session.proof != Proof::Unproven && list_has_end {
            // Do not ask GoTrue again: versions before 2.150 treat a second `local` logout of a session as a
            // `global` one.
            return LogoutReport {
                result: LogoutResult::AlreadyEnded,
                upstream_status: None,
                upstream_time: None,
                unknown: false,
                proof: session.proof,
            };
        }
        // Whether `/api/auth/verify` refuses the session's tokens already, for instance because another
        // session of the user was logged out with the scope `others`.
        let is_refused = self.is_refused(session);
        let request =
            LogoutRequest { was_over: !is_up_to_date || list_has_end || is_refused, ..request };
        // A proven session that the revocation list does not have cannot have an entry in the queue, because
        // each queued logout of a proven session is recorded in the list.
        let may_have_queued =
            session.proof != Proof::Proven || is_refused || self.has_counted_cut_off(session);
        let queued = if may_have_queued {
            Box::pin(self.queued_others(session, request)).await
        } else {
            None
        };
        let (attempt, upstream_time) = if session.signature == SignatureStatus::Unverifiable {
            let refusal = Refusal::Unavailable { retry_after: None };
            (Attempt::without_answer(LogoutResult::Failed(refusal)), None)
        } else {
            let (attempt, took) = self.attempt(session, request, may_have_queued, deadline).await;
            (attempt, Some(took))
        };
        if attempt.is_confirmed_genuine
            && let Some(queue) = &self.queue
        {
            queue.report_gotrue_answered();
        }
        let proof = if attempt.is_confirmed_genuine { Proof::Proven } else { session.proof };
        let recorded = async {
            if proof == Proof::Proven {
                self.record(session, request, &attempt).await;
            }
        };
        let ((), result) = tokio::join!(recorded, self.enqueue(session, request, &attempt, proof));
        if may_have_queued && attempt.result == LogoutResult::Revoked && !attempt.assumed {
            Box::pin(self.remove_settled(session, request.scope, queued.as_ref())).await;
        }
        let Attempt { status: upstream_status, unknown, .. } = attempt;
        LogoutReport { result, upstream_status, upstream_time, unknown, proof }
    }

    /// Tries a queued logout once, for the worker. This records a revocation but does not change the queue.
    pub(crate) async fn retry(
        &self,
        session: &Session,
        request: LogoutRequest<'_>,
        deadline: Deadline,
    ) -> LogoutReport {
        let (attempt, took) = self.attempt(session, request, true, deadline).await;
        if attempt.is_confirmed_genuine || attempt.is_final() {
            self.record(session, request, &attempt).await;
        }
        let proof = if attempt.is_confirmed_genuine { Proof::Proven } else { session.proof };
        let Attempt { result, status: upstream_status, unknown, .. } = attempt;
        LogoutReport { result, upstream_status, upstream_time: Some(took), unknown, proof }
    }

    /// Marks a `local` logout as under way. A logout of an unproven session is not marked, because its token
    /// may be forged with the ids of another user's session.
    fn begin(&self, session: &Session, request: LogoutRequest<'_>) -> Option<UnderWay> {
        let counts = request.scope == Scope::Local && session.proof != Proof::Unproven;
        counts.then(|| self.local_logouts.begin(session.claims.session_id))
    }

    /// Makes one attempt to end the session. Returns it with the time that GoTrue took.
    async fn attempt(
        &self,
        session: &Session,
        request: LogoutRequest<'_>,
        may_have_queued: bool,
        deadline: Deadline,
    ) -> (Attempt, Duration) {
        let start = Instant::now();
        let attempt = match self.introspect_ended_session(session, request, deadline).await {
            Some(attempt) => attempt,
            None => self.revoke_widest(session, request, may_have_queued, deadline).await,
        };
        (attempt, start.elapsed())
    }

    async fn enqueue(
        &self,
        session: &Session,
        request: LogoutRequest<'_>,
        attempt: &Attempt,
        proof: Proof,
    ) -> LogoutResult {
        let result = attempt.result.clone();
        let LogoutResult::Failed(refusal) = &result else { return result };
        let (Some(queue), Some(kept)) = (&self.queue, self.store.queue()) else { return result };
        if !refusal.is_passing() || proof == Proof::Unproven {
            return result;
        }
        let request =
            LogoutRequest { tried_before: request.tried_before || attempt.unknown, ..request };
        // Use the proof after GoTrue's answer: GoTrue may have confirmed the session by a refresh.
        let session = &Session { proof, ..session.clone() };
        let enqueued = self.put_into_queue((queue, kept), session, request, refusal);
        match Box::pin(enqueued).await {
            Ok(()) => LogoutResult::Queued(refusal.clone()),
            Err(cause) => {
                let request_id = request.caller.request_id();
                tracing::error!(request_id, %cause, "GoTrue failed, and the gateway could not queue the logout: the session may stay active until the user signs out again");
                result
            }
        }
    }

    async fn revoke(
        &self,
        session: &Session,
        request: LogoutRequest<'_>,
        deadline: Deadline,
    ) -> Attempt {
        let LogoutRequest { scope, caller, .. } = request;
        if !session.expired {
            let answer = self.gotrue.logout(&session.access_token, scope, caller, deadline).await;
            // If GoTrue refuses a token that the gateway has verified, GoTrue's clock is ahead or its keys
            // were rotated. A refreshed token may then be accepted.
            let refresh_helps = answer.result == Err(Refusal::BadJwt)
                && session.signature == SignatureStatus::Verified
                && !session.refresh_tokens.is_empty();
            if !refresh_helps {
                return self.interpret(session, &answer, request).await;
            }
        }
        if session.refresh_tokens.is_empty() {
            return Attempt::without_answer(LogoutResult::Expired);
        }
        // Box the futures of rare steps, so that the future of an ordinary request stays small: moving it
        // copies all of its bytes.
        Box::pin(self.refresh_and_revoke(session, request, deadline)).await
    }

    async fn refresh_and_revoke(
        &self,
        session: &Session,
        request: LogoutRequest<'_>,
        deadline: Deadline,
    ) -> Attempt {
        let LogoutRequest { scope, caller, .. } = request;
        match self.refresh_with_any(session, caller, deadline).await {
            // The revocation list has the end of the session. Report success only for `local`, because the
            // user's other sessions may still be active, and not for an unproven session, because the client
            // of a forged token must not learn whether the session has ended.
            Err(RefreshError::Refused(Refusal::RefreshTokenRefused))
                if scope == Scope::Local
                    && session.proof != Proof::Unproven
                    && self.has_ended(session).await =>
            {
                Attempt::without_answer(LogoutResult::AlreadyEnded)
            }
            Err(error) => Attempt::without_answer(error.result()),
            Ok(access_token) => {
                let answer = self.gotrue.logout(&access_token, scope, caller, deadline).await;
                let mut attempt = self.interpret(session, &answer, request).await;
                // GoTrue has just issued a token of this session, so the session is genuine.
                attempt.is_confirmed_genuine = true;
                attempt.refreshed = validity_of(access_token.expose_secret());
                if matches!(attempt.result, LogoutResult::NotGenuine(_)) {
                    attempt.result = LogoutResult::Failed(Refusal::Unexpected);
                }
                attempt
            }
        }
    }

    /// Interprets GoTrue's answer to a logout request.
    ///
    /// If GoTrue does not know the session, and an earlier try (of this request or of a previous one) got no
    /// answer, then that try counts as the one that ended the session (docs/http-api.md, section 8).
    ///
    /// It does not count if another logout may have ended this session, because that logout may have left the
    /// user's other sessions active. That is possible if the revocation list has the end of this session, if a
    /// `local` logout of it is under way, or if it may have ended before the first try. A user who repeats a
    /// `global` logout meets the first condition, and may get a wrong 401 `not_found`, but never a wrong success.
    async fn interpret(
        &self,
        session: &Session,
        answer: &LogoutAnswer,
        request: LogoutRequest<'_>,
    ) -> Attempt {
        let mut attempt = Attempt::of(answer, request.scope);
        let by_unanswered_try = match attempt.result {
            LogoutResult::Revoked => attempt.assumed,
            LogoutResult::OthersLiveOn => request.tried_before && request.scope == Scope::Global,
            _ => false,
        };
        if by_unanswered_try {
            attempt.assumed = true;
            let is_ending = self.local_logouts.contains(session.claims.session_id);
            let has_ended = self.has_ended(session).await;
            attempt.result = match request.scope {
                Scope::Local if has_ended => LogoutResult::AlreadyEnded,
                Scope::Global | Scope::Others if has_ended || request.was_over || is_ending => {
                    LogoutResult::OthersLiveOn
                }
                _ => LogoutResult::Revoked,
            };
        }
        attempt
    }
}
