//! Putting a logout into the queue.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use aws_lc_rs::error::Unspecified;
use tokio::sync::Notify;

use super::{
    bounds::{Bounds, QueueFullError},
    credentials::{Credentials, Seal, UnsealError},
    entry::{QueueEntry, SealedCredentials},
};
use crate::store::{Queue, StoreError};

/// Puts logouts into the queue of a store, sealed and within its bounds.
#[derive(Debug)]
pub struct RevocationQueue {
    seal: Seal,
    bounds: Bounds,
    /// The worker has found GoTrue failing.
    failing: AtomicBool,
    well: Notify,
}

/// Why a logout could not be queued.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// The access token has expired, and the refresh token is too long to be kept: nothing is left to ask
    /// GoTrue with.
    #[error("its refresh token is too long to be one of GoTrue's")]
    NoCredentials,
    /// There is no room for it.
    #[error(transparent)]
    Full(#[from] QueueFullError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness.
    #[error("the system gives no random numbers")]
    Random(#[from] Unspecified),
}

impl RevocationQueue {
    /// Seals credentials by `seal` and keeps within `bounds`.
    #[must_use]
    pub fn new(seal: Seal, bounds: Bounds) -> Self {
        Self { seal, bounds, failing: AtomicBool::new(false), well: Notify::new() }
    }

    /// GoTrue has answered a request: wakes the worker if it waits for GoTrue to recover.
    pub fn report_gotrue_answered(&self) {
        if self.failing.load(Ordering::Relaxed) {
            self.well.notify_one();
        }
    }

    /// Waits for [`RevocationQueue::report_gotrue_answered`], which wakes only while GoTrue is `failing`.
    pub async fn wait_for_recovery(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
        self.well.notified().await;
    }

    /// Opens credentials of an entry.
    ///
    /// # Errors
    /// [`UnsealError`].
    pub fn open(
        &self,
        sealed: &SealedCredentials,
        entry: &QueueEntry,
    ) -> Result<Credentials, UnsealError> {
        self.seal.open(sealed, entry)
    }

    /// Seals `credentials` and puts them into `queue`: as the first of `entry`, or into the entry that the
    /// queue has of that id. Once this returns `Ok`, the logout survives a restart. It is tried after `pause`;
    /// `proven` tells what the credentials proved about the session.
    ///
    /// # Errors
    /// [`EnqueueError`]; then the logout is not queued.
    pub async fn enqueue(
        &self,
        queue: &dyn Queue,
        mut entry: QueueEntry,
        credentials: &Credentials,
        proven: bool,
        pause: Duration,
    ) -> Result<(), EnqueueError> {
        let sealed = self.seal.seal(credentials, &entry, proven)?;
        entry.credentials.push(sealed);
        queue.enqueue(&entry, pause, &self.bounds, entry.queued_at).await??;
        Ok(())
    }
}
