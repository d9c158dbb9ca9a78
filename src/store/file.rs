//! The store in a file of this machine: durable, for one process.
//!
//! 1. The revocation list is in memory, too: who is on it is told without asking the disk.
//! 2. Everything else goes through one thread that writes the file, and is answered once it is on the
//!    disk.
//! 3. The file is closed when the store is dropped.

mod opening;
mod queue;
mod records;
mod tables;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use redb::{DatabaseError, ReadableDatabase as _};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use self::{
    opening::{explained, open_beside},
    tables::{Fault, Tables, contents},
    writer::{Found, Writer},
};
use super::{
    CannotOpen, Contents, Queue, Store, StoreFault,
    failure::Failure,
    list::{List, Mark, Revocation},
};
use crate::{queue::entry::Entry, session::token::Claims};

/// Lines forgotten in one transaction: logouts wait for it.
const FORGOTTEN_TOGETHER: usize = 1024;

/// List, failure log and queue in one file.
#[derive(Debug)]
pub struct FileStore {
    list: Arc<List>,
    waiting: Arc<AtomicUsize>,
    writer: Writer,
}

impl FileStore {
    /// Opens the file at `path`, which nobody else may hold, or creates it.
    ///
    /// # Errors
    /// [`CannotOpen`], which names the path and what to do about it.
    pub async fn open(path: PathBuf) -> Result<Self, CannotOpen> {
        let (writer, Found { list, waiting }) = Writer::start(path).await?;
        Ok(Self { list, waiting, writer })
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

    async fn ask<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreFault> {
        let done = self.writer.ask(Vec::new(), work).await;
        done.map_err(|cause| StoreFault { operation, cause })
    }
}

fn look_into(path: &Path) -> Result<Contents, Fault> {
    contents(&open_beside(path)?.begin_read()?)
}

#[async_trait]
impl Store for FileStore {
    async fn revoke(&self, revocation: &Revocation) -> Result<(), StoreFault> {
        let marks: Vec<Mark> = revocation.marks().collect();
        for mark in &marks {
            self.list.enter(*mark);
        }
        let lines = marks.clone();
        let done = self.writer.ask(lines, move |tables| tables.enter(&marks)).await;
        done.map_err(|cause| StoreFault { operation: "revoke", cause })
    }

    async fn is_revoked(&self, claims: &Claims, now: i64) -> Result<bool, StoreFault> {
        Ok(self.list.refuses(claims, now))
    }

    async fn forget_outlived(&self, now: i64) -> Result<(), StoreFault> {
        let outlived: Vec<Mark> = self.list.marks().filter(|mark| mark.until() <= now).collect();
        for some in outlived.chunks(FORGOTTEN_TOGETHER) {
            let some = some.to_owned();
            self.ask("forget", move |tables| tables.forget(&some, now)).await?;
        }
        self.list.forget_outlived(now);
        Ok(())
    }

    async fn note(&self, failures: &[Failure]) -> Result<(), StoreFault> {
        let failures = failures.to_owned();
        self.ask("note failures", move |tables| tables.note(&failures)).await
    }

    async fn failures(&self, most: usize) -> Result<Vec<Failure>, StoreFault> {
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
    async fn put(&self, entry: &Entry) -> Result<(), StoreFault> {
        let entry = entry.clone();
        self.ask("queue", move |tables| tables.put(&entry)).await
    }

    async fn lease(&self, now: i64, until: i64, most: usize) -> Result<Vec<Entry>, StoreFault> {
        self.ask("lease", move |tables| tables.lease(now, until, most)).await
    }

    async fn put_off(&self, entry: &Entry, leased_until: i64) -> Result<bool, StoreFault> {
        let entry = entry.clone();
        self.ask("put off", move |tables| tables.put_off(&entry, leased_until)).await
    }

    async fn remove(&self, id: Uuid) -> Result<bool, StoreFault> {
        self.ask("remove", move |tables| tables.remove(id)).await
    }

    async fn entries(&self, most: usize) -> Result<Vec<Entry>, StoreFault> {
        self.ask("list the queue", move |tables| tables.entries(most)).await
    }

    async fn waiting(&self) -> Result<usize, StoreFault> {
        Ok(self.waiting.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn store() -> (FileStore, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        (FileStore::open(directory.path().join("store")).await.unwrap(), directory)
    }

    #[tokio::test]
    async fn a_line_that_was_entered_again_since_it_was_found_is_not_forgotten() {
        let (store, _directory) = store().await;
        let lines = |until| {
            let (user, spared) = (Uuid::from_u128(1), Some(Uuid::from_u128(2)));
            let session = Mark::Session { session: Uuid::from_u128(3), until };
            [session, Mark::CutOff { user, spared, before: 1, until }]
        };
        let (found, again) = (lines(5), lines(10));
        let list = store.ask("test", move |tables| {
            tables.enter(&again)?;
            tables.forget(&found, 7)?;
            tables.load()
        });
        assert_eq!(list.await.unwrap().len(), 2);
        let list = store.ask("test", move |tables| {
            tables.forget(&found, 10)?;
            tables.load()
        });
        assert!(list.await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_end_of_the_thread_that_writes_is_noticed() {
        let (store, _directory) = store().await;
        let asked = store.ask::<()>("test", |_| panic!("a library that panics"));
        assert_eq!(asked.await.unwrap_err().operation, "test");
        store.keep().await;
        assert!(store.note(&[]).await.is_err(), "nobody is left waiting");
    }
}
