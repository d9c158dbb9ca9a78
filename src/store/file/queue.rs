//! The queue in the file. What looks before it writes does both in one transaction.
//!
//! The record of an entry holds its credentials and is written when they change; how the entry stands is
//! a small value of its own, written at each try.

mod lease;
mod outline;
mod upgrade;

use std::time::Duration;

use redb::{ReadableTable, ReadableTableMetadata};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(super) use self::outline::Outline;
use super::{
    records::{Unreadable, read_entry, read_json, written_entry, written_json},
    tables::{Fault, Tables},
};
use crate::queue::{
    bounds::{Bounds, Fill, QueueFullError},
    entry::Entry,
};

/// How an entry stands. Times in milliseconds since the Unix epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    queued_at: i64,
    due: i64,
    failed_at: i64,
    attempts: u32,
    reason: String,
    tried: bool,
}

impl State {
    fn of(entry: &Entry) -> Self {
        let Entry { queued_at, due, failed_at, attempts, ref reason, tried, .. } = *entry;
        Self { queued_at, due, failed_at, attempts, reason: reason.clone(), tried }
    }

    fn into_entry(self, record: Entry) -> Entry {
        let Self { queued_at, due, failed_at, attempts, reason, tried } = self;
        Entry { tried, queued_at, due, failed_at, attempts, reason, ..record }
    }
}

/// Totals of the queue, by their keys in the file.
#[derive(Clone, Copy)]
enum Total {
    Bytes = 0,
    StaleEntries = 1,
    StaleBytes = 2,
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Tables<'_> {
    pub(super) fn enqueue(
        &mut self,
        entry: &Entry,
        pause: Duration,
        bounds: &Bounds,
        now: i64,
    ) -> Result<Result<(), QueueFullError>, Fault> {
        let due = now.saturating_add(milliseconds(pause));
        let added = Entry { due, queued_at: now, ..entry.clone() };
        let known = self.entry(entry.id.as_u128())?;
        let becomes = match &known {
            Some(known) => known.clone().merged_with(&added),
            None => added,
        };
        let fill = self.fill_with(known.as_ref(), &becomes)?;
        if let Err(full) = bounds.admit(&fill, becomes.is_stale()) {
            return Ok(Err(full));
        }
        if let Some(known) = &known {
            self.take_out(known)?;
        }
        self.put_in(&becomes)?;
        Ok(Ok(()))
    }

    /// How full the queue is with `becomes` in the place of `known`.
    fn fill_with(&self, known: Option<&Entry>, becomes: &Entry) -> Result<Fill, Fault> {
        let (mut fill, user) = (self.fill()?, becomes.user_id.as_u128());
        if let Some(known) = known {
            // The state of the entry was written apart from its record, so the record is measured.
            let record = self.queue.get(known.id.as_u128())?;
            let bytes = record.map_or(0, |record| record.value().len() as u64);
            fill.entries = fill.entries.saturating_sub(1);
            fill.bytes = fill.bytes.saturating_sub(bytes);
            if known.is_stale() {
                fill.stale_entries = fill.stale_entries.saturating_sub(1);
                fill.stale_bytes = fill.stale_bytes.saturating_sub(bytes);
            }
        }
        let bytes = written_entry(becomes)?.len() as u64;
        fill.entries += 1;
        fill.bytes += bytes;
        if becomes.is_stale() {
            fill.stale_entries += 1;
            fill.stale_bytes += bytes;
        }
        // A session that is in the queue already may always add to what it has there.
        let session = becomes.session_id.as_u128();
        if self.sessions_of_user.get((user, session))?.is_none() {
            let others = self.sessions_of_user.range((user, 0)..=(user, u128::MAX))?;
            fill.sessions_of_user = others.count() as u64 + 1;
        }
        Ok(fill)
    }

    fn fill(&self) -> Result<Fill, Fault> {
        let total = |total: Total| -> Result<u64, Fault> {
            Ok(self.totals.get(total as u8)?.map_or(0, |value| value.value()))
        };
        Ok(Fill {
            entries: self.queue.len()?,
            bytes: total(Total::Bytes)?,
            stale_entries: total(Total::StaleEntries)?,
            stale_bytes: total(Total::StaleBytes)?,
            sessions_of_user: 0,
        })
    }

    fn put_in(&mut self, entry: &Entry) -> Result<(), Fault> {
        let id = entry.id.as_u128();
        let record = written_entry(entry)?;
        self.queue.insert(id, &*record)?;
        self.queued.insert((entry.queued_at, id), ())?;
        self.write_state(id, &State::of(entry))?;
        let key = (entry.user_id.as_u128(), entry.session_id.as_u128());
        let entries = self.sessions_of_user.get(key)?.map_or(0, |value| value.value());
        self.sessions_of_user.insert(key, entries + 1)?;
        self.add_to_totals(entry, |total| total + record.len() as u64, |count| count + 1)
    }

    fn take_out(&mut self, entry: &Entry) -> Result<(), Fault> {
        let id = entry.id.as_u128();
        let removed = self.queue.remove(id)?.map_or(0, |record| record.value().len() as u64);
        self.queued.remove((entry.queued_at, id))?;
        self.due.remove((entry.due, id))?;
        self.failed.remove((entry.failed_at, id))?;
        self.states.remove(id)?;
        let key = (entry.user_id.as_u128(), entry.session_id.as_u128());
        let entries = self.sessions_of_user.get(key)?.map_or(0, |value| value.value());
        if entries > 1 {
            self.sessions_of_user.insert(key, entries - 1)?;
        } else {
            self.sessions_of_user.remove(key)?;
        }
        self.changed = true;
        let less = |total: u64| total.saturating_sub(removed);
        self.add_to_totals(entry, less, |count| count.saturating_sub(1))
    }

    fn add_to_totals(
        &mut self,
        entry: &Entry,
        bytes: impl Fn(u64) -> u64,
        entries: impl Fn(u64) -> u64,
    ) -> Result<(), Fault> {
        let fill = self.fill()?;
        self.totals.insert(Total::Bytes as u8, bytes(fill.bytes))?;
        if entry.is_stale() {
            self.totals.insert(Total::StaleBytes as u8, bytes(fill.stale_bytes))?;
            self.totals.insert(Total::StaleEntries as u8, entries(fill.stale_entries))?;
        }
        Ok(())
    }

    /// Writes how an entry stands, and where it is found by that.
    fn write_state(&mut self, id: u128, state: &State) -> Result<(), Fault> {
        if let Some(known) = self.state(id)? {
            self.due.remove((known.due, id))?;
            self.failed.remove((known.failed_at, id))?;
        }
        self.states.insert(id, &*written_json(state)?)?;
        self.due.insert((state.due, id), ())?;
        self.failed.insert((state.failed_at, id), ())?;
        self.changed = true;
        Ok(())
    }

    fn state(&self, id: u128) -> Result<Option<State>, Fault> {
        Ok(self.states.get(id)?.map(|value| read_json(value.value())).transpose()?)
    }

    pub(super) fn entry(&self, id: u128) -> Result<Option<Entry>, Fault> {
        entry(&self.queue, &self.states, id)
    }

    pub(super) fn reschedule(
        &mut self,
        entry: &Entry,
        pause: Duration,
        failed: bool,
        now: i64,
    ) -> Result<bool, Fault> {
        let id = entry.id.as_u128();
        let Some(known) = self.state(id)?.filter(|known| known.due == entry.due) else {
            return Ok(false);
        };
        let due = now.saturating_add(milliseconds(pause));
        let failed_at = if failed { now } else { known.failed_at };
        let queued_at = known.queued_at;
        // Another request may have had its effect since the worker read the entry.
        let tried = known.tried || entry.tried;
        self.write_state(id, &State { queued_at, due, failed_at, tried, ..State::of(entry) })?;
        Ok(true)
    }

    pub(super) fn remove_unchanged(&mut self, entry: &Entry) -> Result<bool, Fault> {
        match self.entry(entry.id.as_u128())? {
            // An entry that was removed and queued anew begins with the same revision.
            Some(known)
                if (known.revision, known.queued_at) == (entry.revision, entry.queued_at) =>
            {
                self.take_out(&known)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    pub(super) fn remove(&mut self, id: Uuid) -> Result<bool, Fault> {
        let Some(known) = self.entry(id.as_u128())? else { return Ok(false) };
        self.take_out(&known)?;
        Ok(true)
    }

    pub(super) fn entries(&self, most: usize) -> Result<Vec<Entry>, Fault> {
        entries_by_due(&self.due, &self.queue, &self.states, most)
    }
}

fn entry(
    queue: &impl ReadableTable<u128, &'static [u8]>,
    states: &impl ReadableTable<u128, &'static [u8]>,
    id: u128,
) -> Result<Option<Entry>, Fault> {
    let Some(record) = queue.get(id)? else { return Ok(None) };
    let state = states.get(id)?.ok_or(Unreadable::Damaged)?;
    let state: State = read_json(state.value())?;
    Ok(Some(state.into_entry(read_entry(record.value())?)))
}

pub(super) fn entries_by_due(
    due: &impl ReadableTable<(i64, u128), ()>,
    queue: &impl ReadableTable<u128, &'static [u8]>,
    states: &impl ReadableTable<u128, &'static [u8]>,
    most: usize,
) -> Result<Vec<Entry>, Fault> {
    let mut entries = Vec::new();
    for line in due.iter()?.take(most) {
        let (_, id) = line?.0.value();
        entries.extend(entry(queue, states, id)?);
    }
    Ok(entries)
}
