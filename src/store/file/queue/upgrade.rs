//! Upgrades a queue that an earlier release wrote. This happens when the file is opened.

use redb::{ReadableTable as _, ReadableTableMetadata as _};

use super::{
    super::{
        error::FileError,
        records::{RecordError, decode_any_entry},
        tables::Tables,
    },
    StoredState,
};
use crate::store::entry::QueueEntry;

impl Tables<'_> {
    /// Whether the queue has the format of the first release, which had no states.
    pub(in crate::store::file) fn has_first_releases_queue(&self) -> Result<bool, FileError> {
        Ok(self.states.len()? != self.queue.len()?)
    }

    /// Decodes all entries of a queue of the first release, the oldest first.
    pub(in crate::store::file) fn first_releases_entries(
        &self,
    ) -> Result<Vec<QueueEntry>, FileError> {
        let mut entries = Vec::new();
        for line in self.queue.iter()? {
            entries.push(decode_any_entry(line?.1.value())?);
        }
        entries.sort_by_key(|entry| entry.queued_at);
        Ok(entries)
    }

    /// Inserts the entries of [`Self::first_releases_entries`] into an empty queue: merges the entries of the
    /// same session and scope into one. The oldest entries come first, so that the newest credentials come
    /// first in the merged entry.
    pub(in crate::store::file) fn merge_entries(
        &mut self,
        entries: Vec<QueueEntry>,
    ) -> Result<(), FileError> {
        for entry in entries {
            let known = self.entry(entry.id.as_u128())?;
            let becomes = match known {
                Some(known) => {
                    self.remove_entry(&known)?;
                    let due = known.due.min(entry.due);
                    QueueEntry { due, ..known.merged_with(&entry) }
                }
                None => entry,
            };
            self.insert_entry(&becomes)?;
        }
        Ok(())
    }

    /// Whether each entry is in all tables that are sorted by a time or a user.
    pub(in crate::store::file) fn queue_is_indexed(&self) -> Result<bool, FileError> {
        let entries = self.queue.len()?;
        for index in [&self.due, &self.queued, &self.failed, &self.entries_of_user] {
            if index.len()? != entries {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Fills the empty tables that are made from records and states.
    pub(in crate::store::file) fn index_queue(&mut self) -> Result<(), FileError> {
        // Collect the ids, not the entries: the queue can be larger than the memory that the process may use.
        let mut ids = Vec::new();
        for line in self.queue.iter()? {
            ids.push(line?.0.value());
        }
        for id in ids {
            let entry = self.entry(id)?.ok_or(RecordError::Damaged)?;
            let bytes = self.queue.get(id)?.map_or(0, |record| record.value().len() as u64);
            self.index_record(&entry, bytes)?;
            self.index_state(id, &StoredState::of(&entry))?;
        }
        Ok(())
    }
}
