//! The queue in the file. What looks before it writes does both in one transaction.
//!
//! The record of an entry holds its credentials and is written when they change; how the entry stands is
//! a small value of its own, written at each try.

mod fill;
mod lease;
mod outline;
mod upgrade;

use std::time::Duration;

use redb::ReadableTable;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(super) use self::outline::Outline;
use super::{
    records::{Unreadable, read_entry, read_json, written_entry, written_json},
    tables::{Fault, Tables},
};
use crate::{
    logout::outcome::{Reason, Stored},
    queue::{
        bounds::{Bounds, QueueFullError},
        entry::QueueEntry,
    },
};

/// How an entry stands. Times in milliseconds since the Unix epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    queued_at: i64,
    due: i64,
    failed_at: i64,
    attempts: u32,
    reason: Stored<Reason>,
    tried: bool,
}

impl State {
    fn of(entry: &QueueEntry) -> Self {
        let QueueEntry { queued_at, due, failed_at, attempts, ref reason, tried, .. } = *entry;
        Self { queued_at, due, failed_at, attempts, reason: reason.clone(), tried }
    }

    fn into_entry(self, record: QueueEntry) -> QueueEntry {
        let Self { queued_at, due, failed_at, attempts, reason, tried } = self;
        QueueEntry { tried, queued_at, due, failed_at, attempts, reason, ..record }
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Tables<'_> {
    pub(super) fn enqueue(
        &mut self,
        entry: &QueueEntry,
        pause: Duration,
        bounds: &Bounds,
        now: i64,
    ) -> Result<Result<(), QueueFullError>, Fault> {
        let due = now.saturating_add(milliseconds(pause));
        let added = QueueEntry { due, ..entry.clone().stamped(now) };
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

    fn put_in(&mut self, entry: &QueueEntry) -> Result<(), Fault> {
        let id = entry.id.as_u128();
        let record = written_entry(entry)?;
        self.queue.insert(id, &*record)?;
        self.queued.insert((entry.queued_at, id), ())?;
        self.write_state(id, &State::of(entry))?;
        self.count_for_user(entry, record.len() as u64)?;
        self.add_to_totals(entry, |total| total + record.len() as u64, |count| count + 1)
    }

    fn take_out(&mut self, entry: &QueueEntry) -> Result<(), Fault> {
        let id = entry.id.as_u128();
        let removed = self.queue.remove(id)?.map_or(0, |record| record.value().len() as u64);
        self.queued.remove((entry.queued_at, id))?;
        self.due.remove((entry.due, id))?;
        self.failed.remove((entry.failed_at, id))?;
        self.states.remove(id)?;
        self.entries_of_user.remove((entry.user_id.as_u128(), id))?;
        self.changed = true;
        let less = |total: u64| total.saturating_sub(removed);
        self.add_to_totals(entry, less, |count| count.saturating_sub(1))
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

    pub(super) fn entry(&self, id: u128) -> Result<Option<QueueEntry>, Fault> {
        entry(&self.queue, &self.states, id)
    }

    pub(super) fn reschedule(
        &mut self,
        entry: &QueueEntry,
        pause: Duration,
        failed: bool,
        now: i64,
    ) -> Result<bool, Fault> {
        let id = entry.id.as_u128();
        let Some(known) = self.entry(id)?.filter(|known| known.due == entry.due) else {
            return Ok(false);
        };
        // Credentials that came meanwhile were not tried yet.
        let pause = if known.revision == entry.revision { pause } else { Duration::ZERO };
        let due = now.saturating_add(milliseconds(pause));
        let failed_at = if failed { now } else { known.failed_at };
        let queued_at = known.queued_at;
        // Another request may have had its effect since the worker read the entry.
        let tried = known.tried || entry.tried;
        self.write_state(id, &State { queued_at, due, failed_at, tried, ..State::of(entry) })?;
        Ok(true)
    }

    pub(super) fn remove_unchanged(&mut self, entry: &QueueEntry) -> Result<bool, Fault> {
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

    pub(super) fn entries(&self, most: usize) -> Result<Vec<QueueEntry>, Fault> {
        entries_by_due(&self.due, &self.queue, &self.states, most)
    }
}

fn entry(
    queue: &impl ReadableTable<u128, &'static [u8]>,
    states: &impl ReadableTable<u128, &'static [u8]>,
    id: u128,
) -> Result<Option<QueueEntry>, Fault> {
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
) -> Result<Vec<QueueEntry>, Fault> {
    let mut entries = Vec::new();
    for line in due.iter()?.take(most) {
        let (_, id) = line?.0.value();
        entries.extend(entry(queue, states, id)?);
    }
    Ok(entries)
}
