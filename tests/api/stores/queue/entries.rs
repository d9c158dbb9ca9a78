//! Queue entries that the tests of the stores use.

use logout_gateway::internals::{
    outcome::{Scope, Stored},
    queue::entry::{NEVER, QueueEntry, SealedCredentials, entry_id},
};
use uuid::Uuid;

fn credentials(name: &str, proven: bool) -> SealedCredentials {
    SealedCredentials {
        fingerprint: name.to_owned(),
        former_fingerprint: None,
        proven,
        exp: 1,
        key_id: "key".to_owned(),
        sealed: format!("sealed {name}"),
        bound_to: None,
    }
}

/// A queue entry for a logout of this session, with credentials whose fingerprint is `name`.
pub(in crate::stores) fn queue_entry(
    user: Uuid,
    session: Uuid,
    scope: Scope,
    name: &str,
    proven: bool,
) -> QueueEntry {
    QueueEntry {
        id: entry_id(session, scope),
        request_id: "a request".to_owned(),
        route: "/api/auth/logout".into(),
        scope: Stored::Known(scope),
        user_id: user,
        session_id: session,
        tried: false,
        was_over: false,
        queued_at: NEVER,
        renewed_at: NEVER,
        due: NEVER,
        failed_at: NEVER,
        attempts: 0,
        reason: "auth_service_error".into(),
        revision: 0,
        credentials: vec![credentials(name, proven)],
    }
}

/// A queue entry for a `local` logout of a new session of a new user.
pub(in crate::stores) fn entry() -> QueueEntry {
    queue_entry(Uuid::new_v4(), Uuid::new_v4(), Scope::Local, "a", true)
}

/// The names of the credentials in an entry, in the order in which the entry has them.
pub(in crate::stores) fn names(entry: &QueueEntry) -> Vec<&str> {
    entry.credentials.iter().map(|c| c.fingerprint.as_str()).collect()
}

pub(in crate::stores) fn ids(entries: &[QueueEntry]) -> Vec<Uuid> {
    entries.iter().map(|entry| entry.id).collect()
}
