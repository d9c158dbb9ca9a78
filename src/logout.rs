//! The use case: end a session at GoTrue and say truthfully what became of it.
//!
//! It knows no HTTP framework: a session whose right to be here is settled, a scope and the clock go
//! in, an [`Outcome`] comes out. What cannot be done now is queued, or said to have failed.

mod attempt;

use std::{sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use self::attempt::{Attempt, RefreshFault};
use crate::{
    clock::Clock,
    config::Scope,
    gotrue::{Deadline, GoTrue, OnBehalfOf, Refusal},
    queue::postponing::Postponing,
    session::{
        Session,
        token::{CLOCK_AHEAD_SECONDS, TokenFault, session_of},
        verifier::Standing,
    },
    store::{Store, list::Revocation},
};

/// As far as a token of GoTrue's may be ahead of our clock, its cut-off may be.
const CLOCK_AHEAD: Duration = Duration::from_secs(CLOCK_AHEAD_SECONDS.unsigned_abs());

/// What became of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// GoTrue revoked what the scope names.
    Revoked,
    /// There was nothing left to revoke.
    AlreadyEnded,
    /// This session is gone, so GoTrue refused to end the user's others: they live on.
    OthersLiveOn,
    /// The credential turned out not to be genuine.
    NotGenuine(TokenFault),
    /// The access token has expired and the refresh token is none.
    Expired,
    /// GoTrue failed, and will be asked again: that is durably queued.
    Queued(Refusal),
    /// GoTrue failed or refused; the session may live.
    Failed(Refusal),
}

/// What happened, for the reply and the audit log.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What became of the session.
    pub outcome: Outcome,
    /// The status of GoTrue's answer to the logout, if it was asked and answered.
    pub upstream_status: Option<u16>,
    /// How long it took, with a refresh and a second try, if it was asked.
    pub upstream_time: Option<Duration>,
    /// Where it is not revoked: it may be all the same, by a try whose answer did not come.
    pub unknown: bool,
}

/// What is asked for, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Which of the user's sessions end.
    pub scope: Scope,
    /// The route, for whoever reads the queue.
    pub route: &'a str,
    /// Whose request it is.
    pub caller: &'a OnBehalfOf,
    /// An earlier try may have had its effect without our hearing of it.
    pub tried_before: bool,
}

/// Ends sessions; everything it needs besides the session itself.
#[derive(Clone, Debug)]
pub struct Logout {
    /// Who revokes.
    pub gotrue: GoTrue,
    /// Who remembers.
    pub store: Arc<dyn Store>,
    /// How it is done later, where the store has a queue.
    pub postponing: Option<Arc<Postponing>>,
    /// When it is.
    pub clock: Clock,
    /// `GATEWAY_MAX_TOKEN_LIFETIME`.
    pub max_token_lifetime: Duration,
}

impl Logout {
    /// Revokes what is asked for with `session`'s credentials, refreshing them first if they have
    /// expired, and enters the revocation list. Where GoTrue fails, it is postponed.
    pub async fn end(&self, session: &Session, asked: Asked<'_>, deadline: Deadline) -> Ended {
        let (attempt, upstream_time) = if session.standing == Standing::Unjudgeable {
            let refusal = Refusal::Unavailable { retry_after: None };
            (Attempt::without_answer(Outcome::Failed(refusal)), None)
        } else {
            let (attempt, took) = self.attempt(session, asked, deadline).await;
            (attempt, Some(took))
        };
        if attempt.vouched
            && let Some(postponing) = &self.postponing
        {
            postponing.gotrue_is_well();
        }
        let remembered = self.remember_if_proven(session, asked, &attempt);
        let ((), outcome) = tokio::join!(remembered, self.postpone(session, asked, &attempt));
        let Attempt { status: upstream_status, unknown, .. } = attempt;
        Ended { outcome, upstream_status, upstream_time, unknown }
    }

    /// The same for a logout that was postponed: it is in the queue, and stays there unless it ends.
    pub async fn end_at_last(
        &self,
        session: &Session,
        asked: Asked<'_>,
        deadline: Deadline,
    ) -> Ended {
        let (attempt, took) = self.attempt(session, asked, deadline).await;
        // Again where it was verified, too: what began while it waited ended just now, if all ended.
        let ended = match attempt.outcome {
            Outcome::Revoked | Outcome::AlreadyEnded => Some(asked.scope),
            _ => (asked.scope != Scope::Others).then_some(Scope::Local),
        };
        if let Some(scope) = ended.filter(|_| attempt.vouched) {
            self.remember(session, Asked { scope, ..asked }, &attempt).await;
        }
        let Attempt { outcome, status: upstream_status, unknown, .. } = attempt;
        let outcome = match outcome {
            // The session that asked for `global` is gone by that very try.
            Outcome::OthersLiveOn if asked.tried_before && asked.scope == Scope::Global => {
                Outcome::Revoked
            }
            outcome => outcome,
        };
        Ended { outcome, upstream_status, upstream_time: Some(took), unknown }
    }

    /// One attempt, and how long GoTrue took for it: a duration, which the time of day has no part in.
    async fn attempt(
        &self,
        session: &Session,
        asked: Asked<'_>,
        deadline: Deadline,
    ) -> (Attempt, Duration) {
        let begun = Instant::now();
        let attempt = self.revoke(session, asked.scope, asked.caller, deadline).await;
        (attempt, begun.elapsed())
    }

    async fn postpone(&self, session: &Session, asked: Asked<'_>, attempt: &Attempt) -> Outcome {
        let Outcome::Failed(refusal) = &attempt.outcome else { return attempt.outcome.clone() };
        let (Some(postponing), Some(queue)) = (&self.postponing, self.store.queue()) else {
            return attempt.outcome.clone();
        };
        if !refusal.is_passing() {
            return attempt.outcome.clone();
        }
        let asked = Asked { tried_before: asked.tried_before || attempt.unknown, ..asked };
        match postponing.postpone(queue, session, asked, refusal, self.clock.now()).await {
            Ok(()) => Outcome::Queued(refusal.clone()),
            Err(cause) => {
                let request_id = asked.caller.request_id();
                tracing::error!(request_id, %cause, "a failed logout could not be queued");
                attempt.outcome.clone()
            }
        }
    }

    async fn remember_if_proven(&self, session: &Session, asked: Asked<'_>, attempt: &Attempt) {
        // An expired token is no proof of who is asking now: it may stem from an old log. It is one
        // again once GoTrue has refreshed it.
        if attempt.vouched || (session.standing == Standing::Verified && !session.expired) {
            self.remember(session, asked, attempt).await;
        }
    }

    async fn remember(&self, session: &Session, asked: Asked<'_>, attempt: &Attempt) {
        let scope = asked.scope;
        let (now, claims) = (self.clock.now(), &session.claims);
        let seconds = self.clock.unix_seconds();
        // Whoever still holds a token that was logged out here is perhaps the one its user wanted to be
        // rid of: it ends the others only where GoTrue says that they are gone.
        let gone = matches!(attempt.outcome, Outcome::Revoked | Outcome::AlreadyEnded);
        if scope != Scope::Local && !gone {
            // A store that cannot tell is no reason to forget that an owner asked to leave.
            let revoked = self.store.is_revoked(claims, seconds).await;
            if revoked.unwrap_or(false) {
                return;
            }
        }
        let cut_off = match attempt.date {
            Some(date) if attempt.answered_by_gotrue => date.min(now + CLOCK_AHEAD),
            // Perhaps GoTrue's clock, which may be behind ours; perhaps anybody's.
            Some(date) => date.clamp(now - CLOCK_AHEAD, now),
            None => now,
        };
        let lifetime = self.max_token_lifetime;
        let revocation = Revocation::new(claims, scope, cut_off, seconds, lifetime);
        if let Err(cause) = self.store.revoke(&revocation).await {
            let request_id = asked.caller.request_id();
            tracing::error!(request_id, %cause, "a logout is not safely on the revocation list");
        }
    }

    async fn revoke(
        &self,
        session: &Session,
        scope: Scope,
        caller: &OnBehalfOf,
        deadline: Deadline,
    ) -> Attempt {
        if !session.expired {
            let answer = self.gotrue.logout(&session.access_token, scope, caller, deadline).await;
            // It verified here and GoTrue does not take it: its clock is ahead, or its keys rotated.
            let refresh_helps = answer.result == Err(Refusal::BadJwt)
                && session.standing == Standing::Verified
                && session.refresh_token.is_some();
            if !refresh_helps {
                return Attempt::of(&answer, scope);
            }
        }
        let Some(refresh_token) = &session.refresh_token else {
            return Attempt::without_answer(Outcome::Expired);
        };
        match self.refresh(session, refresh_token, caller, deadline).await {
            Err(fault) => Attempt::without_answer(fault.outcome(scope)),
            Ok(access_token) => {
                let answer = self.gotrue.logout(&access_token, scope, caller, deadline).await;
                let mut attempt = Attempt::of(&answer, scope);
                // GoTrue itself just issued a token of this very session.
                attempt.vouched = true;
                if matches!(attempt.outcome, Outcome::NotGenuine(_)) {
                    attempt.outcome = Outcome::Failed(Refusal::Unexpected);
                }
                attempt
            }
        }
    }

    /// A fresh access token of the same session and user, or none.
    async fn refresh(
        &self,
        session: &Session,
        refresh_token: &SecretString,
        caller: &OnBehalfOf,
        deadline: Deadline,
    ) -> Result<SecretString, RefreshFault> {
        let refreshed = self.gotrue.refresh(refresh_token, caller, deadline).await?;
        let same = session_of(refreshed.access_token.expose_secret())
            == Some((session.claims.sub, session.claims.session_id));
        if same { Ok(refreshed.access_token) } else { Err(RefreshFault::Foreign) }
    }
}
