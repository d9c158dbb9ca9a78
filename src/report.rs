//! How an operator sees the queue and the failure log: by route, and by command.

use std::time::{Duration, UNIX_EPOCH};

use humantime::format_rfc3339_seconds;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    logout::outcome::{Reason, RecordedOutcome, Route, Scope, Stored},
    queue::entry::QueueEntry,
    store::failure::Failure,
};

/// An entry of the queue without its credentials, sealed or not.
#[derive(Clone, Debug, Serialize)]
pub struct QueuedLogout {
    /// The entry's own.
    pub id: Uuid,
    /// When it was asked for; RFC 3339.
    pub queued_at: String,
    /// When GoTrue is asked again, or the lease of whoever asks ends; RFC 3339.
    pub due_at: String,
    /// How often GoTrue was asked since.
    pub attempts: u32,
    /// Why it is here still.
    pub reason: Stored<Reason>,
    /// `X-Request-Id` of the logout.
    pub request_id: String,
    /// The route that was asked.
    pub route: Stored<Route>,
    /// `local`, `others` or `global`.
    pub scope: Stored<Scope>,
    /// Whose session.
    pub user_id: Uuid,
    /// Which session.
    pub session_id: Uuid,
    /// How many credentials there are to try.
    pub credentials: usize,
    /// Which secret's key sealed the newest of them.
    pub key_id: String,
}

impl From<&QueueEntry> for QueuedLogout {
    fn from(entry: &QueueEntry) -> Self {
        let moment = |milliseconds: i64| rfc3339(milliseconds / 1000);
        Self {
            id: entry.id,
            queued_at: moment(entry.queued_at),
            due_at: moment(entry.due),
            attempts: entry.attempts,
            reason: entry.reason.clone(),
            request_id: entry.request_id.clone(),
            route: entry.route.clone(),
            scope: entry.scope.clone(),
            user_id: entry.user_id,
            session_id: entry.session_id,
            credentials: entry.credentials.len(),
            key_id: entry.credentials.first().map(|c| c.key_id.clone()).unwrap_or_default(),
        }
    }
}

/// A line of the failure log.
#[derive(Clone, Debug, Serialize)]
pub struct FailedLogout {
    /// When; RFC 3339.
    pub time: String,
    /// `failed` or `queued` when it was asked for; `gave-up` and `dropped` later.
    pub outcome: Stored<RecordedOutcome>,
    /// The error's code, unless the client was told of success.
    pub code: Option<String>,
    /// Why.
    pub reason: Stored<Reason>,
    /// The status of GoTrue's answer, if one came.
    pub upstream_status: Option<u16>,
    /// `X-Request-Id` of the logout.
    pub request_id: String,
    /// The route that was asked.
    pub route: Stored<Route>,
    /// `local`, `others` or `global`.
    pub scope: Stored<Scope>,
    /// Whose session.
    pub user_id: Uuid,
    /// Which session.
    pub session_id: Uuid,
}

impl From<Failure> for FailedLogout {
    fn from(failure: Failure) -> Self {
        let time = rfc3339(failure.time);
        let Failure { outcome, code, reason, upstream_status, request_id, .. } = failure;
        let Failure { route, scope, user_id, session_id, .. } = failure;
        Self {
            time,
            outcome,
            code,
            reason,
            upstream_status,
            request_id,
            route,
            scope,
            user_id,
            session_id,
        }
    }
}

/// A time in seconds since the Unix epoch, as RFC 3339 writes it. The latest that can be written stands
/// for whatever is later.
#[must_use]
pub fn rfc3339(seconds: i64) -> String {
    const LATEST: u64 = 253_402_300_799;
    let since_epoch = Duration::from_secs(seconds.unsigned_abs().min(LATEST));
    format_rfc3339_seconds(UNIX_EPOCH + since_epoch).to_string()
}
