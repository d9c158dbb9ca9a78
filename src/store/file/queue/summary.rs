//! A summary of the queue in memory, as of the last transaction. Most calls can be answered from it without
//! reading the file.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use jiff::Timestamp;
use redb::{ReadableTable as _, ReadableTableMetadata as _};

use crate::{
    clock::{after, from_unix_milliseconds},
    store::entry::MAX_RETRY_AFTER,
    store::file::{error::FileError, records::decode_time_key, tables::Tables},
};

/// The number of entries, and the earliest and latest of their times.
#[derive(Debug)]
pub(in crate::store::file) struct QueueSummary {
    len: AtomicUsize,
    /// The earliest due time, in milliseconds since the Unix epoch.
    first_due: AtomicI64,
    /// The latest due time, in milliseconds since the Unix epoch.
    last_due: AtomicI64,
    /// When the oldest entry was queued, in milliseconds since the Unix epoch, or [`NEVER`].
    oldest: AtomicI64,
}

/// The value of `oldest` while the queue is empty.
const NEVER: i64 = i64::MAX;

impl QueueSummary {
    pub(in crate::store::file) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Whether an entry may be due at `now`, or has a due time that only a wrong clock sets.
    pub(in crate::store::file) fn may_be_due(&self, now: Timestamp) -> bool {
        let latest = after(now, MAX_RETRY_AFTER).as_millisecond();
        self.first_due.load(Ordering::Acquire) <= now.as_millisecond()
            || self.last_due.load(Ordering::Acquire) > latest
    }

    pub(in crate::store::file) fn oldest(&self) -> Option<Timestamp> {
        let queued_at = self.oldest.load(Ordering::Acquire);
        (queued_at != NEVER).then(|| from_unix_milliseconds(queued_at))
    }

    pub(in crate::store::file) fn replace_with(&self, new: &Self) {
        self.len.store(new.len(), Ordering::Release);
        for (old, new) in [
            (&self.first_due, &new.first_due),
            (&self.last_due, &new.last_due),
            (&self.oldest, &new.oldest),
        ] {
            old.store(new.load(Ordering::Acquire), Ordering::Release);
        }
    }

    /// Makes the next lease read the file: after a failed transaction the summary may be wrong.
    pub(in crate::store::file) fn mark_unknown(&self) {
        self.first_due.store(i64::MIN, Ordering::Release);
    }
}

impl Tables<'_> {
    /// Summarizes the queue as this transaction sees it.
    pub(in crate::store::file) fn summary(&self) -> Result<QueueSummary, FileError> {
        let len = usize::try_from(self.queue.len()?).unwrap_or(usize::MAX);
        let time = |key: (u128, u128)| decode_time_key(key).0.as_millisecond();
        let first_due = self.due.first()?.map_or(i64::MAX, |(line, _)| time(line.value()));
        let last_due = self.due.last()?.map_or(i64::MIN, |(line, _)| time(line.value()));
        let oldest = self.queued.first()?.map_or(NEVER, |(line, _)| time(line.value()));
        Ok(QueueSummary {
            len: len.into(),
            first_due: first_due.into(),
            last_due: last_due.into(),
            oldest: oldest.into(),
        })
    }
}
