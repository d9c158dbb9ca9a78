//! Puts logouts into the queue of a store.

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

/// Encrypts the credentials of logouts, keeps the queue within its bounds, and wakes the worker when GoTrue
/// recovers.
#[derive(Debug)]
pub(crate) struct RevocationQueue {
    seal: Seal,
    bounds: Bounds,
    /// The worker has found that GoTrue fails.
    is_gotrue_failing: AtomicBool,
    recovered: Notify,
}

/// A logout could not be queued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnqueueError {
    /// The access token has expired, and there is no refresh token that the queue takes: GoTrue would refuse
    /// the logout.
    #[error("its refresh token is too long to be one of GoTrue's")]
    NoCredentials,
    /// A bound of the queue is reached.
    #[error(transparent)]
    Full(#[from] QueueFullError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system has no random numbers for the encryption.
    #[error("the system gives no random numbers")]
    Random(#[from] Unspecified),
}

impl RevocationQueue {
    /// A queue that encrypts with `seal` and keeps within `bounds`.
    pub(crate) fn new(seal: Seal, bounds: Bounds) -> Self {
        Self { seal, bounds, is_gotrue_failing: AtomicBool::new(false), recovered: Notify::new() }
    }

    /// Reports that GoTrue has answered a request: wakes the worker if it waits for GoTrue to recover.
    pub(crate) fn report_gotrue_answered(&self) {
        if self.is_gotrue_failing.load(Ordering::Relaxed) {
            self.recovered.notify_one();
        }
    }

    /// Waits for [`RevocationQueue::report_gotrue_answered`], which wakes the worker only while GoTrue is
    /// `failing`.
    pub(crate) async fn wait_for_recovery(&self, failing: bool) {
        self.is_gotrue_failing.store(failing, Ordering::Relaxed);
        self.recovered.notified().await;
    }

    /// Decrypts credentials of an entry.
    pub(crate) fn open(
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
