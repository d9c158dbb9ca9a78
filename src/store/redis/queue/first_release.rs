//! Moves queued logouts from the keys of the first release to those of this release. During a rolling
//! upgrade, instances of the first release may still add some.
//!
//! An entry is moved once it is due: before that, an instance of the first release may hold its lease.

use std::time::Duration;

use redis::pipe;
use tokio::time::Instant;

use super::milliseconds;
use crate::{
    store::entry::MAX_RETRY_AFTER,
    store::{
        Queue as _, StoreError,
        bounds::Bounds,
        entry::{QueueEntry, SealedCredentials, v1::EntryV1},
        redis::{RedisStore, connection::TIMEOUT},
    },
};

/// The number of entries that are read at a time.
const PAGE: usize = 100;
/// No bounds: entries that are queued already are moved even if the queue is full.
const UNBOUNDED: Bounds =
    Bounds { entries: 1 << 50, bytes: 1 << 50, sessions_of_user: 1 << 50, bytes_of_user: 1 << 50 };

impl RedisStore {
    /// Moves the due entries of the first release into the keys of this one, merged by session and scope.
    pub(super) async fn move_first_release(&self) -> Result<(), StoreError> {
        let [_, records, _] = &self.keys.queue.first_release;
        loop {
            let ids = self.due_of_first_release().await?;
            if ids.is_empty() {
                return Ok(());
            }
            let mut commands = pipe();
            commands.cmd("HMGET").arg(records).arg(&ids);
            let (found,): (Vec<Option<String>>,) = self.query("list the queue", &commands).await?;
            for (id, record) in ids.iter().zip(found) {
                let entry = record.as_deref().and_then(|record| record.strip_prefix("1 "));
                if let Some(json) = entry
                    && let Ok(entry) = serde_json::from_str::<EntryV1>(json)
                {
                    self.move_entry(id, &QueueEntry::from(entry)).await?;
                } else {
                    if record.is_some() {
                        tracing::error!(
                            id,
                            "a queued logout of an earlier release cannot be read and was dropped: its session may not have ended"
                        );
                    }
                    self.drop_of_first_release(id).await?;
                }
            }
        }
    }

    /// Returns the ids of due entries by due time, by the clock of Redis. An entry that is due later than the
    /// longest pause counts as due, because only a wrong clock sets such a time.
    async fn due_of_first_release(&self) -> Result<Vec<String>, StoreError> {
        let [due, ..] = &self.keys.queue.first_release;
        let mut commands = pipe();
        commands.cmd("EXISTS").arg(due).cmd("TIME");
        let (exists, (seconds, micros)): (bool, (u64, u64)) =
            self.query("list the queue", &commands).await?;
        if !exists {
            return Ok(Vec::new());
        }
        let now = seconds * 1000 + micros / 1000;
        let mut commands = pipe();
        for (least, most) in [
            ("-inf".to_owned(), now.to_string()),
            (format!("({}", now + milliseconds(MAX_RETRY_AFTER)), "+inf".to_owned()),
        ] {
            commands.cmd("ZRANGEBYSCORE").arg(due).arg(least).arg(most);
            commands.arg("LIMIT").arg(0).arg(PAGE);
        }
        let (mut ids, misdated): (Vec<String>, Vec<String>) =
            self.query("list the queue", &commands).await?;
        ids.extend(misdated);
        Ok(ids)
    }

    async fn move_entry(&self, old_id: &str, entry: &QueueEntry) -> Result<(), StoreError> {
        let begun = Instant::now();
        while begun.elapsed() < TIMEOUT {
            let known = self.get(entry.id).await?;
            let replaced = known.as_ref().map(|known| known.revision);
            let becomes = match known {
                Some(known) => merged(known, entry.clone()),
                None => entry.clone(),
            };
            let moved =
                self.write_entry(replaced, &becomes, Duration::ZERO, &UNBOUNDED, Some(old_id));
            if moved.await? == "ok" {
                return Ok(());
            }
        }
        let cause = "other requests keep changing the entry".to_owned();
        Err(StoreError { operation: "enqueue a logout", cause })
    }

    async fn drop_of_first_release(&self, id: &str) -> Result<(), StoreError> {
        let [due, records, queued] = &self.keys.queue.first_release;
        let mut remove = pipe();
        remove.cmd("ZREM").arg(due).arg(id).ignore();
        remove.cmd("ZREM").arg(queued).arg(id).ignore();
        remove.cmd("HDEL").arg(records).arg(id).ignore();
        self.query("remove a queued logout", &remove).await
    }
}

/// Merges `old`, an entry of the first release, into `known`. The store does not know when each of the
/// credentials was added: those of the first release come behind those of this release, unless they must be
/// newer than all of them.
fn merged(known: QueueEntry, old: QueueEntry) -> QueueEntry {
    let of_this_release = |c: &SealedCredentials| c.bound_to.is_none();
    let (ours, theirs): (Vec<_>, Vec<_>) =
        known.credentials.iter().cloned().partition(of_this_release);
    let old_ones_lead = !known.credentials.first().is_some_and(of_this_release);
    if old_ones_lead || (theirs.is_empty() && old.queued_at >= known.queued_at) {
        return known.merged_with(&old);
    }
    let tried = known.tried || old.tried;
    let credentials = old.credentials.into_iter().chain(theirs).collect();
    let newer = QueueEntry { credentials: ours, ..known.clone() };
    QueueEntry { tried, credentials, ..known }.merged_with(&newer)
}
