//! The failure log: requests hand failures over with their reply, and the background writes them into the
//! store.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::mpsc, time::sleep};
use uuid::Uuid;

use crate::store::{FAILURES_KEPT_OF_USER, Store, failure::Failure};

/// The largest number of unwritten failures: a hanging store must not use up the memory.
const CAPACITY: usize = 4096;
/// Failures in one write, at most.
const MAX_BATCH: usize = 256;
/// The pause after a failed write.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Takes failures without waiting. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FailureLog {
    sender: mpsc::Sender<Failure>,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    /// The number of each user's unwritten failures, [`FAILURES_KEPT_OF_USER`] at most, as many as the log
    /// keeps: so one account that fails faster than the store writes leaves room for others.
    waiting: HashMap<Uuid, usize>,
    /// The number of failures that were dropped since the last report.
    lost: u64,
}

/// Writes the failures that [`FailureLog`] takes.
#[derive(Debug)]
pub struct FailureWriter {
    taken: mpsc::Receiver<Failure>,
    counts: Arc<Mutex<Counts>>,
    /// The failures of the write that is under way.
    batch: Vec<Failure>,
}

/// The two ends of a new failure log.
#[must_use]
pub fn channel() -> (FailureLog, FailureWriter) {
    let (sender, taken) = mpsc::channel(CAPACITY);
    let counts = Arc::<Mutex<Counts>>::default();
    let log = FailureLog { sender, counts: counts.clone() };
    (log, FailureWriter { taken, counts, batch: Vec::new() })
}

impl FailureLog {
    /// Takes a failure, or drops it if there is no room: then only the audit line in the log has it.
    pub(crate) fn record(&self, failure: Failure) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let user = failure.user_id;
        let waiting = counts.waiting.get(&user).copied().unwrap_or_default();
        if waiting < FAILURES_KEPT_OF_USER && self.sender.try_send(failure).is_ok() {
            counts.waiting.insert(user, waiting + 1);
        } else {
            counts.lost += 1;
        }
    }

    /// Logs how many failures were dropped since the last call, if any were. To be called once a second.
    pub(crate) fn report_lost(&self) {
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
    /// Stops taking failures.
    pub(crate) fn close(&mut self) {
        self.taken.close();
    }

    /// Writes failures; returns once the log is closed and the last one is written. It retries failed writes. A
    /// caller may drop this future and call again: nothing is lost, at worst the store has a failure twice.
    pub(crate) async fn write_all(&mut self, store: &dyn Store) {
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
                        tracing::error!(%cause, "the store cannot write the failure log, and the gateway retries: a restart would lose the failures; the \
                             audit lines have them");
                    }
                    sleep(RETRY_INTERVAL).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
