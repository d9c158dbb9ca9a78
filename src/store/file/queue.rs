//! The queue in the file. Whatever looks before it writes does both in one transaction.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use redb::{ReadableTable, ReadableTableMetadata};
use uuid::Uuid;

use super::{
    records::{read_json, written_json},
    tables::{Fault, Tables},
};
use crate::queue::entry::Entry;

/// What is told of the queue without asking the file: how it was after the last transaction.
#[derive(Debug)]
pub(super) struct Outline {
    /// How many entries it has.
    waiting: AtomicUsize,
    /// Nothing is due before; milliseconds since the Unix epoch.
    first_due: AtomicI64,
    /// When the oldest was queued, if there is one.
    oldest: AtomicI64,
}

/// No entry was queued then.
const NEVER: i64 = i64::MAX;

impl Outline {
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    pub(super) fn first_due(&self) -> i64 {
        self.first_due.load(Ordering::Acquire)
    }

    pub(super) fn oldest(&self) -> Option<i64> {
        Some(self.oldest.load(Ordering::Acquire)).filter(|queued_at| *queued_at != NEVER)
    }

    pub(super) fn becomes(&self, now: &Self) {
        self.waiting.store(now.waiting(), Ordering::Release);
        self.first_due.store(now.first_due(), Ordering::Release);
        self.oldest.store(now.oldest.load(Ordering::Acquire), Ordering::Release);
    }

    /// After a failure: whoever wants to know what is due has to look.
    pub(super) fn is_unknown(&self) {
        self.first_due.store(i64::MIN, Ordering::Release);
    }
}

impl Tables<'_> {
    fn entry(&self, id: u128) -> Result<Option<Entry>, Fault> {
        entry(&self.queue, id)
    }

    pub(super) fn put(&mut self, entry: &Entry) -> Result<(), Fault> {
        if self.entry(entry.id.as_u128())?.is_some() { Ok(()) } else { self.write(entry) }
    }

    /// Adds an entry, or replaces the one of the same id.
    fn write(&mut self, entry: &Entry) -> Result<(), Fault> {
        let id = entry.id.as_u128();
        if let Some(known) = self.entry(id)? {
            self.due.remove((known.due, id))?;
        }
        self.queue.insert(id, &*written_json(entry)?)?;
        self.due.insert((entry.due, id), ())?;
        self.queued.insert((entry.queued_at, id), ())?;
        self.changed = true;
        Ok(())
    }

    pub(super) fn lease(&mut self, now: i64, until: i64, most: usize) -> Result<Vec<Entry>, Fault> {
        let (mut leased, mut without_entry) = (Vec::new(), Vec::new());
        for line in self.due.range(..=(now, u128::MAX))? {
            if leased.len() == most {
                break;
            }
            let (due, id) = line?.0.value();
            match self.entry(id) {
                Ok(Some(entry)) => leased.push(Entry { due: until, ..entry }),
                Ok(None) => without_entry.push((due, id)),
                // Whoever can read it will see to it.
                Err(Fault::Unreadable(_)) => {}
                Err(fault) => return Err(fault),
            }
        }
        for line in without_entry {
            self.due.remove(line)?;
            self.changed = true;
        }
        leased.iter().try_for_each(|entry| self.write(entry))?;
        Ok(leased)
    }

    pub(super) fn put_off(&mut self, entry: &Entry, leased_until: i64) -> Result<bool, Fault> {
        let known = self.entry(entry.id.as_u128())?;
        let held = known.is_some_and(|known| known.due == leased_until);
        if held {
            self.write(entry)?;
        }
        Ok(held)
    }

    pub(super) fn remove(&mut self, id: Uuid) -> Result<bool, Fault> {
        let id = id.as_u128();
        let Some(entry) = self.entry(id)? else { return Ok(false) };
        self.due.remove((entry.due, id))?;
        self.queued.remove((entry.queued_at, id))?;
        self.queue.remove(id)?;
        self.changed = true;
        Ok(true)
    }

    pub(super) fn entries(&self, most: usize) -> Result<Vec<Entry>, Fault> {
        entries_by_due(&self.due, &self.queue, most)
    }

    /// How the queue is now.
    pub(super) fn outline(&self) -> Result<Outline, Fault> {
        let waiting = usize::try_from(self.queue.len()?).unwrap_or(usize::MAX);
        let first_due = self.due.first()?.map_or(i64::MAX, |(line, _)| line.value().0);
        let oldest = self.queued.first()?.map_or(NEVER, |(line, _)| line.value().0);
        Ok(Outline { waiting: waiting.into(), first_due: first_due.into(), oldest: oldest.into() })
    }
}

fn entry(
    queue: &impl ReadableTable<u128, &'static [u8]>,
    id: u128,
) -> Result<Option<Entry>, Fault> {
    let value = queue.get(id)?;
    Ok(value.map(|value| read_json(value.value())).transpose()?)
}

pub(super) fn entries_by_due(
    due: &impl ReadableTable<(i64, u128), ()>,
    queue: &impl ReadableTable<u128, &'static [u8]>,
    most: usize,
) -> Result<Vec<Entry>, Fault> {
    let mut entries = Vec::new();
    for line in due.iter()?.take(most) {
        let (_, id) = line?.0.value();
        entries.extend(entry(queue, id)?);
    }
    Ok(entries)
}
