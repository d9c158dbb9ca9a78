//! The failure log's way into the store: handed over with the reply, written after it.

use tokio::sync::mpsc;

use crate::store::{Store, failure::Failure};

/// Failures that wait to be written; a store that hangs shall not use up the memory.
const WAITING: usize = 4096;
/// Written at once, at most.
const TOGETHER: usize = 256;

/// Takes failures and makes nobody wait. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FailureLog(mpsc::Sender<Failure>);

/// What was taken and is not written yet.
#[derive(Debug)]
pub struct Unwritten(mpsc::Receiver<Failure>);

/// Both ends.
#[must_use]
pub fn channel() -> (FailureLog, Unwritten) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (FailureLog(sender), Unwritten(receiver))
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
        self.0.close();
    }

    /// Writes what comes; when closed, to the last one.
    pub async fn write_all(&mut self, store: &dyn Store) {
        let mut failures = Vec::with_capacity(TOGETHER);
        while self.0.recv_many(&mut failures, TOGETHER).await > 0 {
            if let Err(cause) = store.note(&failures).await {
                let lost = failures.len();
                tracing::error!(%cause, lost, "failures could not be written to the failure log");
            }
            failures.clear();
        }
    }
}
