//! Entries that the first release queued, and goes on queueing while instances are replaced one by one.

use std::time::Duration;

use redis::pipe;

use crate::{
    queue::{
        bounds::Bounds,
        entry::{Entry, v1::EntryV1},
    },
    store::{Queue as _, StoreFault, redis::RedisStore},
};

/// Entries that are read at a time.
const PAGE: usize = 100;
/// What was queued stays queued, however much it is.
const UNBOUNDED: Bounds = Bounds { entries: 1 << 50, bytes: 1 << 50, sessions_of_user: 1 << 50 };

impl RedisStore {
    /// Moves the entries of the first release into this one's keys, merged by session and scope.
    pub(super) async fn take_over_first_release(&self) -> Result<(), StoreFault> {
        let [queue, records, queued] = &self.keys.queue.first_release;
        loop {
            let mut oldest = pipe();
            oldest.cmd("ZRANGE").arg(queued).arg(0).arg(PAGE - 1);
            let (ids,): (Vec<String>,) = self.ask("list the queue", &oldest).await?;
            if ids.is_empty() {
                return Ok(());
            }
            let mut commands = pipe();
            commands.cmd("HMGET").arg(records).arg(&ids);
            let (found,): (Vec<Option<String>>,) = self.ask("list the queue", &commands).await?;
            for (id, record) in ids.iter().zip(found) {
                let entry = record.as_deref().and_then(|record| record.strip_prefix("1 "));
                if let Some(json) = entry
                    && let Ok(entry) = serde_json::from_str::<EntryV1>(json)
                {
                    let entry = Entry::from(entry);
                    let taken = self.enqueue(&entry, Duration::ZERO, &UNBOUNDED, 0).await?;
                    taken.map_err(|full| StoreFault {
                        operation: "queue",
                        cause: full.to_string(),
                    })?;
                } else {
                    tracing::error!(
                        id,
                        "a queued logout of an earlier release cannot be read: it is dropped"
                    );
                }
                let mut remove = pipe();
                remove.cmd("ZREM").arg(queue).arg(id).ignore();
                remove.cmd("ZREM").arg(queued).arg(id).ignore();
                remove.cmd("HDEL").arg(records).arg(id).ignore();
                self.ask::<()>("remove", &remove).await?;
            }
        }
    }
}
