//! The queue in the file. Whatever looks before it writes does both in one transaction.

use redb::{ReadableTable, ReadableTableMetadata};
use uuid::Uuid;

use super::{
    records::{read_json, written_json},
    tables::{Fault, Tables},
};
use crate::queue::entry::Entry;

impl Tables<'_> {
    fn entry(&self, id: u128) -> Result<Option<Entry>, Fault> {
        entry(&self.queue, id)
    }

    /// Adds an entry, or replaces the one of the same id.
    pub(super) fn put(&mut self, entry: &Entry) -> Result<(), Fault> {
        let id = entry.id.as_u128();
        if let Some(known) = self.entry(id)? {
            self.due.remove((known.due, id))?;
        }
        self.queue.insert(id, &*written_json(entry)?)?;
        self.due.insert((entry.due, id), ())?;
        self.changed = true;
        Ok(())
    }

    pub(super) fn lease(&mut self, now: i64, until: i64, most: usize) -> Result<Vec<Entry>, Fault> {
        let due = self.due.range(..=(now, u128::MAX))?.take(most);
        let ids = due.map(|line| Ok(line?.0.value().1)).collect::<Result<Vec<_>, Fault>>()?;
        let mut leased = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(entry) = self.entry(id)? else { continue };
            let entry = Entry { due: until, ..entry };
            self.put(&entry)?;
            leased.push(entry);
        }
        Ok(leased)
    }

    pub(super) fn put_off(&mut self, entry: &Entry, leased_until: i64) -> Result<bool, Fault> {
        let known = self.entry(entry.id.as_u128())?;
        let held = known.is_some_and(|known| known.due == leased_until);
        if held {
            self.put(entry)?;
        }
        Ok(held)
    }

    pub(super) fn remove(&mut self, id: Uuid) -> Result<bool, Fault> {
        let id = id.as_u128();
        let Some(entry) = self.entry(id)? else { return Ok(false) };
        self.due.remove((entry.due, id))?;
        self.queue.remove(id)?;
        self.changed = true;
        Ok(true)
    }

    pub(super) fn entries(&self, most: usize) -> Result<Vec<Entry>, Fault> {
        entries_by_due(&self.due, &self.queue, most)
    }

    pub(super) fn waiting(&self) -> Result<usize, Fault> {
        Ok(usize::try_from(self.queue.len()?).unwrap_or(usize::MAX))
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
