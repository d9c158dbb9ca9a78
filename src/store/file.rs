//! The store in a local file: durable, for one process.
//!
//! 1. The revocation list is also in memory, so that a check of a token does not read the disk.
//! 2. One thread, the writer, reads and writes the file. It reports success of a write only after the data is
//!    on the disk.
//! 3. Dropping the store closes the file.

mod diagnose;
mod error;
mod failures;
mod opening;
mod queue;
mod records;
mod tables;
mod upgrade;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use redb::{DatabaseError, ReadableDatabase as _, TableError};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use self::{
    error::FileError,
    failures::newest_failures,
    opening::{explain, open_read_only},
    queue::{QueueSummary, all_entries},
    tables::{FAILURES, QUEUE, STATES, Tables},
    upgrade::FORMER_FAILURES,
    writer::{Loaded, Writer},
};
use super::{
    Diagnosis, OpenStoreError, Queue, Store, StoreContents, StoreError,
    failure::Failure,
    list::{Revocation, RevocationEntry, RevocationList},
};
use crate::{
    session::token::Claims,
    store::{
        bounds::{Bounds, QueueFullError},
        entry::QueueEntry,
    },
};

/// The number of expired revocations that one transaction removes. A larger number would delay the logouts
/// that wait for the transaction to end.
const PURGE_BATCH: usize = 1024;

/// The revocation list, the failure log and the queue in one file.
#[derive(Debug)]
pub(crate) struct FileStore {
    list: Arc<RevocationList>,
    queue: Arc<QueueSummary>,
    writer: Writer,
}

impl FileStore {
    /// Opens the file at `path`, or creates it. No other process may have the file open.
    ///
    /// # Errors
    /// [`OpenStoreError`] with the path, the reason and the remedy.
    pub(crate) async fn open(path: PathBuf) -> Result<Self, OpenStoreError> {
        let (writer, Loaded { list, queue }) = Writer::start(path).await?;
        Ok(Self { list, queue, writer })
    }

    /// Reads the failure log and the queue. A gateway may have the file open at the same time.
    pub(crate) async fn read_only(path: PathBuf) -> Result<StoreContents, OpenStoreError> {
        let file = path.clone();
        let found = spawn_blocking(move || read_only(&file)).await;
        match found.map_err(|_| opening::damaged(&path))? {
            Ok(contents) => Ok(contents),
            // The last gateway was killed and the file needs a repair, which needs write access: open the
            // file as a gateway does.
            Err(FileError::Open(DatabaseError::RepairAborted)) => {
                StoreContents::read(&Self::open(path).await?).await
            }
            Err(fault) => Err(OpenStoreError(explain(&path, &fault))),
        }
    }

    /// Diagnoses the file for `logout-gateway check`.
    ///
    /// # Errors
    /// The reason why the file cannot be used, as a text for the operator.
    pub(crate) async fn diagnose(path: PathBuf) -> Result<Diagnosis, String> {
        let file = path.clone();
        let diagnosed = spawn_blocking(move || diagnose::diagnose(&file)).await;
        diagnosed.unwrap_or_else(|_| Err(opening::damaged(&path).0))
    }

    /// Finds the weak settings of a file, one sentence each. A gateway may have the file open.
    ///
    /// # Errors
    /// The reason why the file's permissions cannot be read, as a text for the log.
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

    /// Runs `work` like [`Self::transact`], but with a time limit, because a logout waits for the result.
    async fn transact_within_timeout<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = self.writer.transact_within_timeout(Vec::new(), work).await;
        done.map_err(|cause| StoreError { operation, cause })
    }
}

/// Reads the failure log and the queue while another process may have the file open.
fn read_only(path: &Path) -> Result<StoreContents, FileError> {
    let transaction = open_read_only(path)?.begin_read()?;
    let failures = match transaction.open_table(FAILURES) {
        // No gateway of this release has opened the file so far.
        Err(TableError::TableDoesNotExist(_)) => {
            newest_failures(&transaction.open_table(FORMER_FAILURES)?, usize::MAX)?
        }
        failures => newest_failures(&failures?, usize::MAX)?,
    };
    let (queue, states) = (transaction.open_table(QUEUE)?, transaction.open_table(STATES)?);
    let entries = all_entries(&queue, &states)?;
    Ok(StoreContents { failures, entries: Some(entries) })
}

#[async_trait]
impl Store for FileStore {
    async fn revoke(&self, revocation: &Revocation) -> Result<(), StoreError> {
        let entries: Vec<RevocationEntry> = revocation.entries().collect();
        for entry in &entries {
            self.list.insert(*entry);
        }
        let retried = entries.clone();
        let done = self
            .writer
            .transact_within_timeout(retried, move |tables| tables.insert_revocations(&entries))
            .await;
        done.map_err(|cause| StoreError { operation: "record a revocation", cause })
    }

    async fn is_revoked(&self, claims: &Claims, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.list.refuses(claims, now))
    }

    fn list(&self) -> &RevocationList {
        &self.list
    }

    /// Does nothing: the list is always complete, because opening the file loaded it whole and only this
    /// process changes it.
    async fn sync_list(&self, _claims: &Claims) -> Result<(), StoreError> {
        Ok(())
    }

    async fn purge_expired(&self, now: Timestamp) -> Result<(), StoreError> {
        let expired: Vec<RevocationEntry> =
            self.list.entries().filter(|entry| entry.until() <= now).collect();
        for batch in expired.chunks(PURGE_BATCH) {
            let batch = batch.to_owned();
            self.transact("purge expired revocations", move |tables| {
                tables.remove_expired(&batch, now)
            })
            .await?;
        }
        self.list.purge_expired(now);
        Ok(())
    }

    async fn append_failures(&self, failures: &[Failure]) -> Result<(), StoreError> {
        let failures = failures.to_owned();
        self.transact("append to the failure log", move |tables| tables.append_failures(&failures))
            .await
    }

    async fn failures(&self, most: usize) -> Result<Vec<Failure>, StoreError> {
        self.transact("read the failure log", move |tables| tables.failures(most)).await
    }

    fn queue(&self) -> Option<&dyn Queue> {
        Some(self)
    }

    fn is_ready(&self) -> bool {
        true
    }

    /// Returns when the writer thread has ended. Before the store is dropped, only a panic ends the thread.
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
        self.transact_within_timeout("enqueue a logout", work).await
    }

    async fn get(&self, id: Uuid) -> Result<Option<QueueEntry>, StoreError> {
        // Usually the queue is empty: do not wait for the writer thread then.
        if self.queue.len() == 0 {
            return Ok(None);
        }
        self.transact_within_timeout("read a queued logout", move |tables| {
            tables.entry(id.as_u128())
        })
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
        self.transact("lease queued logouts", move |tables| tables.lease(lease, most, now)).await
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
        self.transact("reschedule a queued logout", work).await
    }

    async fn remove_unchanged(&self, entry: &QueueEntry) -> Result<bool, StoreError> {
        let entry = entry.clone();
        self.transact("remove a queued logout", move |tables| tables.remove_unchanged(&entry)).await
    }

    async fn remove(&self, id: Uuid) -> Result<bool, StoreError> {
        self.transact_within_timeout("remove a queued logout", move |tables| tables.remove(id))
            .await
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
