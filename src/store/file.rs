//! The store in a file of this machine: durable, for one process.
//!
//! 1. The revocation list is in memory, too: who is on it is told without asking the disk.
//! 2. Everything else goes through one thread that writes the file, and is answered once it is on the
//!    disk.
//! 3. The file is closed when the store is dropped.

mod diagnose;
mod error;
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
use jiff::Timestamp;
use redb::{DatabaseError, ReadableDatabase as _};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use self::{
    error::FileError,
    failures::newest_failures,
    opening::{explain, open_read_only},
    queue::{QueueSummary, entries_by_due},
    tables::{DUE, FAILURES, QUEUE, STATES, Tables},
    writer::{Loaded, Writer},
};
use super::{
    Diagnosis, OpenStoreError, Queue, Store, StoreContents, StoreError,
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
const PURGE_BATCH: usize = 1024;

/// List, failure log and queue in one file.
#[derive(Debug)]
pub struct FileStore {
    list: Arc<RevocationList>,
    queue: Arc<QueueSummary>,
    writer: Writer,
}

impl FileStore {
    /// Opens the file at `path`, which nobody else may hold, or creates it.
    ///
    /// # Errors
    /// [`OpenStoreError`], which names the path and what to do about it.
    pub async fn open(path: PathBuf) -> Result<Self, OpenStoreError> {
        let (writer, Loaded { list, queue }) = Writer::start(path).await?;
        Ok(Self { list, queue, writer })
    }

    /// What an operator looks at, also while a gateway has the file.
    ///
    /// # Errors
    /// [`OpenStoreError`].
    pub async fn read_only(path: PathBuf) -> Result<StoreContents, OpenStoreError> {
        let file = path.clone();
        let found = spawn_blocking(move || read_only(&file)).await;
        match found.map_err(|_| opening::damaged(&path))? {
            Ok(contents) => Ok(contents),
            // Whoever had it was killed: it is opened as a gateway opens it.
            Err(FileError::Open(DatabaseError::RepairAborted)) => {
                StoreContents::of(&Self::open(path).await?).await
            }
            Err(fault) => Err(OpenStoreError(explain(&path, &fault))),
        }
    }

    /// What `check` tells of it.
    ///
    /// # Errors
    /// Why it cannot be used now.
    pub async fn diagnose(path: PathBuf) -> Result<Diagnosis, String> {
        let file = path.clone();
        let diagnosed = spawn_blocking(move || diagnose::diagnose(&file)).await;
        diagnosed.unwrap_or_else(|_| Err(opening::damaged(&path).0))
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

    async fn transact<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = self.writer.transact(Vec::new(), work).await;
        done.map_err(|cause| StoreError { operation, cause })
    }

    /// The same for what a logout waits for.
    async fn transact_within_timeout<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = self.writer.transact_within_timeout(Vec::new(), work).await;
        done.map_err(|cause| StoreError { operation, cause })
    }
}

/// Reads failure log and queue beside the gateway that has the file open.
fn read_only(path: &Path) -> Result<StoreContents, FileError> {
    let transaction = open_read_only(path)?.begin_read()?;
    let failures = newest_failures(&transaction.open_table(FAILURES)?, usize::MAX)?;
    let (due, queue) = (transaction.open_table(DUE)?, transaction.open_table(QUEUE)?);
    let states = transaction.open_table(STATES)?;
    let entries = entries_by_due(&due, &queue, &states, usize::MAX)?;
    Ok(StoreContents { failures, entries: Some(entries) })
}

#[async_trait]
impl Store for FileStore {
    async fn revoke(&self, revocation: &Revocation) -> Result<(), StoreError> {
        let entries: Vec<RevocationEntry> = revocation.entries().collect();
        for entry in &entries {
            self.list.insert(*entry);
        }
        let lines = entries.clone();
        let done = self
            .writer
            .transact_within_timeout(lines, move |tables| tables.insert_revocations(&entries))
            .await;
        done.map_err(|cause| StoreError { operation: "revoke", cause })
    }

    async fn is_revoked(&self, claims: &Claims, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.list.refuses(claims, now))
    }

    fn list(&self) -> &RevocationList {
        &self.list
    }

    /// The whole list was read when the file was opened.
    async fn sync_list(&self, _claims: &Claims) -> Result<(), StoreError> {
        Ok(())
    }

    async fn purge_expired(&self, now: Timestamp) -> Result<(), StoreError> {
        let outlived: Vec<RevocationEntry> =
            self.list.entries().filter(|entry| entry.until() <= now).collect();
        for some in outlived.chunks(PURGE_BATCH) {
            let some = some.to_owned();
            self.transact("forget", move |tables| tables.remove_expired(&some, now)).await?;
        }
        self.list.purge_expired(now);
        Ok(())
    }

    async fn append_failures(&self, failures: &[Failure]) -> Result<(), StoreError> {
        let failures = failures.to_owned();
        self.transact("note failures", move |tables| tables.append_failures(&failures)).await
    }

    async fn failures(&self, most: usize) -> Result<Vec<Failure>, StoreError> {
        self.transact("list failures", move |tables| tables.failures(most)).await
    }

    fn queue(&self) -> Option<&dyn Queue> {
        Some(self)
    }

    fn is_ready(&self) -> bool {
        true
    }

    /// Ends with the thread that writes, which only a panic makes it do before the store is dropped.
    async fn run(&self) {
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
        now: Timestamp,
    ) -> Result<Result<(), QueueFullError>, StoreError> {
        let (entry, bounds) = (entry.clone(), *bounds);
        let work = move |tables: &mut Tables<'_>| tables.enqueue(&entry, pause, &bounds, now);
        self.transact_within_timeout("queue", work).await
    }

    async fn get(&self, id: Uuid) -> Result<Option<QueueEntry>, StoreError> {
        // Mostly the queue is empty, and the file is left alone.
        if self.queue.len() == 0 {
            return Ok(None);
        }
        self.transact_within_timeout("read the queue", move |tables| tables.entry(id.as_u128()))
            .await
    }

    async fn lease(
        &self,
        lease: Duration,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<QueueEntry>, StoreError> {
        if !self.queue.may_be_due(now) {
            return Ok(Vec::new());
        }
        self.transact("lease", move |tables| tables.lease(lease, most, now)).await
    }

    async fn reschedule(
        &self,
        entry: &QueueEntry,
        pause: Duration,
        failed: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let entry = entry.clone();
        let work = move |tables: &mut Tables<'_>| tables.reschedule(&entry, pause, failed, now);
        self.transact("reschedule", work).await
    }

    async fn remove_unchanged(&self, entry: &QueueEntry) -> Result<bool, StoreError> {
        let entry = entry.clone();
        self.transact("remove", move |tables| tables.remove_unchanged(&entry)).await
    }

    async fn remove(&self, id: Uuid) -> Result<bool, StoreError> {
        self.transact_within_timeout("remove", move |tables| tables.remove(id)).await
    }

    async fn entries(&self, most: usize) -> Result<Vec<QueueEntry>, StoreError> {
        self.transact("list the queue", move |tables| tables.entries(most)).await
    }

    async fn len(&self) -> Result<usize, StoreError> {
        Ok(self.queue.len())
    }

    async fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.queue.oldest())
    }
}

#[cfg(test)]
mod tests;
