//! Upgrades a queue that an earlier release wrote. This happens when the file is opened.

use redb::{ReadableTable as _, ReadableTableMetadata as _};

use super::super::{error::FileError, records::decode_any_entry, tables::Tables};
use crate::store::entry::QueueEntry;

impl Tables<'_> {
    /// Rewrites a queue of the first release: merges the entries of the same session and scope into one.
    pub(in crate::store::file) fn upgrade_queue(&mut self) -> Result<(), FileError> {
        if self.states.len()? == self.queue.len()? {
            return self.upgrade_counts();
        }
        let mut entries = Vec::new();
        for line in self.queue.iter()? {
            entries.push(decode_any_entry(line?.1.value())?);
        }
        self.clear_queue()?;
        // Merge the oldest entries first, so that the newest credentials come first in the merged entry.
        entries.sort_by_key(|entry| entry.queued_at);
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

    /// Fills the table of entries by user, which earlier releases did not have.
    fn upgrade_counts(&mut self) -> Result<(), FileError> {
        if self.entries_of_user.len()? == self.queue.len()? {
            return Ok(());
        }
        let mut entries = Vec::new();
        for line in self.queue.iter()? {
            let record = line?.1;
            entries.push((decode_any_entry(record.value())?, record.value().len() as u64));
        }
        for (entry, bytes) in entries {
            self.count_for_user(&entry, bytes)?;
        }
        self.changed = true;
        Ok(())
    }

    fn clear_queue(&mut self) -> Result<(), FileError> {
        self.queue.retain(|_, _| false)?;
        self.states.retain(|_, _| false)?;
        self.due.retain(|_, ()| false)?;
        self.queued.retain(|_, ()| false)?;
        self.failed.retain(|_, ()| false)?;
        self.entries_of_user.retain(|_, _| false)?;
        self.totals.retain(|_, _| false)?;
        self.changed = true;
        Ok(())
    }
}
