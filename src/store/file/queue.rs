//! The queue in the store's file. Each operation runs in one transaction, so that no other operation changes
//! the queue between its reads and its writes.
//!
//! An entry has two parts. The record holds the credentials and is written only when they change. The state
//! is small, is in a table of its own, and is written at each try.

mod lease;
mod summary;
mod upgrade;
mod usage;

use std::time::Duration;

use jiff::{Timestamp, fmt::serde::timestamp::millisecond};
use redb::ReadableTable;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(super) use self::summary::QueueSummary;
use super::{
    error::FileError,
    records::{
        RecordError, decode_entry, decode_json, decode_time_key, encode_entry, encode_json,
        time_key,
    },
    tables::{NO_VALUE, Tables},
};
use crate::{
    clock::after,
    outcome::{Reason, Stored},
    store::{
        bounds::{Bounds, QueueFullError},
        entry::QueueEntry,
    },
};

/// The part of an entry that each try changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredState {
    #[serde(with = "millisecond::required")]
    queued_at: Timestamp,
    #[serde(with = "millisecond::required")]
    due: Timestamp,
    #[serde(with = "millisecond::required")]
    failed_at: Timestamp,
    attempts: u32,
    reason: Stored<Reason>,
    tried: bool,
}

impl StoredState {
    fn of(entry: &QueueEntry) -> Self {
        let QueueEntry { queued_at, due, failed_at, attempts, ref reason, tried, .. } = *entry;
        Self { queued_at, due, failed_at, attempts, reason: reason.clone(), tried }
    }

    fn into_entry(self, record: QueueEntry) -> QueueEntry {
        let Self { queued_at, due, failed_at, attempts, reason, tried } = self;
        QueueEntry { tried, queued_at, due, failed_at, attempts, reason, ..record }
    }
}

impl Tables<'_> {
    pub(super) fn enqueue(
        &mut self,
        entry: &QueueEntry,
        pause: Duration,
        bounds: &Bounds,
        now: Timestamp,
    ) -> Result<Result<(), QueueFullError>, FileError> {
        let due = after(now, pause);
        let added = QueueEntry { due, ..entry.clone().stamped(now) };
        let known = self.entry(entry.id.as_u128())?;
        let becomes = match &known {
            Some(known) => known.clone().merged_with(&added),
            None => added,
        };
        let usage = self.usage_with(known.as_ref(), &becomes)?;
        if let Err(full) = bounds.admit(&usage, becomes.is_stale()) {
            return Ok(Err(full));
        }
        if let Some(known) = &known {
            self.remove_entry(known)?;
        }
        self.insert_entry(&becomes)?;
        Ok(Ok(()))
    }

    fn insert_entry(&mut self, entry: &QueueEntry) -> Result<(), FileError> {
        let id = entry.id.as_u128();
        let record = encode_entry(entry)?;
        self.queue.insert(id, &*record)?;
        self.write_state(id, &StoredState::of(entry))?;
        self.index_record(entry, record.len() as u64)
    }

    /// Adds an entry, whose record has `bytes` bytes, to the tables that do not depend on the entry's tries.
    fn index_record(&mut self, entry: &QueueEntry, bytes: u64) -> Result<(), FileError> {
        self.queued.insert(time_key(entry.queued_at, entry.id.as_u128()), NO_VALUE)?;
        self.count_for_user(entry, bytes)?;
        self.add_to_totals(entry, |total| total + bytes, |count| count + 1)
    }

    /// Adds an entry to the tables that are sorted by a time of its state.
    fn index_state(&mut self, id: u128, state: &StoredState) -> Result<(), FileError> {
        self.due.insert(time_key(state.due, id), NO_VALUE)?;
        self.failed.insert(time_key(state.failed_at, id), NO_VALUE)?;
        Ok(())
    }

    fn remove_entry(&mut self, entry: &QueueEntry) -> Result<(), FileError> {
        let id = entry.id.as_u128();
        let removed = self.queue.remove(id)?.map_or(0, |record| record.value().len() as u64);
        self.queued.remove(time_key(entry.queued_at, id))?;
        self.due.remove(time_key(entry.due, id))?;
        self.failed.remove(time_key(entry.failed_at, id))?;
        self.states.remove(id)?;
        self.entries_of_user.remove((entry.user_id.as_u128(), id))?;
        self.changed = true;
        let less = |total: u64| total.saturating_sub(removed);
        self.add_to_totals(entry, less, |count| count.saturating_sub(1))
    }

    /// Writes the state of an entry, and updates the tables that are sorted by a time of the state.
    fn write_state(&mut self, id: u128, state: &StoredState) -> Result<(), FileError> {
        if let Some(known) = self.state(id)? {
            self.due.remove(time_key(known.due, id))?;
            self.failed.remove(time_key(known.failed_at, id))?;
        }
        self.states.insert(id, &*encode_json(state)?)?;
        self.index_state(id, state)?;
        self.changed = true;
        Ok(())
    }

    fn state(&self, id: u128) -> Result<Option<StoredState>, FileError> {
        Ok(self.states.get(id)?.map(|value| decode_json(value.value())).transpose()?)
    }

    pub(super) fn entry(&self, id: u128) -> Result<Option<QueueEntry>, FileError> {
        entry(&self.queue, &self.states, id)
    }

    pub(super) fn reschedule(
        &mut self,
        entry: &QueueEntry,
        pause: Duration,
        failed: bool,
        now: Timestamp,
    ) -> Result<bool, FileError> {
        let id = entry.id.as_u128();
        let Some(known) = self.entry(id)?.filter(|known| known.due == entry.due) else {
            return Ok(false);
        };
        // If a request has added credentials since the worker read the entry, try them at once.
        let pause = if known.revision == entry.revision { pause } else { Duration::ZERO };
        let due = after(now, pause);
        let failed_at = if failed { now } else { known.failed_at };
        let queued_at = known.queued_at;
        // A request may have set `tried` since the worker read the entry.
        let tried = known.tried || entry.tried;
        self.write_state(
            id,
            &StoredState { queued_at, due, failed_at, tried, ..StoredState::of(entry) },
        )?;
        Ok(true)
    }

    pub(super) fn remove_unchanged(&mut self, entry: &QueueEntry) -> Result<bool, FileError> {
        match self.entry(entry.id.as_u128())? {
            // Compare the time of queueing too: an entry that was removed and queued again starts with the
            // same revision.
            Some(known)
                if (known.revision, known.queued_at) == (entry.revision, entry.queued_at) =>
            {
                self.remove_entry(&known)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    pub(super) fn remove(&mut self, id: Uuid) -> Result<bool, FileError> {
        let Some(known) = self.entry(id.as_u128())? else { return Ok(false) };
        self.remove_entry(&known)?;
        Ok(true)
    }

    pub(super) fn entries(&self, most: usize) -> Result<Vec<QueueEntry>, FileError> {
        let mut entries = Vec::new();
        for line in self.due.iter()?.take(most) {
            entries.extend(self.entry(decode_time_key(line?.0.value()).1)?);
        }
        Ok(entries)
    }
}

fn entry(
    queue: &impl ReadableTable<u128, &'static [u8]>,
    states: &impl ReadableTable<u128, &'static [u8]>,
    id: u128,
) -> Result<Option<QueueEntry>, FileError> {
    let Some(record) = queue.get(id)? else { return Ok(None) };
    let state = states.get(id)?.ok_or(RecordError::Damaged)?;
    let state: StoredState = decode_json(state.value())?;
    Ok(Some(state.into_entry(decode_entry(record.value())?)))
}

/// Returns all entries in the order of their due times. Reads no table that the files of earlier releases do not
/// have in this form.
pub(super) fn all_entries(
    queue: &impl ReadableTable<u128, &'static [u8]>,
    states: &impl ReadableTable<u128, &'static [u8]>,
) -> Result<Vec<QueueEntry>, FileError> {
    let mut entries = Vec::new();
    for line in queue.iter()? {
        entries.extend(entry(queue, states, line?.0.value())?);
    }
    entries.sort_by_key(|entry| (entry.due, entry.id));
    Ok(entries)
}
