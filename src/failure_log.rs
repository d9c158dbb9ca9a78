//! The failure log: the list in the store of logouts that did not end their session. Requests pass failures
//! through a bounded channel without waiting, and the background thread writes them to the store.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::mpsc, time::sleep};
use uuid::Uuid;

use crate::store::{FAILURES_KEPT_OF_USER, Store, failure::Failure};

/// The largest number of failures that wait to be written. It bounds the memory while the store does not
/// answer.
const CAPACITY: usize = 4096;
/// The largest number of failures in one write to the store.
const MAX_BATCH: usize = 256;
/// The pause before a failed write is repeated.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The sending end of the failure log. Recording a failure never waits. Clones are cheap.
#[derive(Clone, Debug)]
pub struct FailureLog {
    sender: mpsc::Sender<Failure>,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    /// The number of each user's failures that wait to be written. It is at most [`FAILURES_KEPT_OF_USER`],
    /// the number that the store keeps of one user, so that the failures of one user cannot fill the channel.
    unwritten: HashMap<Uuid, usize>,
    /// The number of failures that were dropped since the last call of [`FailureLog::report_lost`].
    lost: u64,
}

/// The receiving end of the failure log, which writes the failures to the store.
#[derive(Debug)]
pub struct FailureWriter {
    receiver: mpsc::Receiver<Failure>,
    counts: Arc<Mutex<Counts>>,
    /// The failures that are being written. They stay here until the store has them.
    batch: Vec<Failure>,
}

/// Creates the two ends of a failure log.
#[must_use]
pub fn channel() -> (FailureLog, FailureWriter) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let counts = Arc::<Mutex<Counts>>::default();
    let log = FailureLog { sender, counts: counts.clone() };
    (log, FailureWriter { receiver, counts, batch: Vec::new() })
}

impl FailureLog {
    /// Queues a failure to be written. If too many failures wait already, it is dropped and counted: then
    /// only the logout's audit line in the log records it.
    pub(crate) fn record(&self, failure: Failure) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let user = failure.user_id;
        let unwritten = counts.unwritten.get(&user).copied().unwrap_or_default();
        if unwritten < FAILURES_KEPT_OF_USER && self.sender.try_send(failure).is_ok() {
            counts.unwritten.insert(user, unwritten + 1);
        } else {
            counts.lost += 1;
        }
    }

    /// Logs how many failures were dropped since the last call, if any. Call this once a second.
    pub(crate) fn report_lost(&self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = mem::take(&mut counts.lost);
        drop(counts);
        if lost > 0 {
            tracing::error!(
                lost,
                "failures are missing in the failure log: the store does not write them fast enough; the audit lines \
                 in the log record them"
            );
        }
    }
}

impl Counts {
    fn release(&mut self, user: Uuid) {
        if let Some(unwritten) = self.unwritten.get_mut(&user) {
            *unwritten -= 1;
            if *unwritten == 0 {
                self.unwritten.remove(&user);
            }
        }
    }
}

impl FailureWriter {
    /// Closes the channel: failures recorded from now on are dropped.
    pub(crate) fn close(&mut self) {
        self.receiver.close();
    }

    /// Writes failures to `store`, and repeats a write that failed. Returns once the channel is closed and
    /// the last failure is written. The caller may drop this future and call the function again: no failure
    /// is lost, but the store may have some of them twice.
    pub(crate) async fn write_all(&mut self, store: &dyn Store) {
        let mut is_reported = false;
        loop {
            let Self { receiver, counts, batch } = self;
            if batch.is_empty() {
                if receiver.recv_many(batch, MAX_BATCH).await == 0 {
                    return;
                }
                let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                for failure in batch.iter() {
                    counts.release(failure.user_id);
                }
            }
            match store.append_failures(batch).await {
                Ok(()) => {
                    batch.clear();
                    is_reported = false;
                }
                Err(cause) => {
                    if !mem::replace(&mut is_reported, true) {
                        tracing::error!(%cause, "the store failed to write the failure log: the gateway retries, and a restart before it succeeds loses the \
                             failures; the audit lines in the log record them");
                    }
                    sleep(RETRY_INTERVAL).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
