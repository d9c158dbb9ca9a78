//! The queue in Redis: hashes with the records and states of entries by id, and sorted sets of ids by due
//! time, time of queueing and time of the last failure. The lease of an entry is a due time in the future.
//! All times are by the clock of Redis, so the clocks of the instances need not agree. Each operation is one
//! script; those that lease, reschedule and remove entries work in a Redis that is over its `maxmemory`.

mod first_release;
mod listing;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use redis::{FromRedisValue, ParsingError, pipe};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    RedisStore,
    commands::script,
    connection::TIMEOUT,
    error::RedisStoreError,
    records::{RetryState, decode_entry, encode_entry},
};
use crate::{
    clock::from_unix_milliseconds,
    store::entry::MAX_RETRY_AFTER,
    store::{
        Queue, StoreError,
        bounds::{Bounds, QueueFullError},
        entry::{NEVER, QueueEntry},
    },
};

/// The longest random pause, in milliseconds, before an entry that other requests changed meanwhile is read
/// and written again.
const MOST_JITTER: u64 = 5;

const ENQUEUE: &str = include_str!("enqueue.lua");
const LEASE: &str = include_str!("lease.lua");
const RESCHEDULE: &str = include_str!("reschedule.lua");
const REMOVE: &str = include_str!("remove.lua");

/// In a script: any revision to remove, or no entry to replace.
const ANY: &str = "-";

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Queue for RedisStore {
    async fn enqueue(
        &self,
        entry: &QueueEntry,
        pause: Duration,
        bounds: &Bounds,
        _now: Timestamp,
    ) -> Result<Result<(), QueueFullError>, StoreError> {
        let begun = Instant::now();
        while begun.elapsed() < TIMEOUT {
            let (known, now) = self.get_now(entry.id).await?;
            let replaced = known.as_ref().map(|known| known.revision);
            let added = entry.clone().stamped(now);
            let becomes = match known {
                Some(known) => known.merged_with(&added),
                None => added,
            };
            let written = self.write_entry(replaced, &becomes, pause, bounds, None).await?;
            match written.as_str() {
                "ok" => return Ok(Ok(())),
                "full" => return Ok(Err(QueueFullError::Full)),
                "stale" => return Ok(Err(QueueFullError::Stale)),
                "user" => return Ok(Err(QueueFullError::User)),
                // Another request has changed the entry meanwhile: read it again.
                _ => sleep(Duration::from_millis(fastrand::u64(..MOST_JITTER))).await,
            }
        }
        let cause = "other requests keep changing the entry".to_owned();
        Err(StoreError { operation: "enqueue a logout", cause })
    }

    async fn get(&self, id: Uuid) -> Result<Option<QueueEntry>, StoreError> {
        Ok(self.get_now(id).await?.0)
    }

    async fn lease(
        &self,
        lease: Duration,
        most: usize,
        _now: Timestamp,
    ) -> Result<Vec<QueueEntry>, StoreError> {
        // Entries that cannot be moved now stay under their old keys. Lease the other entries all the same.
        if let Err(cause) = self.move_first_release().await {
            tracing::warn!(%cause, "the store could not move queued logouts of an earlier release to the keys of this release and tries again: they are retried after that");
        }
        let mut leased = Vec::new();
        loop {
            let wanted = most.saturating_sub(leased.len());
            let mut commands = pipe();
            let script = script(&mut commands, LEASE, &self.keys.queue.all());
            script.arg(milliseconds(lease)).arg(wanted).arg(milliseconds(MAX_RETRY_AFTER));
            let (values,): (Vec<redis::Value>,) =
                self.query("lease queued logouts", &commands).await?;
            let (entries, _) = values.as_chunks::<6>();
            for entry in entries {
                let entry = leased_entry(entry).map_err(|_| {
                    RedisStoreError::newer_release().into_store_error("lease queued logouts")
                })?;
                leased.extend(entry);
            }
            // The script also leases entries that this release cannot read, which are not returned. Lease
            // more, because others may be due behind them.
            if leased.len() >= most || entries.len() < wanted {
                return Ok(leased);
            }
        }
    }

    async fn reschedule(
        &self,
        entry: &QueueEntry,
        pause: Duration,
        failed: bool,
        _now: Timestamp,
    ) -> Result<bool, StoreError> {
        let state =
            state(entry).map_err(|fault| fault.into_store_error("reschedule a queued logout"))?;
        let mut commands = pipe();
        script(&mut commands, RESCHEDULE, &self.keys.queue.all())
            .arg(entry.id.to_string())
            .arg(entry.due.as_millisecond())
            .arg(milliseconds(pause))
            .arg(state)
            .arg(u8::from(failed))
            .arg(entry.revision);
        let (done,): (bool,) = self.query("reschedule a queued logout", &commands).await?;
        Ok(done)
    }

    async fn remove_unchanged(&self, entry: &QueueEntry) -> Result<bool, StoreError> {
        self.remove_revision(entry.id, &entry.revision.to_string(), entry.queued_at).await
    }

    async fn remove(&self, id: Uuid) -> Result<bool, StoreError> {
        self.remove_revision(id, ANY, NEVER).await
    }

    async fn entries(&self, most: usize) -> Result<Vec<QueueEntry>, StoreError> {
        self.entries_by_due(most).await
    }

    async fn len(&self) -> Result<usize, StoreError> {
        let mut commands = pipe();
        commands.cmd("ZCARD").arg(&self.keys.queue.due);
        let (count,): (usize,) = self.query("count the queued logouts", &commands).await?;
        Ok(count)
    }

    async fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut commands = pipe();
        commands.cmd("ZRANGE").arg(&self.keys.queue.queued).arg(0).arg(0).arg("WITHSCORES");
        let (first,): (Vec<(String, i64)>,) = self.query("list the queue", &commands).await?;
        Ok(first.first().map(|(_, queued_at)| from_unix_milliseconds(*queued_at)))
    }
}

/// Builds an entry from its record, its state, and its times of queueing, of the last failure and when it is
/// due, in milliseconds since the Unix epoch. `None` if a newer release wrote the record.
fn read(record: &str, state: Option<&str>, times: [i64; 3]) -> Option<QueueEntry> {
    let [queued_at, failed_at, due] = times.map(from_unix_milliseconds);
    let entry = QueueEntry { queued_at, due, failed_at, ..decode_entry(record)? };
    match state.and_then(|state| serde_json::from_str(state).ok()) {
        Some(RetryState { attempts, reason, tried }) => {
            // Requests write the record and the worker writes the state: each of them may have set `tried`.
            let tried = tried || entry.tried;
            Some(QueueEntry { tried, attempts, reason, ..entry })
        }
        None => Some(entry),
    }
}

fn state(entry: &QueueEntry) -> Result<String, RedisStoreError> {
    serde_json::to_string(&RetryState::of(entry))
        .map_err(|cause| RedisStoreError::permanent(cause.to_string()))
}

/// Decodes an entry that `lease.lua` returned; `None` if a newer release wrote it.
fn leased_entry(values: &[redis::Value; 6]) -> Result<Option<QueueEntry>, ParsingError> {
    let [_, record, state, queued_at, failed_at, due] = values;
    let record = String::from_redis_value_ref(record)?;
    let state = String::from_redis_value_ref(state)?;
    let mut times = [0; 3];
    for (time, value) in times.iter_mut().zip([queued_at, failed_at, due]) {
        *time = i64::from_redis_value_ref(value)?;
    }
    Ok(read(&record, Some(&state), times))
}

impl RedisStore {
    /// Returns the entry with this id, and the time by the clock of Redis.
    async fn get_now(&self, id: Uuid) -> Result<(Option<QueueEntry>, Timestamp), StoreError> {
        type Score = Option<i64>;
        type Answer = (Option<String>, Option<String>, Score, Score, Score, (i64, i64));
        let (keys, id) = (&self.keys.queue, id.to_string());
        let mut commands = pipe();
        commands.cmd("HGET").arg(&keys.records).arg(&id);
        commands.cmd("HGET").arg(&keys.states).arg(&id);
        for scores in [&keys.queued, &keys.failed, &keys.due] {
            commands.cmd("ZSCORE").arg(scores).arg(&id);
        }
        commands.cmd("TIME");
        let answer: Answer = self.query("read a queued logout", &commands).await?;
        let (record, state, queued_at, failed_at, due, (seconds, micros)) = answer;
        let now = from_unix_milliseconds(seconds * 1000 + micros / 1000);
        let (Some(record), Some(due)) = (record, due) else { return Ok((None, now)) };
        let times = [queued_at, failed_at, Some(due)].map(Option::unwrap_or_default);
        Ok((read(&record, state.as_deref(), times), now))
    }

    /// Adds an entry to the queue if `replaced` is `None`, else replaces the entry if its revision is still
    /// `replaced`. Returns the word that `enqueue.lua` returns: `ok`, `changed` or the bound that was
    /// reached. If the entry is moved from the Redis keys that the first release used, `moved` is the entry's
    /// id in those keys.
    async fn write_entry(
        &self,
        replaced: Option<u32>,
        entry: &QueueEntry,
        pause: Duration,
        bounds: &Bounds,
        moved: Option<&str>,
    ) -> Result<String, StoreError> {
        let fault = |fault: RedisStoreError| fault.into_store_error("enqueue a logout");
        let (record, state) = (encode_entry(entry).map_err(fault)?, state(entry).map_err(fault)?);
        let (user, session) = (entry.user_id.to_string(), entry.session_id.to_string());
        let names = &self.keys.queue;
        let of_user = format!("{}{user}", names.of_user);
        let mut keys = [&names.all()[..], &[&of_user]].concat();
        if moved.is_some() {
            keys.extend(names.first_release.iter().map(String::as_str));
        }
        let mut commands = pipe();
        let arguments = script(&mut commands, ENQUEUE, &keys)
            .arg(entry.id.to_string())
            .arg(replaced.map_or_else(|| ANY.to_owned(), |revision| revision.to_string()))
            .arg(entry.revision)
            .arg(record)
            .arg(state)
            .arg(milliseconds(pause))
            .arg(session)
            .arg(u8::from(entry.is_stale()))
            .arg(user)
            .arg(moved.unwrap_or_default());
        for bounds in [*bounds, bounds.of_stale()] {
            let Bounds { entries, bytes, sessions_of_user, bytes_of_user } = bounds;
            arguments.arg(&[entries, bytes, sessions_of_user, bytes_of_user]);
        }
        let (written,) = self.query("enqueue a logout", &commands).await?;
        Ok(written)
    }

    async fn remove_revision(
        &self,
        id: Uuid,
        revision: &str,
        queued_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let keys = &self.keys.queue;
        let mut commands = pipe();
        script(&mut commands, REMOVE, &keys.all())
            .arg(id.to_string())
            .arg(revision)
            .arg(queued_at.as_millisecond())
            .arg(&keys.of_user)
            .arg(&keys.former_of_user);
        let (removed,): (bool,) = self.query("remove a queued logout", &commands).await?;
        Ok(removed)
    }
}
