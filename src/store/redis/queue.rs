//! The queue in Redis: a sorted set of ids by when they are due, and the entries by id. A lease is a
//! due time in the future; instances whose clocks differ by more than it lasts may both ask GoTrue.

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

const LEASE: &str = include_str!("lease.lua");
const PUT_OFF: &str = include_str!("put_off.lua");

#[async_trait]
impl Queue for RedisStore {
    async fn put(&self, entry: &Entry) -> Result<(), StoreFault> {
        let (keys, id) = (&self.keys, entry.id.to_string());
        let record = records::written(entry).map_err(|fault| fault.of("queue"))?;
        let mut commands = pipe();
        commands.atomic();
        commands.cmd("HSET").arg(&keys.entries).arg(&id).arg(record).ignore();
        commands.cmd("ZADD").arg(&keys.queue).arg(score(entry.due)).arg(&id).ignore();
        self.ask("queue", &commands).await
    }

    async fn lease(&self, now: i64, until: i64, most: usize) -> Result<Vec<Entry>, StoreFault> {
        let keys = [&*self.keys.queue, &self.keys.entries];
        let mut commands = pipe();
        script(&mut commands, LEASE, &keys).arg(score(now)).arg(score(until)).arg(most);
        let (records,): (Vec<String>,) = self.ask("lease", &commands).await?;
        let entries = records.iter().filter_map(|record| records::taken::<Entry>(record));
        Ok(entries.map(|entry| Entry { due: until, ..entry }).collect())
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
        commands.cmd("HDEL").arg(&keys.entries).arg(&id);
        let (removed,): (bool,) = self.ask("remove", &commands).await?;
        Ok(removed)
    }

    async fn entries(&self, most: usize) -> Result<Vec<Entry>, StoreFault> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let keys = &self.keys;
        let last = i64::try_from(most).map_or(-1, |most| most - 1);
        let mut by_due = pipe();
        by_due.cmd("ZRANGE").arg(&keys.queue).arg(0).arg(last).arg("WITHSCORES");
        let (waiting,): (Vec<(String, i64)>,) = self.ask("list the queue", &by_due).await?;
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let mut records = pipe();
        let command = records.cmd("HMGET").arg(&keys.entries);
        for (id, _) in &waiting {
            command.arg(id);
        }
        let (records,): (Vec<Option<String>>,) = self.ask("list the queue", &records).await?;
        let entries = waiting.iter().zip(records).filter_map(|((_, due), record)| {
            let entry = records::taken::<Entry>(&record?)?;
            Some(Entry { due: *due, ..entry })
        });
        Ok(entries.collect())
    }

    async fn waiting(&self) -> Result<usize, StoreFault> {
        let mut commands = pipe();
        commands.cmd("ZCARD").arg(&self.keys.queue);
        let (waiting,): (usize,) = self.ask("count the queue", &commands).await?;
        Ok(waiting)
    }
}
