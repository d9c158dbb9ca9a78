//! Leases due entries to a worker: the entries that never failed or failed longest ago come first.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use redb::ReadableTable as _;

use super::{
    super::{
        error::FileError,
        records::{decode_time_key, time_key},
        tables::Tables,
    },
    StoredState,
};
use crate::{
    clock::after,
    store::entry::{MAX_RETRY_AFTER, NEVER, QueueEntry},
};

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
                    self.due.remove(time_key(due, id))?;
                    self.failed.remove(time_key(failed_at, id))?;
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
        // No entry has the greatest id, so the range begins after the latest time.
        let latest = time_key(after(now, MAX_RETRY_AFTER), u128::MAX);
        let misdated: Vec<u128> = self
            .due
            .range(latest..)?
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

    /// Returns due entries as (time of the last failure, due time, id). Considers [`MAX_CANDIDATES`] entries
    /// by due time, and as many by time of the last failure, so that entries which fail again and again do not
    /// hide others.
    fn due_by_failure(
        &self,
        now: Timestamp,
    ) -> Result<BTreeSet<(Timestamp, Timestamp, u128)>, FileError> {
        let mut found = BTreeSet::new();
        for line in self.due.range(..=time_key(now, u128::MAX))?.take(MAX_CANDIDATES) {
            let (due, id) = decode_time_key(line?.0.value());
            let failed_at = self.state(id)?.map_or(NEVER, |state| state.failed_at);
            found.insert((failed_at, due, id));
        }
        for line in self.failed.iter()?.take(MAX_CANDIDATES) {
            let (failed_at, id) = decode_time_key(line?.0.value());
            if let Some(state) = self.state(id)?.filter(|state| state.due <= now) {
                found.insert((failed_at, state.due, id));
            }
        }
        Ok(found)
    }
}
