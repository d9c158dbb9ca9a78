//! Leases due entries to a worker: the entries that never failed or failed longest ago come first.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use redb::ReadableTable as _;

use super::{
    super::{error::FileError, tables::Tables},
    StoredState,
};
use crate::{clock::after, store::entry::MAX_RETRY_AFTER, store::entry::QueueEntry};

/// The most entries that one lease considers in each of two orders: by due time, and by time of the last
/// failure.
const MAX_CANDIDATES: usize = 1000;
/// The most entries with a wrong due time that one lease resets.
const MAX_RESET: usize = 1000;

impl Tables<'_> {
    pub(in crate::store::file) fn lease(
        &mut self,
        lease: Duration,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<QueueEntry>, FileError> {
        self.reset_wrong_due_times(now)?;
        let mut leased = Vec::new();
        for (failed_at, due, id) in self.due_by_failure(now)? {
            if leased.len() == most {
                break;
            }
            let entry = match self.entry(id) {
                Ok(Some(entry)) => entry,
                Ok(None) => {
                    self.due.remove((due, id))?;
                    self.failed.remove((failed_at, id))?;
                    self.changed = true;
                    continue;
                }
                // This release cannot read the entry: leave it to the release that wrote it.
                Err(FileError::Record(_)) => continue,
                Err(fault) => return Err(fault),
            };
            let entry = QueueEntry { due: after(now, lease), ..entry };
            self.write_state(id, &StoredState::of(&entry))?;
            leased.push(entry);
        }
        Ok(leased)
    }

    /// Makes entries due now that are due more than [`MAX_RETRY_AFTER`] from now: only a wrong clock sets
    /// such a time.
    fn reset_wrong_due_times(&mut self, now: Timestamp) -> Result<(), FileError> {
        let latest = after(now, MAX_RETRY_AFTER).as_millisecond();
        let misdated: Vec<u128> = self
            .due
            .range((latest.saturating_add(1), 0)..)?
            .take(MAX_RESET)
            .map(|line| line.map(|(key, _)| key.value().1))
            .collect::<Result<_, _>>()?;
        for id in misdated {
            if let Some(state) = self.state(id)? {
                self.write_state(id, &StoredState { due: now, ..state })?;
            }
        }
        Ok(())
    }

    /// Returns due entries as (time of the last failure, due time, id), with times in milliseconds since the
    /// Unix epoch. Considers [`MAX_CANDIDATES`] entries by due time, and as many by time of the last failure,
    /// so that entries which fail again and again do not hide others.
    fn due_by_failure(&self, now: Timestamp) -> Result<BTreeSet<(i64, i64, u128)>, FileError> {
        let now = now.as_millisecond();
        let mut found = BTreeSet::new();
        for line in self.due.range(..=(now, u128::MAX))?.take(MAX_CANDIDATES) {
            let (due, id) = line?.0.value();
            let failed_at = self.state(id)?.map_or(0, |state| state.failed_at.as_millisecond());
            found.insert((failed_at, due, id));
        }
        for line in self.failed.iter()?.take(MAX_CANDIDATES) {
            let (failed_at, id) = line?.0.value();
            if let Some(state) = self.state(id)?.filter(|state| state.due.as_millisecond() <= now) {
                found.insert((failed_at, state.due.as_millisecond(), id));
            }
        }
        Ok(found)
    }
}
