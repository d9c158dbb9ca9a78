//! Reads queue entries of the first release. These have one entry for each logout request, and the entry's id
//! is part of the additional authenticated data of its credentials.

use jiff::{Timestamp, fmt::serde::timestamp::millisecond};
use serde::Deserialize;
use uuid::Uuid;

use super::{NEVER, QueueEntry, SealedCredentials, entry_id};
use crate::outcome::{Reason, Route, Scope, Stored};

/// A queue entry in the format of the first release.
#[derive(Debug, Deserialize)]
pub struct EntryV1 {
    /// A hash of the session, the scope and the credentials.
    pub(crate) id: Uuid,
    request_id: String,
    route: Stored<Route>,
    scope: Stored<Scope>,
    user_id: Uuid,
    session_id: Uuid,
    verified: bool,
    tried: bool,
    #[serde(with = "millisecond::required")]
    queued_at: Timestamp,
    #[serde(with = "millisecond::required")]
    due: Timestamp,
    attempts: u32,
    reason: Stored<Reason>,
    key_id: String,
    sealed: String,
}

impl From<EntryV1> for QueueEntry {
    /// Converts the entry and gives it the id of [`entry_id`]. The caller merges it with an existing entry of
    /// that id. Credentials that were not verified count as stale.
    fn from(old: EntryV1) -> Self {
        let EntryV1 { id, scope, user_id, session_id, verified, .. } = old;
        let bound_to = format!("{id} {scope} {user_id} {session_id} {verified}");
        let credentials = SealedCredentials {
            fingerprint: id.to_string(),
            former_fingerprint: None,
            proven: verified,
            exp: 0,
            key_id: old.key_id,
            sealed: old.sealed,
            bound_to: Some(bound_to),
        };
        Self {
            id: scope.known().map_or(id, |scope| entry_id(session_id, scope)),
            request_id: old.request_id,
            route: old.route,
            scope,
            user_id,
            session_id,
            tried: old.tried,
            was_over: false,
            queued_at: old.queued_at,
            renewed_at: if verified { old.queued_at } else { NEVER },
            due: old.due,
            failed_at: NEVER,
            attempts: old.attempts,
            reason: old.reason,
            revision: 0,
            credentials: vec![credentials],
        }
    }
}
