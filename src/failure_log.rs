//! The failure log's way into the store: handed over with the reply, written after it.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::mpsc, time::sleep};
use uuid::Uuid;

use crate::store::{FAILURES_KEPT_OF_USER, Store, failure::Failure};

/// Failures that wait to be written; a store that hangs shall not use up the memory.
const CAPACITY: usize = 4096;
/// Written at once, at most.
const MAX_BATCH: usize = 256;
/// How long it waits for a store that failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Takes failures and makes nobody wait. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FailureLog {
    sender: mpsc::Sender<Failure>,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    /// How many failures of each user wait. The log keeps [`FAILURES_KEPT_OF_USER`] of a user, and no more of
    /// them wait: one account that fails faster than the store writes leaves room for the others.
    waiting: HashMap<Uuid, usize>,
    /// Failures that found no room since the last report.
    lost: u64,
}

/// What was taken and is not written yet.
#[derive(Debug)]
pub struct FailureWriter {
    taken: mpsc::Receiver<Failure>,
    counts: Arc<Mutex<Counts>>,
    /// What is being written.
    batch: Vec<Failure>,
}

/// Both ends.
#[must_use]
pub fn channel() -> (FailureLog, FailureWriter) {
    let (sender, taken) = mpsc::channel(CAPACITY);
    let counts = Arc::<Mutex<Counts>>::default();
    let log = FailureLog { sender, counts: counts.clone() };
    (log, FailureWriter { taken, counts, batch: Vec::new() })
}

impl FailureLog {
    /// To be written. The audit line has told of it already: what finds no room is in the log alone.
    pub fn record(&self, failure: Failure) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let user = failure.user_id;
        let waiting = counts.waiting.get(&user).copied().unwrap_or_default();
        if waiting < FAILURES_KEPT_OF_USER && self.sender.try_send(failure).is_ok() {
            counts.waiting.insert(user, waiting + 1);
        } else {
            counts.lost += 1;
        }
    }

    /// Logs how many failures found no room since the last call, if any did. To be called once a second.
    pub fn report_lost(&self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = mem::take(&mut counts.lost);
        drop(counts);
        if lost > 0 {
            tracing::error!(
                lost,
                "failures are missing in the failure log: the store does not write it in time; the audit \
                 lines have them"
            );
        }
    }
}

impl Counts {
    fn release(&mut self, user: Uuid) {
        if let Some(waiting) = self.waiting.get_mut(&user) {
            *waiting -= 1;
            if *waiting == 0 {
                self.waiting.remove(&user);
            }
        }
    }
}

impl FailureWriter {
    /// Takes no more.
    pub fn close(&mut self) {
        self.taken.close();
    }

    /// Writes what comes; when closed, to the last one. What the store does not take is tried again.
    /// Nothing is lost if this is dropped and called again; at worst the failure log has a line twice.
    pub async fn write_all(&mut self, store: &dyn Store) {
        let mut is_reported = false;
        loop {
            let Self { taken, counts, batch } = self;
            if batch.is_empty() {
                if taken.recv_many(batch, MAX_BATCH).await == 0 {
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
                        tracing::error!(%cause, "the failure log cannot be written for now");
                    }
                    sleep(RETRY_INTERVAL).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
