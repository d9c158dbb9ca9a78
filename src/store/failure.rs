//! A logout that did not end the session.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::queue::entry::QueueEntry;

/// One line of the failure log; never a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When; seconds since the Unix epoch.
    pub time: i64,
    /// `X-Request-Id` of the logout.
    pub request_id: String,
    /// The route that was asked, `/api/auth/logout` for one.
    pub route: String,
    /// `local`, `others` or `global`.
    pub scope: String,
    /// `failed`, `queued`, `refused`; `gave-up` and `dropped` for entries of the queue.
    pub outcome: String,
    /// Whose session.
    pub user_id: Uuid,
    /// Which session.
    pub session_id: Uuid,
    /// The error's code, unless the client was told of success.
    pub code: Option<String>,
    /// Why.
    pub reason: String,
    /// The status of GoTrue's answer, if one came.
    pub upstream_status: Option<u16>,
}

impl Failure {
    /// A postponed logout whose time is over, at `time`, seconds since the Unix epoch.
    #[must_use]
    pub fn of_entry(
        entry: &QueueEntry,
        time: i64,
        outcome: &str,
        reason: &str,
        upstream_status: Option<u16>,
    ) -> Self {
        Self {
            time,
            request_id: entry.request_id.clone(),
            route: entry.route.clone(),
            scope: entry.scope.clone(),
            outcome: outcome.to_owned(),
            user_id: entry.user_id,
            session_id: entry.session_id,
            code: None,
            reason: reason.to_owned(),
            upstream_status,
        }
    }
}
