//! Ends the sessions of a request. A cookie jar may show several, of one user or of more.

use std::pin::Pin;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::{
    logout::{Logout, LogoutReport, LogoutRequest},
    outcome::{Outcome, Scope},
    session::{Proof, Session},
};

/// A session, and what its logout did.
pub(super) struct EndedSession {
    pub(super) session: Session,
    pub(super) report: LogoutReport,
}

/// The sessions for which GoTrue is asked. With `others` and `global`, one for each user: GoTrue ends the others of
/// that user, and a second request would find its own session ended.
pub(super) fn chosen(sessions: Vec<Session>, scope: Scope) -> Vec<Session> {
    if scope == Scope::Local {
        return sessions;
    }
    let mut chosen: Vec<Session> = Vec::new();
    for session in sessions {
        match chosen.iter_mut().find(|known| known.claims.sub == session.claims.sub) {
            None => chosen.push(session),
            Some(known) if known.proof != Proof::Proven && session.proof == Proof::Proven => {
                *known = session;
            }
            Some(_) => {}
        }
    }
    chosen
}

/// Ends the sessions side by side, within one deadline.
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
        // Boxed: the future of each request is moved, so the usual one stays small.
        Err(sessions) => {
            let all: Pin<Box<dyn Future<Output = _> + Send>> =
                Box::pin(join_all(sessions.into_iter().map(end)));
            all.await
        }
    }
}

/// How far an outcome is from success. The response is that of the worst one.
pub(super) fn badness(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::AlreadyEnded => 0,
        Outcome::Revoked => 1,
        Outcome::Queued => 2,
        Outcome::Refused => 3,
        Outcome::Failed => 4,
    }
}
