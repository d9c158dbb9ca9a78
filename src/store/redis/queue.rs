//! The queue in Redis: a sorted set of ids by when they are due, and the entries by id. A lease is a
//! due time in the future; instances whose clocks differ by more than it lasts may both ask GoTrue.

use std::collections::HashMap;

use async_trait::async_trait;
use redis::pipe;
use uuid::Uuid;

use super::{
    RedisStore,
    commands::script,
    records::{self, score},
};
use crate::{
    queue::entry::Entry,
    store::{Queue, StoreFault},
};

/// Entries that are read at a time: each may be tens of KiB long, and all of it has to come in time.
const PAGE: usize = 200;
/// Ids that are read at a time.
const IDS: usize = 1000;

const LEASE: &str = include_str!("lease.lua");
const PUT_OFF: &str = include_str!("put_off.lua");

#[async_trait]
impl Queue for RedisStore {
    async fn put(&self, entry: &Entry) -> Result<(), StoreFault> {
        let (keys, id) = (&self.keys, entry.id.to_string());
        let record = records::written(entry).map_err(|fault| fault.of("queue"))?;
        let mut commands = pipe();
        commands.atomic();
        commands.cmd("HSETNX").arg(&keys.entries).arg(&id).arg(record).ignore();
        commands.cmd("ZADD").arg(&keys.queue).arg("NX").arg(score(entry.due)).arg(&id).ignore();
        let queued_at = score(entry.queued_at);
        commands.cmd("ZADD").arg(&keys.queued).arg("NX").arg(queued_at).arg(&id).ignore();
        self.ask("queue", &commands).await
    }

    async fn lease(&self, now: i64, until: i64, most: usize) -> Result<Vec<Entry>, StoreFault> {
        let mut leased = Vec::new();
        loop {
            let wanted = most.saturating_sub(leased.len());
            let records = self.lease_records(now, until, wanted).await?;
            let readable = records.iter().filter_map(|record| records::taken::<Entry>(record));
            leased.extend(readable.map(|entry| Entry { due: until, ..entry }));
            // What cannot be read is leased like the rest, and others may be due behind it.
            if leased.len() >= most || records.len() < wanted {
                return Ok(leased);
            }
        }
    }

    async fn put_off(&self, entry: &Entry, leased_until: i64) -> Result<bool, StoreFault> {
        let keys = [&*self.keys.queue, &self.keys.entries];
        let record = records::written(entry).map_err(|fault| fault.of("put off"))?;
        let mut commands = pipe();
        let script = script(&mut commands, PUT_OFF, &keys);
        let (held_until, due) = (score(leased_until), score(entry.due));
        script.arg(entry.id.to_string()).arg(held_until).arg(due).arg(record);
        let (held,): (bool,) = self.ask("put off", &commands).await?;
        Ok(held)
    }

    async fn remove(&self, id: Uuid) -> Result<bool, StoreFault> {
        let (keys, id) = (&self.keys, id.to_string());
        let mut commands = pipe();
        commands.atomic();
        commands.cmd("ZREM").arg(&keys.queue).arg(&id).ignore();
        commands.cmd("ZREM").arg(&keys.queued).arg(&id).ignore();
        commands.cmd("HDEL").arg(&keys.entries).arg(&id);
        let (removed,): (bool,) = self.ask("remove", &commands).await?;
        Ok(removed)
    }

    async fn entries(&self, most: usize) -> Result<Vec<Entry>, StoreFault> {
        let mut waiting = if most > PAGE {
            self.all_by_due().await?
        } else if let Some(last) = most.checked_sub(1) {
            self.first_by_due(last).await?
        } else {
            return Ok(Vec::new());
        };
        waiting.truncate(most);
        let mut entries = Vec::with_capacity(waiting.len());
        for page in waiting.chunks(PAGE) {
            let mut records = pipe();
            let ids: Vec<&String> = page.iter().map(|(id, _)| id).collect();
            records.cmd("HMGET").arg(&self.keys.entries).arg(ids);
            let (records,): (Vec<Option<String>>,) = self.ask("list the queue", &records).await?;
            entries.extend(page.iter().zip(records).filter_map(|((_, due), record)| {
                let entry = records::taken::<Entry>(&record?)?;
                Some(Entry { due: *due, ..entry })
            }));
        }
        Ok(entries)
    }

    async fn waiting(&self) -> Result<usize, StoreFault> {
        let mut commands = pipe();
        commands.cmd("ZCARD").arg(&self.keys.queue);
        let (waiting,): (usize,) = self.ask("count the queue", &commands).await?;
        Ok(waiting)
    }

    async fn oldest(&self) -> Result<Option<i64>, StoreFault> {
        let mut commands = pipe();
        commands.cmd("ZRANGE").arg(&self.keys.queued).arg(0).arg(0).arg("WITHSCORES");
        let (first,): (Vec<(String, i64)>,) = self.ask("list the queue", &commands).await?;
        Ok(first.first().map(|(_, queued_at)| *queued_at))
    }
}

impl RedisStore {
    /// The records of up to `most` entries that are due, which are leased now.
    async fn lease_records(
        &self,
        now: i64,
        until: i64,
        most: usize,
    ) -> Result<Vec<String>, StoreFault> {
        let keys = [&*self.keys.queue, &self.keys.entries, &self.keys.queued];
        let mut commands = pipe();
        script(&mut commands, LEASE, &keys).arg(score(now)).arg(score(until)).arg(most);
        let (records,) = self.ask("lease", &commands).await?;
        Ok(records)
    }

    /// Ids and when they are due, up to the one with that number.
    async fn first_by_due(&self, last: usize) -> Result<Vec<(String, i64)>, StoreFault> {
        let mut first = pipe();
        first.cmd("ZRANGE").arg(&self.keys.queue).arg(0).arg(last).arg("WITHSCORES");
        let (first,) = self.ask("list the queue", &first).await?;
        Ok(first)
    }

    /// All of them. What is moved meanwhile is among them, too.
    async fn all_by_due(&self) -> Result<Vec<(String, i64)>, StoreFault> {
        let (mut all, mut cursor) = (HashMap::new(), Some(0));
        while let Some(from) = cursor {
            let mut scan = pipe();
            scan.cmd("ZSCAN").arg(&self.keys.queue).arg(from).arg("COUNT").arg(IDS);
            let ((next, page),): ((u64, Vec<(String, i64)>),) =
                self.ask("list the queue", &scan).await?;
            all.extend(page);
            cursor = (next != 0).then_some(next);
        }
        let mut by_due: Vec<(String, i64)> = all.into_iter().collect();
        by_due.sort_unstable_by(|(one, due), (other, later)| (due, one).cmp(&(later, other)));
        Ok(by_due)
    }
}
