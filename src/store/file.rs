//! The store in a local file: durable, for one process.
//!
//! 1. The revocation list is in memory too, so that a lookup needs no access to the disk.
//! 2. One thread reads and writes the file. It answers a write once that is on the disk.
//! 3. Dropping the store closes the file.

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

/// Entries removed in one transaction: logouts wait for its end.
const PURGE_BATCH: usize = 1024;

/// Revocation list, failure log and queue in one file.
#[derive(Debug)]
pub(crate) struct FileStore {
    list: Arc<RevocationList>,
    queue: Arc<QueueSummary>,
    writer: Writer,
}

impl FileStore {
    /// Opens the file at `path`, which no other process may have open, or creates it.
    ///
    /// # Errors
    /// [`OpenStoreError`] with the path and the remedy.
    pub(crate) async fn open(path: PathBuf) -> Result<Self, OpenStoreError> {
        let (writer, Loaded { list, queue }) = Writer::start(path).await?;
        Ok(Self { list, queue, writer })
    }

    /// Reads the failure log and the queue, also while a gateway has the file open.
    pub(crate) async fn read_only(path: PathBuf) -> Result<StoreContents, OpenStoreError> {
        let file = path.clone();
        let found = spawn_blocking(move || read_only(&file)).await;
        match found.map_err(|_| opening::damaged(&path))? {
            Ok(contents) => Ok(contents),
            // The last process was killed, and the file needs repair: open it as a gateway does.
            Err(FileError::Open(DatabaseError::RepairAborted)) => {
                StoreContents::read(&Self::open(path).await?).await
            }
            Err(fault) => Err(OpenStoreError(explain(&path, &fault))),
        }
    }

    /// Diagnoses the file for `logout-gateway check`.
    ///
    /// # Errors
    /// Why the file cannot be used.
    pub(crate) async fn diagnose(path: PathBuf) -> Result<Diagnosis, String> {
        let file = path.clone();
        let diagnosed = spawn_blocking(move || diagnose::diagnose(&file)).await;
        diagnosed.unwrap_or_else(|_| Err(opening::damaged(&path).0))
    }

    /// The weaknesses of a file, also while a gateway has it open.
    ///
    /// # Errors
    /// Why its permissions cannot be read.
    pub(crate) async fn weaknesses(path: PathBuf) -> Result<Vec<String>, String> {
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

    /// The same with a time limit, for operations that a logout waits for.
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

    /// The list is always complete: the file was read when it was opened, and this process alone writes it.
    async fn sync_list(&self, _claims: &Claims) -> Result<(), StoreError> {
        Ok(())
    }

    async fn purge_expired(&self, now: Timestamp) -> Result<(), StoreError> {
        let expired: Vec<RevocationEntry> =
            self.list.entries().filter(|entry| entry.until() <= now).collect();
        for some in expired.chunks(PURGE_BATCH) {
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

    /// Returns when the writer thread ends: before the store is dropped, only a panic ends it.
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
        // Usually the queue is empty: do not wait for the writer thread then.
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
