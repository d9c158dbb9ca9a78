//! The failure log's way into the store: handed over with the reply, written after it.

use std::time::Duration;

use tokio::{sync::mpsc, time::sleep};

use crate::store::{Store, failure::Failure};

/// Failures that wait to be written; a store that hangs shall not use up the memory.
const WAITING: usize = 4096;
/// Written at once, at most.
const TOGETHER: usize = 256;
/// How long it waits for a store that failed.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Takes failures and makes nobody wait. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FailureLog(mpsc::Sender<Failure>);

/// What was taken and is not written yet.
#[derive(Debug)]
pub struct Unwritten {
    taken: mpsc::Receiver<Failure>,
    /// What is being written.
    batch: Vec<Failure>,
}

/// Both ends.
#[must_use]
pub fn channel() -> (FailureLog, Unwritten) {
    let (sender, taken) = mpsc::channel(WAITING);
    (FailureLog(sender), Unwritten { taken, batch: Vec::new() })
}

impl FailureLog {
    /// To be written. The audit line has told of it already: what finds no room is in the log alone.
    pub fn note(&self, failure: Failure) {
        if let Err(lost) = self.0.try_send(failure) {
            let failure = lost.into_inner();
            tracing::error!(
                request_id = failure.request_id,
                "the failure log is not written in time"
            );
        }
    }
}

impl Unwritten {
    /// Takes no more.
    pub fn close(&mut self) {
        self.taken.close();
    }

    /// Writes what comes; when closed, to the last one. What the store does not take is tried again.
    /// Nothing is lost if this is dropped and called again; at worst the failure log has a line twice.
    pub async fn write_all(&mut self, store: &dyn Store) {
        let mut told = false;
        loop {
            let Self { taken, batch } = self;
            if batch.is_empty() && taken.recv_many(batch, TOGETHER).await == 0 {
                return;
            }
            match store.note(batch).await {
                Ok(()) => {
                    batch.clear();
                    told = false;
                }
                Err(cause) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::error!(%cause, "the failure log cannot be written for now");
                    }
                    sleep(TRY_AGAIN_AFTER).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
