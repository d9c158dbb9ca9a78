//! Ends the sessions of a request. Its cookies (the cookie jar) may hold several sessions, of one user or of
//! several.

use std::{cmp::Reverse, pin::Pin};

use futures_util::{StreamExt as _, future::join, stream};
use tokio::time::Instant;

use crate::{
    http::authentication::SESSIONS_AT_ONCE,
    logout::{Logout, LogoutReport, LogoutRequest, LogoutResult},
    outcome::Scope,
    session::{Proof, Session},
};

/// A session, and the report of its logout.
pub(super) struct EndedSession {
    pub(super) session: Session,
    pub(super) report: LogoutReport,
}

/// The sessions of each user, the most certain ones first.
fn by_user(sessions: Vec<Session>) -> Vec<Vec<Session>> {
    let mut users: Vec<Vec<Session>> = Vec::new();
    for session in sessions {
        let sub = session.claims.sub;
        match users.iter_mut().find(|user| user.iter().any(|known| known.claims.sub == sub)) {
            Some(user) => user.push(session),
            None => users.push(vec![session]),
        }
    }
    for user in &mut users {
        user.sort_by_key(|session| Reverse(session.proof));
    }
    users
}

/// The best proof among the sessions. It decides how many of the places in flight the request may compete for.
pub(super) fn best_proof(sessions: &[Session]) -> Proof {
    sessions.iter().map(|session| session.proof).max().unwrap_or(Proof::Unproven)
}

/// Ends the sessions within one deadline.
///
/// With `others` and `global` the gateway makes one request for each user, because GoTrue then ends the other sessions
/// of that user, and a second request would find its own session ended. If GoTrue refuses the session of the request,
/// the gateway tries the user's next one.
pub(super) async fn end(
    logout: &Logout,
    mut sessions: Vec<Session>,
    request: LogoutRequest<'_>,
    deadline: Instant,
) -> Vec<EndedSession> {
    if sessions.len() == 1
        && let Some(session) = sessions.pop()
    {
        return vec![end_one(logout, session, request, deadline).await];
    }
    let groups = match request.scope {
        Scope::Local => sessions.into_iter().map(|session| vec![session]).collect(),
        Scope::Others | Scope::Global => by_user(sessions),
    };
    // Box the future of several sessions, so that the future of a request with one session stays small.
    let all: Pin<Box<dyn Future<Output = _> + Send>> =
        Box::pin(end_groups(logout, groups, request, deadline));
    all.await
}

/// Ends one session of each group. [`SESSIONS_AT_ONCE`] logouts of proven and stale sessions are under way at a time,
/// but only one of an unproven session: an attacker can forge any number of those, and the request takes only one place
/// in flight.
async fn end_groups(
    logout: &Logout,
    groups: Vec<Vec<Session>>,
    request: LogoutRequest<'_>,
    deadline: Instant,
) -> Vec<EndedSession> {
    let end = async |(index, group)| (index, end_first(logout, group, request, deadline).await);
    let (certain, unproven): (Vec<_>, Vec<_>) =
        groups.into_iter().enumerate().partition(|(_, group)| best_proof(group) != Proof::Unproven);
    let certain = stream::iter(certain.into_iter().map(end)).buffered(SESSIONS_AT_ONCE);
    let unproven = stream::iter(unproven.into_iter().map(end)).buffered(1);
    let (certain, unproven): (Vec<_>, Vec<_>) = join(certain.collect(), unproven.collect()).await;
    let mut ended: Vec<_> = certain.into_iter().chain(unproven).collect();
    ended.sort_by_key(|(index, _)| *index);
    ended.into_iter().filter_map(|(_, ended)| ended).collect()
}

/// Tries the sessions in turn, until GoTrue accepts one or fails.
async fn end_first(
    logout: &Logout,
    group: Vec<Session>,
    request: LogoutRequest<'_>,
    deadline: Instant,
) -> Option<EndedSession> {
    let mut last = None;
    for session in group {
        let ended = end_one(logout, session, request, deadline).await;
        let is_refused = matches!(
            ended.report.result,
            LogoutResult::OthersLiveOn | LogoutResult::Expired | LogoutResult::NotGenuine(_)
        );
        last = Some(ended);
        if !is_refused {
            break;
        }
    }
    last
}

async fn end_one(
    logout: &Logout,
    session: Session,
    request: LogoutRequest<'_>,
    deadline: Instant,
) -> EndedSession {
    let report = logout.end(&session, request, deadline).await;
    EndedSession { session, report }
}
