//! Lists the queue in pages that are small enough for Redis to send within the time limit.

use std::collections::HashMap;

use redis::pipe;

use super::read;
use crate::store::{StoreError, entry::QueueEntry, redis::RedisStore};

/// The most entries in one answer. An entry may have tens of KiB.
const PAGE: usize = 200;
/// The `COUNT` of `ZSCAN`: about this number of ids is in one answer.
const IDS: usize = 1000;

impl RedisStore {
    /// Returns at most `most` entries, by due time.
    pub(super) async fn entries_by_due(&self, most: usize) -> Result<Vec<QueueEntry>, StoreError> {
        let mut by_due = if most > PAGE {
            self.all_by_due().await?
        } else if let Some(last) = most.checked_sub(1) {
            self.first_by_due(last).await?
        } else {
            return Ok(Vec::new());
        };
        by_due.truncate(most);
        let mut entries = Vec::with_capacity(by_due.len());
        for page in by_due.chunks(PAGE) {
            entries.extend(self.page(page).await?);
        }
        Ok(entries)
    }

    /// Reads the entries with these ids and due times.
    async fn page(&self, page: &[(String, i64)]) -> Result<Vec<QueueEntry>, StoreError> {
        type Page = (Vec<Option<String>>, Vec<Option<String>>, Vec<Option<i64>>, Vec<Option<i64>>);
        let ids: Vec<&String> = page.iter().map(|(id, _)| id).collect();
        let keys = &self.keys.queue;
        let mut commands = pipe();
        for values in [&keys.records, &keys.states] {
            commands.cmd("HMGET").arg(values).arg(&ids);
        }
        for scores in [&keys.queued, &keys.failed] {
            commands.cmd("ZMSCORE").arg(scores).arg(&ids);
        }
        let (records, states, queued, failed): Page =
            self.query("list the queue", &commands).await?;
        let states = states.into_iter().zip(queued.into_iter().zip(failed));
        let entries = page.iter().zip(records).zip(states);
        let entries =
            entries.filter_map(|(((_, due), record), (state, (queued_at, failed_at)))| {
                let times = [queued_at.unwrap_or_default(), failed_at.unwrap_or_default(), *due];
                read(&record?, state.as_deref(), times)
            });
        Ok(entries.collect())
    }

    /// Returns ids and due times of the entries that are due first, up to the index `last`.
    async fn first_by_due(&self, last: usize) -> Result<Vec<(String, i64)>, StoreError> {
        let mut first = pipe();
        first.cmd("ZRANGE").arg(&self.keys.queue.due).arg(0).arg(last).arg("WITHSCORES");
        let (first,) = self.query("list the queue", &first).await?;
        Ok(first)
    }

    /// Returns ids and due times of all entries. `ZSCAN` also finds entries whose due times change during the
    /// scan.
    async fn all_by_due(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let (mut all, mut cursor) = (HashMap::new(), Some(0));
        while let Some(from) = cursor {
            let mut scan = pipe();
            scan.cmd("ZSCAN").arg(&self.keys.queue.due).arg(from).arg("COUNT").arg(IDS);
            let ((next, page),): ((u64, Vec<(String, i64)>),) =
                self.query("list the queue", &scan).await?;
            all.extend(page);
            cursor = (next != 0).then_some(next);
        }
        let mut by_due: Vec<(String, i64)> = all.into_iter().collect();
        by_due.sort_unstable_by(|(one, due), (other, later)| (due, one).cmp(&(later, other)));
        Ok(by_due)
    }
}
