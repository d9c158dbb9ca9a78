//! The records of the failure log: logouts that did not end the session when the client asked for it.

use jiff::{Timestamp, fmt::serde::timestamp::second};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct as _};
use uuid::Uuid;

use crate::{
    outcome::{Reason, RecordedOutcome, Route, Scope, Stored},
    store::entry::QueueEntry,
};

/// One record of the failure log; it never holds a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When the logout failed.
    #[serde(with = "second::required")]
    pub time: Timestamp,
    /// The `X-Request-Id` of the logout request.
    pub request_id: String,
    /// The route of the gateway that the client called.
    pub route: Stored<Route>,
    /// Which of the user's sessions the logout was to end.
    pub scope: Stored<Scope>,
    /// `failed`, `queued` or `refused` for a request; `gave-up` or `dropped` for an entry that left the
    /// queue.
    pub outcome: Stored<RecordedOutcome>,
    /// The user whose session requested the logout.
    pub user_id: Uuid,
    /// The session that requested the logout.
    pub session_id: Uuid,
    /// The `code` of the error response; `None` if the client received a success.
    pub code: Option<String>,
    /// Why the logout failed.
    pub reason: Stored<Reason>,
    /// The HTTP status of GoTrue's answer to the logout; `None` if GoTrue did not answer.
    pub upstream_status: Option<u16>,
}

impl Failure {
    /// The record of a queued logout that was removed from the queue at `time` without having succeeded.
    pub(crate) fn of_entry(
        entry: &QueueEntry,
        time: Timestamp,
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

/// A failure as HTTP responses and commands show it: the time is in RFC 3339, in whole seconds.
#[derive(Clone, Debug)]
pub struct FailedLogout(pub Failure);

impl Serialize for FailedLogout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(failure) = self;
        let mut members = serializer.serialize_struct("FailedLogout", 10)?;
        members.serialize_field("time", &format_args!("{:.0}", failure.time))?;
        members.serialize_field("outcome", &failure.outcome)?;
        members.serialize_field("code", &failure.code)?;
        members.serialize_field("reason", &failure.reason)?;
        members.serialize_field("upstream_status", &failure.upstream_status)?;
        members.serialize_field("request_id", &failure.request_id)?;
        members.serialize_field("route", &failure.route)?;
        members.serialize_field("scope", &failure.scope)?;
        members.serialize_field("user_id", &failure.user_id)?;
        members.serialize_field("session_id", &failure.session_id)?;
        members.end()
    }
}
