//! Adds logouts to the queue in the store.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use aws_lc_rs::error::Unspecified;
use tokio::sync::Notify;

use super::credentials::{Credentials, Seal, UnsealError};
use crate::store::{
    Queue, StoreError,
    bounds::{Bounds, QueueFullError},
    entry::{QueueEntry, SealedCredentials},
};

/// Adds logouts to the store's queue: encrypts their credentials, keeps the queue within its bounds, and
/// wakes the worker when GoTrue recovers.
#[derive(Debug)]
pub(crate) struct RevocationQueue {
    seal: Seal,
    bounds: Bounds,
    /// Whether the worker has found that GoTrue fails.
    is_gotrue_failing: AtomicBool,
    recovered: Notify,
}

/// The error of a logout that could not be queued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnqueueError {
    /// The access token has expired, and the refresh token is missing or too long to be one of GoTrue's. A
    /// retry could not succeed, because GoTrue would refuse the credentials.
    #[error(
        "the access token has expired, and the refresh token is too long to be one of GoTrue's"
    )]
    NoCredentials,
    /// A bound of the queue would be exceeded.
    #[error(transparent)]
    Full(#[from] QueueFullError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system's random number generator failed, so the credentials could not be encrypted.
    #[error("the system's random number generator failed")]
    Random(#[from] Unspecified),
}

impl RevocationQueue {
    /// Creates a queue that encrypts with `seal` and stays within `bounds`.
    pub(crate) fn new(seal: Seal, bounds: Bounds) -> Self {
        Self { seal, bounds, is_gotrue_failing: AtomicBool::new(false), recovered: Notify::new() }
    }

    /// Reports that GoTrue has answered a request. This wakes the worker if the worker waits for GoTrue to
    /// recover.
    pub(crate) fn report_gotrue_answered(&self) {
        if self.is_gotrue_failing.load(Ordering::Relaxed) {
            self.recovered.notify_one();
        }
    }

    /// Waits for a call of [`RevocationQueue::report_gotrue_answered`]. `failing`: whether the worker has
    /// found that GoTrue fails. If not, such calls have no effect, and this function never returns.
    pub(crate) async fn wait_for_recovery(&self, failing: bool) {
        self.is_gotrue_failing.store(failing, Ordering::Relaxed);
        self.recovered.notified().await;
    }

    /// Decrypts credentials of `entry`.
    pub(crate) fn open(
        &self,
        sealed: &SealedCredentials,
        entry: &QueueEntry,
    ) -> Result<Credentials, UnsealError> {
        self.seal.open(sealed, entry)
    }

    /// Encrypts `credentials` and adds `entry` with them to `queue`. If the queue has an entry with the same
    /// id, the two are merged. Once this function returns `Ok`, the logout survives a restart. The worker
    /// tries it after `pause`. `proven`: the credentials prove that the client holds the session.
    ///
    /// # Errors
    /// [`EnqueueError`]; the logout is then not queued.
    pub(crate) async fn enqueue(
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
