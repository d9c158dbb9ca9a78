//! The store in a file of this machine: durable, for one process.
//!
//! 1. The revocation list is in memory, too: who is on it is told without asking the disk.
//! 2. Everything else goes through one thread that writes the file, and is answered once it is on the
//!    disk.
//! 3. The file is closed when the store is dropped.

mod diagnose;
mod failures;
mod opening;
mod queue;
mod records;
mod tables;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use redb::{DatabaseError, ReadableDatabase as _};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use self::{
    opening::{explained, open_beside},
    queue::Outline,
    tables::{Fault, Tables, contents},
    writer::{Found, Writer},
};
use super::{
    CannotOpen, Contents, Queue, Store, StoreError, Survey,
    failure::Failure,
    list::{Revocation, RevocationEntry, RevocationList},
};
use crate::{
    queue::{
        bounds::{Bounds, QueueFullError},
        entry::QueueEntry,
    },
    session::token::Claims,
};

/// Lines forgotten in one transaction: logouts wait for it.
const FORGOTTEN_TOGETHER: usize = 1024;

/// List, failure log and queue in one file.
#[derive(Debug)]
pub struct FileStore {
    list: Arc<RevocationList>,
    queue: Arc<Outline>,
    writer: Writer,
}

impl FileStore {
    /// Opens the file at `path`, which nobody else may hold, or creates it.
    ///
    /// # Errors
    /// [`CannotOpen`], which names the path and what to do about it.
    pub async fn open(path: PathBuf) -> Result<Self, CannotOpen> {
        let (writer, Found { list, queue }) = Writer::start(path).await?;
        Ok(Self { list, queue, writer })
    }

    /// What an operator looks at, also while a gateway has the file.
    ///
    /// # Errors
    /// [`CannotOpen`].
    pub async fn look_into(path: PathBuf) -> Result<Contents, CannotOpen> {
        let file = path.clone();
        let found = spawn_blocking(move || look_into(&file)).await;
        match found.map_err(|_| opening::damaged(&path))? {
            Ok(contents) => Ok(contents),
            // Whoever had it was killed: it is opened as a gateway opens it.
            Err(Fault::Open(DatabaseError::RepairAborted)) => {
                Contents::of(&Self::open(path).await?).await
            }
            Err(fault) => Err(CannotOpen(explained(&path, &fault))),
        }
    }

    /// What `check` tells of it.
    ///
    /// # Errors
    /// Why it cannot be used now.
    pub async fn survey(path: PathBuf) -> Result<Survey, String> {
        let file = path.clone();
        let surveyed = spawn_blocking(move || diagnose::survey(&file)).await;
        surveyed.unwrap_or_else(|_| Err(opening::damaged(&path).0))
    }

    /// The weaknesses of a file, whether a gateway has it open or not.
    ///
    /// # Errors
    /// Why its permissions cannot be read.
    pub async fn weaknesses(path: PathBuf) -> Result<Vec<String>, String> {
        let file = path.clone();
        let found = spawn_blocking(move || diagnose::weaknesses(&file)).await;
        found.unwrap_or_else(|_| Err(opening::damaged(&path).0))
    }

    async fn ask<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = self.writer.ask(Vec::new(), work).await;
        done.map_err(|cause| StoreError { operation, cause })
    }

    /// The same for what a logout waits for.
    async fn ask_in_time<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = self.writer.ask_in_time(Vec::new(), work).await;
        done.map_err(|cause| StoreError { operation, cause })
    }
}

fn look_into(path: &Path) -> Result<Contents, Fault> {
    contents(&open_beside(path)?.begin_read()?)
}

#[async_trait]
impl Store for FileStore {
    async fn revoke(&self, revocation: &Revocation) -> Result<(), StoreError> {
        let marks: Vec<RevocationEntry> = revocation.marks().collect();
        for mark in &marks {
            self.list.enter(*mark);
        }
        let lines = marks.clone();
        let done = self.writer.ask_in_time(lines, move |tables| tables.enter(&marks)).await;
        done.map_err(|cause| StoreError { operation: "revoke", cause })
    }

    async fn is_revoked(&self, claims: &Claims, now: i64) -> Result<bool, StoreError> {
        Ok(self.list.refuses(claims, now))
    }

    fn list(&self) -> &RevocationList {
        &self.list
    }

    /// The whole list was read when the file was opened.
    async fn learn(&self, _claims: &Claims) -> Result<(), StoreError> {
        Ok(())
    }

    async fn purge_expired(&self, now: i64) -> Result<(), StoreError> {
        let outlived: Vec<RevocationEntry> =
            self.list.marks().filter(|mark| mark.until() <= now).collect();
        for some in outlived.chunks(FORGOTTEN_TOGETHER) {
            let some = some.to_owned();
            self.ask("forget", move |tables| tables.forget(&some, now)).await?;
        }
        self.list.purge_expired(now);
        Ok(())
    }

    async fn note(&self, failures: &[Failure]) -> Result<(), StoreError> {
        let failures = failures.to_owned();
        self.ask("note failures", move |tables| tables.append_failures(&failures)).await
    }

    async fn failures(&self, most: usize) -> Result<Vec<Failure>, StoreError> {
        self.ask("list failures", move |tables| tables.failures(most)).await
    }

    fn queue(&self) -> Option<&dyn Queue> {
        Some(self)
    }

    fn ready(&self) -> bool {
        true
    }

    /// Ends with the thread that writes, which only a panic makes it do before the store is dropped.
    async fn keep(&self) {
        self.writer.ended.cancelled().await;
    }
}

#[async_trait]
impl Queue for FileStore {
    async fn enqueue(
        &self,
        entry: &QueueEntry,
        pause: Duration,
        bounds: &Bounds,
        now: i64,
    ) -> Result<Result<(), QueueFullError>, StoreError> {
        let (entry, bounds) = (entry.clone(), *bounds);
        let work = move |tables: &mut Tables<'_>| tables.enqueue(&entry, pause, &bounds, now);
        self.ask_in_time("queue", work).await
    }

    async fn get(&self, id: Uuid) -> Result<Option<QueueEntry>, StoreError> {
        // Mostly the queue is empty, and the file is left alone.
        if self.queue.len() == 0 {
            return Ok(None);
        }
        self.ask_in_time("read the queue", move |tables| tables.entry(id.as_u128())).await
    }

    async fn lease(
        &self,
        lease: Duration,
        most: usize,
        now: i64,
    ) -> Result<Vec<QueueEntry>, StoreError> {
        if !self.queue.may_be_due(now) {
            return Ok(Vec::new());
        }
        self.ask("lease", move |tables| tables.lease(lease, most, now)).await
    }

    async fn reschedule(
        &self,
        entry: &QueueEntry,
        pause: Duration,
        failed: bool,
        now: i64,
    ) -> Result<bool, StoreError> {
        let entry = entry.clone();
        let work = move |tables: &mut Tables<'_>| tables.reschedule(&entry, pause, failed, now);
        self.ask("reschedule", work).await
    }

    async fn remove_unchanged(&self, entry: &QueueEntry) -> Result<bool, StoreError> {
        let entry = entry.clone();
        self.ask("remove", move |tables| tables.remove_unchanged(&entry)).await
    }

    async fn remove(&self, id: Uuid) -> Result<bool, StoreError> {
        self.ask_in_time("remove", move |tables| tables.remove(id)).await
    }

    async fn entries(&self, most: usize) -> Result<Vec<QueueEntry>, StoreError> {
        self.ask("list the queue", move |tables| tables.entries(most)).await
    }

    async fn waiting(&self) -> Result<usize, StoreError> {
        Ok(self.queue.len())
    }

    async fn oldest(&self) -> Result<Option<i64>, StoreError> {
        Ok(self.queue.oldest())
    }
}

#[cfg(test)]
mod tests;
