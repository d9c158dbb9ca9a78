//! Measures how full the queue is, in total and for one user, so that the bounds can be checked.

use std::collections::HashMap;

use redb::{ReadableTable as _, ReadableTableMetadata as _};

use super::super::{
    error::FileError,
    records::{ShareOfEntry, decode_total, encode_entry, encode_total},
    tables::Tables,
};
use crate::store::{
    bounds::{Share, ShareOfUser, Usage},
    entry::QueueEntry,
};

/// The totals of the queue; each number is the key of that total in the file.
#[derive(Clone, Copy)]
enum Total {
    Bytes = 0,
    StaleEntries = 1,
    StaleBytes = 2,
}

impl Tables<'_> {
    /// Returns how full the queue would be if `becomes` replaced `known`.
    pub(super) fn usage_with(
        &self,
        known: Option<&QueueEntry>,
        becomes: &QueueEntry,
    ) -> Result<Usage, FileError> {
        let mut usage = self.usage()?;
        if let Some(known) = known {
            // Measure the stored record: re-encoding the entry would include its newer state.
            let record = self.queue.get(known.id.as_u128())?;
            let bytes = record.map_or(0, |record| record.value().len() as u64);
            let stale = known.is_stale().then_some(&mut usage.stale);
            for share in std::iter::once(&mut usage.all).chain(stale) {
                share.entries = share.entries.saturating_sub(1);
                share.bytes = share.bytes.saturating_sub(bytes);
            }
        }
        let bytes = encode_entry(becomes)?.len() as u64;
        let stale = becomes.is_stale().then_some(&mut usage.stale);
        for share in std::iter::once(&mut usage.all).chain(stale) {
            share.entries += 1;
            share.bytes += bytes;
        }
        [usage.of_user, usage.stale_of_user] = self.shares_of_user(becomes, bytes)?;
        Ok(usage)
    }

    /// Returns the share of the entry's user, including this entry: first of all sessions, then of stale
    /// ones.
    fn shares_of_user(
        &self,
        entry: &QueueEntry,
        bytes: u64,
    ) -> Result<[ShareOfUser; 2], FileError> {
        let (user, own) = (entry.user_id.as_u128(), entry.session_id.as_u128());
        let mut is_known = false;
        let mut bytes_of_user = [bytes, if entry.is_stale() { bytes } else { 0 }];
        let mut stale_sessions = HashMap::from([(own, entry.is_stale())]);
        for line in self.entries_of_user.range((user, 0)..=(user, u128::MAX))? {
            let (key, value) = line?;
            let ShareOfEntry { session, bytes, is_stale } = ShareOfEntry::decode(value.value())?;
            is_known |= session == own;
            if key.value().1 == entry.id.as_u128() {
                continue;
            }
            let [all, stale] = &mut bytes_of_user;
            *all += bytes;
            *stale += if is_stale { bytes } else { 0 };
            *stale_sessions.entry(session).or_insert(true) &= is_stale;
        }
        let [all, stale] = bytes_of_user;
        // A session that is in the queue may always add entries: count no sessions, so that the bound of
        // sessions cannot refuse it.
        let count = |sessions: usize| if is_known { 0 } else { sessions as u64 };
        let stale_count = stale_sessions.values().filter(|is_stale| **is_stale).count();
        Ok([
            ShareOfUser { sessions: count(stale_sessions.len()), bytes: all },
            ShareOfUser { sessions: count(stale_count), bytes: stale },
        ])
    }

    pub(in crate::store::file) fn usage(&self) -> Result<Usage, FileError> {
        let total = |total: Total| -> Result<u64, FileError> {
            let value = self.totals.get(total as u128)?;
            Ok(value.map(|value| decode_total(value.value())).transpose()?.unwrap_or_default())
        };
        let all = Share { entries: self.queue.len()?, bytes: total(Total::Bytes)? };
        let stale =
            Share { entries: total(Total::StaleEntries)?, bytes: total(Total::StaleBytes)? };
        Ok(Usage { all, stale, ..Usage::default() })
    }

    /// Adds an entry, whose record has `bytes` bytes, to the table of entries by user.
    pub(super) fn count_for_user(
        &mut self,
        entry: &QueueEntry,
        bytes: u64,
    ) -> Result<(), FileError> {
        let key = (entry.user_id.as_u128(), entry.id.as_u128());
        let session = entry.session_id.as_u128();
        let share = ShareOfEntry { session, bytes, is_stale: entry.is_stale() };
        self.entries_of_user.insert(key, &*share.encode())?;
        Ok(())
    }

    pub(super) fn add_to_totals(
        &mut self,
        entry: &QueueEntry,
        bytes: impl Fn(u64) -> u64,
        entries: impl Fn(u64) -> u64,
    ) -> Result<(), FileError> {
        let usage = self.usage()?;
        self.set_total(Total::Bytes, bytes(usage.all.bytes))?;
        if entry.is_stale() {
            self.set_total(Total::StaleBytes, bytes(usage.stale.bytes))?;
            self.set_total(Total::StaleEntries, entries(usage.stale.entries))?;
        }
        Ok(())
    }

    fn set_total(&mut self, total: Total, number: u64) -> Result<(), FileError> {
        self.totals.insert(total as u128, &*encode_total(number))?;
        Ok(())
    }
}
