//! The queue in Redis: records by id, and sorted sets of ids by when they are due and when they failed. A
//! lease is a due time in the future. All of these times are by the clock of Redis, whatever the clocks of
//! the instances say. Each step is a script of its own: what takes, reschedules and removes entries works
//! in a Redis that is full.

mod first_release;

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use redis::{FromRedisValue, ParsingError, pipe};
use uuid::Uuid;

use super::{
    RedisStore,
    commands::script,
    fault::Fault,
    records::{State, taken_entry, written_entry},
};
use crate::{
    queue::{
        backoff::LONGEST_ASKED,
        bounds::{Bounds, QueueFullError, STALE_PART},
        entry::Entry,
    },
    store::{Queue, StoreFault},
};

/// Entries that are read at a time: each may be tens of KiB long, and all of it has to come in time.
const PAGE: usize = 200;
/// Ids that are read at a time.
const IDS: usize = 1000;
/// How often an entry is read again that others change at the same time.
const MOST_TRIES: usize = 8;

const ENQUEUE: &str = include_str!("enqueue.lua");
const LEASE: &str = include_str!("lease.lua");
const RESCHEDULE: &str = include_str!("reschedule.lua");
const REMOVE: &str = include_str!("remove.lua");

/// Stands for any revision, or for none.
const ANY: &str = "-";

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl Queue for RedisStore {
    async fn enqueue(
        &self,
        entry: &Entry,
        pause: Duration,
        bounds: &Bounds,
        _now: i64,
    ) -> Result<Result<(), QueueFullError>, StoreFault> {
        for _ in 0..MOST_TRIES {
            let known = self.get(entry.id).await?;
            let written = self.write_entry(known, entry, pause, bounds).await?;
            match written.as_str() {
                "ok" => return Ok(Ok(())),
                "full" => return Ok(Err(QueueFullError::Full)),
                "stale" => return Ok(Err(QueueFullError::Stale)),
                "user" => return Ok(Err(QueueFullError::User)),
                // Another request of the same session, or the worker, was faster.
                _ => {}
            }
        }
        let cause = "the entry changes all the time".to_owned();
        Err(StoreFault { operation: "queue", cause })
    }

    async fn get(&self, id: Uuid) -> Result<Option<Entry>, StoreFault> {
        let (keys, id) = (&self.keys.queue, id.to_string());
        let mut commands = pipe();
        commands.cmd("HGET").arg(&keys.records).arg(&id);
        commands.cmd("HGET").arg(&keys.states).arg(&id);
        for scores in [&keys.queued, &keys.failed, &keys.due] {
            commands.cmd("ZSCORE").arg(scores).arg(&id);
        }
        let answer: (Option<String>, Option<String>, Option<i64>, Option<i64>, Option<i64>) =
            self.ask("read the queue", &commands).await?;
        let (Some(record), state, queued_at, failed_at, Some(due)) = answer else {
            return Ok(None);
        };
        let times = [queued_at, failed_at, Some(due)].map(Option::unwrap_or_default);
        Ok(read(&record, state.as_deref(), times))
    }

    async fn lease(
        &self,
        lease: Duration,
        most: usize,
        _now: i64,
    ) -> Result<Vec<Entry>, StoreFault> {
        self.take_over_first_release().await?;
        let mut leased = Vec::new();
        loop {
            let wanted = most.saturating_sub(leased.len());
            let mut commands = pipe();
            let script = script(&mut commands, LEASE, &self.keys.queue.all());
            script.arg(milliseconds(lease)).arg(wanted).arg(milliseconds(LONGEST_ASKED));
            let (values,): (Vec<redis::Value>,) = self.ask("lease", &commands).await?;
            let (entries, _) = values.as_chunks::<6>();
            for entry in entries {
                let entry = leased_entry(entry).map_err(|_| Fault::newer().of("lease"))?;
                leased.extend(entry);
            }
            // What cannot be read is leased like the rest, and others may be due behind it.
            if leased.len() >= most || entries.len() < wanted {
                return Ok(leased);
            }
        }
    }

    async fn reschedule(
        &self,
        entry: &Entry,
        pause: Duration,
        failed: bool,
        _now: i64,
    ) -> Result<bool, StoreFault> {
        let state = state(entry).map_err(|fault| fault.of("reschedule"))?;
        let mut commands = pipe();
        script(&mut commands, RESCHEDULE, &self.keys.queue.all())
            .arg(entry.id.to_string())
            .arg(entry.due)
            .arg(milliseconds(pause))
            .arg(state)
            .arg(u8::from(failed));
        let (done,): (bool,) = self.ask("reschedule", &commands).await?;
        Ok(done)
    }

    async fn remove_unchanged(&self, entry: &Entry) -> Result<bool, StoreFault> {
        self.remove_revision(entry.id, &entry.revision.to_string()).await
    }

    async fn remove(&self, id: Uuid) -> Result<bool, StoreFault> {
        self.remove_revision(id, ANY).await
    }

    async fn entries(&self, most: usize) -> Result<Vec<Entry>, StoreFault> {
        let mut by_due = if most > PAGE {
            self.all_by_due().await?
        } else if let Some(last) = most.checked_sub(1) {
            self.first_by_due(last).await?
        } else {
            return Ok(Vec::new());
        };
        by_due.truncate(most);
        let mut entries = Vec::with_capacity(by_due.len());
        for page in by_due.chunks(PAGE) {
            entries.extend(self.page(page).await?);
        }
        Ok(entries)
    }

    async fn waiting(&self) -> Result<usize, StoreFault> {
        let mut commands = pipe();
        commands.cmd("ZCARD").arg(&self.keys.queue.due);
        let (waiting,): (usize,) = self.ask("count the queue", &commands).await?;
        Ok(waiting)
    }

    async fn oldest(&self) -> Result<Option<i64>, StoreFault> {
        let mut commands = pipe();
        commands.cmd("ZRANGE").arg(&self.keys.queue.queued).arg(0).arg(0).arg("WITHSCORES");
        let (first,): (Vec<(String, i64)>,) = self.ask("list the queue", &commands).await?;
        Ok(first.first().map(|(_, queued_at)| *queued_at))
    }
}

/// An entry with how it stands; times are queued, failed and due.
fn read(record: &str, state: Option<&str>, times: [i64; 3]) -> Option<Entry> {
    let [queued_at, failed_at, due] = times;
    let entry = Entry { queued_at, failed_at, due, ..taken_entry(record)? };
    match state.and_then(|state| serde_json::from_str(state).ok()) {
        Some(State { attempts, reason, tried }) => Some(Entry { attempts, reason, tried, ..entry }),
        None => Some(entry),
    }
}

fn state(entry: &Entry) -> Result<String, Fault> {
    serde_json::to_string(&State::of(entry)).map_err(|cause| Fault::lasting(cause.to_string()))
}

/// One of the entries that `lease.lua` answers; `None` for what a newer release wrote.
fn leased_entry(values: &[redis::Value; 6]) -> Result<Option<Entry>, ParsingError> {
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
    /// Adds the entry, or replaces the one that was read; answers what `enqueue.lua` answers.
    async fn write_entry(
        &self,
        known: Option<Entry>,
        entry: &Entry,
        pause: Duration,
        bounds: &Bounds,
    ) -> Result<String, StoreFault> {
        let replaced = known.as_ref().map_or(ANY.to_owned(), |known| known.revision.to_string());
        let becomes = match known {
            Some(known) => known.merged_with(entry.clone()),
            None => entry.clone(),
        };
        let fault = |fault: Fault| fault.of("queue");
        let record = written_entry(&becomes).map_err(fault)?;
        let state = state(&becomes).map_err(fault)?;
        let (user, session) = (becomes.user_id.to_string(), becomes.session_id.to_string());
        let sessions = format!("{}{user}", self.keys.queue.user);
        let keys = [&self.keys.queue.all()[..], &[&sessions]].concat();
        let mut commands = pipe();
        script(&mut commands, ENQUEUE, &keys)
            .arg(becomes.id.to_string())
            .arg(replaced)
            .arg(becomes.revision)
            .arg(record)
            .arg(state)
            .arg(milliseconds(pause))
            .arg(session)
            .arg(u8::from(becomes.is_stale()))
            .arg(bounds.entries)
            .arg(bounds.bytes)
            .arg(bounds.entries / STALE_PART)
            .arg(bounds.bytes / STALE_PART)
            .arg(bounds.sessions_of_user)
            .arg(user);
        let (written,) = self.ask("queue", &commands).await?;
        Ok(written)
    }

    async fn remove_revision(&self, id: Uuid, revision: &str) -> Result<bool, StoreFault> {
        let keys = &self.keys.queue;
        let mut commands = pipe();
        script(&mut commands, REMOVE, &keys.all())
            .arg(id.to_string())
            .arg(revision)
            .arg(&keys.user);
        let (removed,): (bool,) = self.ask("remove", &commands).await?;
        Ok(removed)
    }

    /// The entries of these ids, which are due then.
    async fn page(&self, page: &[(String, i64)]) -> Result<Vec<Entry>, StoreFault> {
        type Page = (Vec<Option<String>>, Vec<Option<String>>, Vec<Option<i64>>, Vec<Option<i64>>);
        let ids: Vec<&String> = page.iter().map(|(id, _)| id).collect();
        let keys = &self.keys.queue;
        let mut commands = pipe();
        for values in [&keys.records, &keys.states] {
            commands.cmd("HMGET").arg(values).arg(&ids);
        }
        for scores in [&keys.queued, &keys.failed] {
            commands.cmd("ZMSCORE").arg(scores).arg(&ids);
        }
        let (records, states, queued, failed): Page = self.ask("list the queue", &commands).await?;
        let states = states.into_iter().zip(queued.into_iter().zip(failed));
        let entries = page.iter().zip(records).zip(states);
        let entries =
            entries.filter_map(|(((_, due), record), (state, (queued_at, failed_at)))| {
                let times = [queued_at.unwrap_or_default(), failed_at.unwrap_or_default(), *due];
                read(&record?, state.as_deref(), times)
            });
        Ok(entries.collect())
    }

    /// Ids and when they are due, up to the one with that number.
    async fn first_by_due(&self, last: usize) -> Result<Vec<(String, i64)>, StoreFault> {
        let mut first = pipe();
        first.cmd("ZRANGE").arg(&self.keys.queue.due).arg(0).arg(last).arg("WITHSCORES");
        let (first,) = self.ask("list the queue", &first).await?;
        Ok(first)
    }

    /// All of them. What is moved meanwhile is among them, too.
    async fn all_by_due(&self) -> Result<Vec<(String, i64)>, StoreFault> {
        let (mut all, mut cursor) = (HashMap::new(), Some(0));
        while let Some(from) = cursor {
            let mut scan = pipe();
            scan.cmd("ZSCAN").arg(&self.keys.queue.due).arg(from).arg("COUNT").arg(IDS);
            let ((next, page),): ((u64, Vec<(String, i64)>),) =
                self.ask("list the queue", &scan).await?;
            all.extend(page);
            cursor = (next != 0).then_some(next);
        }
        let mut by_due: Vec<(String, i64)> = all.into_iter().collect();
        by_due.sort_unstable_by(|(one, due), (other, later)| (due, one).cmp(&(later, other)));
        Ok(by_due)
    }
}
