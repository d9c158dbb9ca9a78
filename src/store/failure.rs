//! A logout that did not end the session.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    logout::outcome::{Reason, RecordedOutcome, Route, Scope, Stored},
    queue::entry::QueueEntry,
};

/// One line of the failure log; never a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When; seconds since the Unix epoch.
    pub time: i64,
    /// `X-Request-Id` of the logout.
    pub request_id: String,
    /// The route that was asked.
    pub route: Stored<Route>,
    /// Which of the user's sessions were to end.
    pub scope: Stored<Scope>,
    /// `failed` or `queued` when it was asked for; `gave-up` and `dropped` for entries of the queue.
    pub outcome: Stored<RecordedOutcome>,
    /// Whose session.
    pub user_id: Uuid,
    /// Which session.
    pub session_id: Uuid,
    /// The error's code, unless the client was told of success.
    pub code: Option<String>,
    /// Why.
    pub reason: Stored<Reason>,
    /// The status of GoTrue's answer, if one came.
    pub upstream_status: Option<u16>,
}

impl Failure {
    /// The failure of a queued logout that is no longer retried; `time` in seconds since the Unix epoch.
    #[must_use]
    pub fn of_entry(
        entry: &QueueEntry,
        time: i64,
        outcome: RecordedOutcome,
        reason: Stored<Reason>,
        upstream_status: Option<u16>,
    ) -> Self {
        Self {
            time,
            request_id: entry.request_id.clone(),
            route: entry.route.clone(),
            scope: entry.scope.clone(),
            outcome: Stored::Known(outcome),
            user_id: entry.user_id,
            session_id: entry.session_id,
            code: None,
            reason,
            upstream_status,
        }
    }
}
