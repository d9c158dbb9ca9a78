//! The table of the audit log, and its one place that writes.

use std::{collections::VecDeque, time::SystemTime};

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::Database;
use crate::{
    audit_log::{AuditActor, AuditEvent},
    clock::timestamp,
    ilike::contains_ilike,
};

/// The most entries. The oldest goes for each new one.
const MAX_ENTRIES: usize = 10_000;
/// The most bytes of all payloads, because a user's name can be long.
const MAX_BYTES: usize = 16 << 20;

/// One row of `auth.audit_log_entries`.
#[derive(Debug, Serialize)]
pub(crate) struct AuditLogEntry {
    id: Uuid,
    payload: Value,
    created_at: String,
    ip_address: String,
    #[serde(skip)]
    size: usize,
}

impl AuditLogEntry {
    /// Whether one of these members of the payload contains the text: GoTrue's `FindAuditLogEntries`.
    pub(crate) fn contains(&self, members: &[&str], text: &str) -> bool {
        let values = members.iter().filter_map(|member| self.payload.get(member));
        values.into_iter().any(|value| match value {
            Value::String(value) => contains_ilike(value, text),
            other => contains_ilike(&other.to_string(), text),
        })
    }
}

/// The newest entries, oldest first.
#[derive(Default)]
pub(crate) struct AuditLog {
    entries: VecDeque<AuditLogEntry>,
    /// The bytes of the payloads.
    size: usize,
    /// The number of entries before the transaction that runs.
    length_before: Option<usize>,
}

impl AuditLog {
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &AuditLogEntry> {
        self.entries.iter().rev()
    }

    fn push(&mut self, entry: AuditLogEntry) {
        self.size += entry.size;
        self.entries.push_back(entry);
        // A transaction that rolls back must not have purged an entry.
        if self.length_before.is_none() {
            self.purge();
        }
    }

    fn purge(&mut self) {
        while self.entries.len() > MAX_ENTRIES || self.size > MAX_BYTES {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.size -= oldest.size;
        }
    }

    pub(super) fn begin(&mut self) {
        self.length_before = Some(self.entries.len());
    }

    pub(super) fn commit(&mut self) {
        self.length_before = None;
        self.purge();
    }

    /// Deletes the entries of the transaction, if one runs.
    pub(super) fn roll_back(&mut self) {
        let Some(length) = self.length_before.take() else { return };
        while self.entries.len() > length {
            let Some(newest) = self.entries.pop_back() else { return };
            self.size -= newest.size;
        }
    }
}

impl Database {
    /// Writes what a user does. The entry names the user as the row is now, so that it matters whether a change of the
    /// address comes before or after this.
    pub(crate) fn audit(&mut self, user: Uuid, event: impl Into<AuditEvent>, now: SystemTime) {
        if let Some(actor) = self.user(user).map(AuditActor::from) {
            self.audit_actor(&actor, event.into(), now);
        }
    }

    /// Writes what an administrator does.
    pub(crate) fn audit_actor(&mut self, actor: &AuditActor, event: AuditEvent, now: SystemTime) {
        let id = self.new_uuid();
        let ip_address = event.ip_address.clone();
        let payload = event.payload(actor);
        let size = payload.to_string().len();
        let created_at = timestamp(now);
        self.audit_log.push(AuditLogEntry { id, payload, created_at, ip_address, size });
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use serde_json::json;

    use super::*;
    use crate::{audit_log::AuditAction, error::GotrueError};

    /// The log after logins that have these traits; the usernames number the entries.
    fn log_of(database: &mut Database, traits: &Value, numbers: std::ops::Range<usize>) {
        for number in numbers {
            let actor = AuditActor::administrator(number.to_string());
            database.audit_actor(&actor, AuditAction::Login.with(traits.clone()), UNIX_EPOCH);
        }
    }

    fn oldest(database: &Database) -> Option<&Value> {
        database.audit_log.newest_first().last()?.payload.get("actor_username")
    }

    #[test]
    fn the_log_has_the_newest_entries() {
        let mut database = Database::new(Some(1));
        log_of(&mut database, &json!({}), 0..MAX_ENTRIES + 2);
        assert_eq!(database.audit_log.newest_first().count(), MAX_ENTRIES);
        assert_eq!(oldest(&database), Some(&json!("2")));
    }

    #[test]
    fn long_entries_are_purged_earlier() {
        let mut database = Database::new(Some(1));
        log_of(&mut database, &json!("x".repeat(MAX_BYTES / 4)), 0..9);
        assert_eq!(oldest(&database), Some(&json!("6")));
    }

    #[test]
    fn a_transaction_that_rolls_back_takes_its_entries_with_it_and_purges_none() {
        let mut database = Database::new(Some(1));
        log_of(&mut database, &json!({}), 0..MAX_ENTRIES);
        let failed = database.transaction(|database| {
            log_of(database, &json!({}), 0..3);
            Err::<(), _>(GotrueError::unexpected())
        });
        assert!(failed.is_err());
        assert_eq!(database.audit_log.newest_first().count(), MAX_ENTRIES);
        assert_eq!(oldest(&database), Some(&json!("0")));
        let done: Result<_, GotrueError> = database.transaction(|database| {
            log_of(database, &json!({}), 0..3);
            Ok(())
        });
        assert!(done.is_ok());
        assert_eq!(oldest(&database), Some(&json!("3")));
    }
}
