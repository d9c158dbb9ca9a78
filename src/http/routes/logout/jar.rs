//! Ends the sessions of a request. Its cookies (the cookie jar) may hold several sessions, of one user or of
//! several.

use std::pin::Pin;

use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use crate::{
    http::authentication::SESSIONS_AT_ONCE,
    logout::{Logout, LogoutReport, LogoutRequest},
    outcome::{Outcome, Scope},
    session::{Proof, Session},
};

/// A session, and the report of its logout.
pub(super) struct EndedSession {
    pub(super) session: Session,
    pub(super) report: LogoutReport,
}

/// The sessions for which the gateway sends a logout to GoTrue. With `others` and `global` it sends one for each
/// user, with the session of the best proof: GoTrue then ends the user's other sessions, so a second logout would
/// find its own session ended.
pub(super) fn select_sessions(sessions: Vec<Session>, scope: Scope) -> Vec<Session> {
    if scope == Scope::Local {
        return sessions;
    }
    let mut selected: Vec<Session> = Vec::new();
    for session in sessions {
        match selected.iter_mut().find(|known| known.claims.sub == session.claims.sub) {
            None => selected.push(session),
            Some(known) if session.proof > known.proof => *known = session,
            Some(_) => {}
        }
    }
    selected
}

/// The best proof among the sessions. It decides how many places in flight the request may compete for.
pub(super) fn best_proof(sessions: &[Session]) -> Proof {
    sessions.iter().map(|session| session.proof).max().unwrap_or(Proof::Unproven)
}

/// Ends the sessions, [`SESSIONS_AT_ONCE`] at a time, within one deadline.
pub(super) async fn end(
    logout: &Logout,
    sessions: Vec<Session>,
    request: LogoutRequest<'_>,
    deadline: Instant,
) -> Vec<EndedSession> {
    let end = async |session: Session| {
        let report = logout.end(&session, request, deadline).await;
        EndedSession { session, report }
    };
    match <[Session; 1]>::try_from(sessions) {
        Ok([session]) => vec![end(session).await],
        Err(sessions) => {
            let ended = stream::iter(sessions.into_iter().map(end)).buffered(SESSIONS_AT_ONCE);
            // Box this future, so that the future of an ordinary request stays small: moving it copies all of its
            // bytes.
            let all: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(ended.collect());
            all.await
        }
    }
}

/// How far an outcome is from success. The response to a request of several sessions reports the greatest
/// severity.
pub(super) fn severity(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::AlreadyEnded => 0,
        Outcome::Revoked => 1,
        Outcome::Queued => 2,
        Outcome::Refused => 3,
        Outcome::Failed => 4,
    }
}
