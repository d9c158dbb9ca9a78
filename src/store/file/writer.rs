//! The thread that reads and writes the file.
//!
//! 1. The thread runs all pending jobs in one transaction and answers them after the commit, so that many
//!    logouts share one wait for the disk.
//! 2. If a transaction fails, all its jobs fail, and the thread opens the file again.
//! 3. The thread retries revocations until they are written. The caller of the failed write has received the
//!    error, and this process refuses the tokens meanwhile.
//! 4. A logout waits [`TIMEOUT`] at most for the disk.

use std::{
    io, iter,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use redb::Database;
use tokio::{sync::oneshot, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        OpenStoreError,
        list::{RevocationEntry, RevocationList},
    },
    error::FileError,
    opening::{self, Opened},
    queue::QueueSummary,
    tables::Tables,
};

/// The most jobs in one transaction.
const MAX_BATCH: usize = 1024;
/// How long a logout, or the end of the process, waits for the disk.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The pause before revocations that could not be written are tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// A job for the writer thread: work to do in a transaction, and a caller that waits for its result.
trait Job: Send {
    fn work(&mut self, tables: &mut Tables<'_>) -> Result<(), FileError>;

    /// Sends the result of the transaction to the caller. Returns the revocations that the thread must retry.
    fn answer(self: Box<Self>, result: Result<(), &str>) -> Vec<RevocationEntry>;
}

struct PendingJob<T, W> {
    work: Option<W>,
    done: Option<T>,
    /// The revocations to retry if the transaction fails.
    retried: Vec<RevocationEntry>,
    answer: oneshot::Sender<Result<T, String>>,
}

impl<T: Send, W: FnOnce(&mut Tables<'_>) -> Result<T, FileError> + Send> Job for PendingJob<T, W> {
    fn work(&mut self, tables: &mut Tables<'_>) -> Result<(), FileError> {
        if let Some(work) = self.work.take() {
            self.done = Some(work(tables)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), &str>) -> Vec<RevocationEntry> {
        let Self { done, retried, answer, .. } = *self;
        match (result, done) {
            // The caller may have stopped waiting.
            (Ok(()), Some(done)) => drop(answer.send(Ok(done))),
            (Ok(()), None) => {}
            (Err(cause), _) => {
                drop(answer.send(Err(cause.to_owned())));
                return retried;
            }
        }
        Vec::new()
    }
}

/// The handle of the writer thread. When the handle is dropped, the thread finishes its jobs, closes the file
/// and ends.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    /// A channel that is disconnected when the thread ends. Unlike a join, receiving from it can have a time
    /// limit.
    closed: Mutex<Receiver<()>>,
    /// Whether a caller has timed out and the thread has finished no transaction since.
    hangs: Arc<AtomicBool>,
    /// Cancelled when the thread ends.
    pub(super) ended: CancellationToken,
}

/// The revocation list and the summary of the queue, which the store has in memory as well as in the file.
pub(super) struct Loaded {
    pub(super) list: Arc<RevocationList>,
    pub(super) queue: Arc<QueueSummary>,
}

impl Writer {
    /// Starts the thread and waits until it has opened the file.
    pub(super) async fn start(path: PathBuf) -> Result<(Self, Loaded), OpenStoreError> {
        let (jobs, received) = mpsc::channel();
        let (opened, found) = oneshot::channel();
        let (ended, hangs) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
        let (guard, hanging) = (ended.clone().drop_guard(), hangs.clone());
        let (closing, closed) = mpsc::channel();
        let file = path.clone();
        let thread = Builder::new().name("store".to_owned()).spawn(move || {
            let (_ended, _closing) = (guard, closing);
            match opening::open(&file) {
                Err(cause) => drop(opened.send(Err(cause))),
                Ok(Opened { database, list, queue }) => {
                    let (list, queue) = (Arc::new(list), Arc::new(queue));
                    let found = Loaded { list: list.clone(), queue: queue.clone() };
                    drop(opened.send(Ok(found)));
                    let (database, unwritten) = (Some(database), Vec::new());
                    let hangs = hanging;
                    WriterThread { file, database, list, queue, unwritten, hangs }.run(&received);
                }
            }
        });
        let thread = thread.map_err(|cause: io::Error| OpenStoreError(cause.to_string()))?;
        let writer =
            Self { jobs: Some(jobs), thread: Some(thread), closed: closed.into(), hangs, ended };
        // redb can panic on a file that was forged with valid checksums; the thread then ends without an
        // answer.
        let found = found.await.map_err(|_| opening::damaged(&path))??;
        Ok((writer, found))
    }

    /// Runs `work` in a transaction. If the transaction fails, the thread retries to write the revocations
    /// `retried`.
    pub(super) async fn transact<T: Send + 'static>(
        &self,
        retried: Vec<RevocationEntry>,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, String> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(PendingJob { work: Some(work), done: None, retried, answer });
        let is_sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        let ended = || Err("the thread that writes the store's file has ended".to_owned());
        if is_sent { answered.await.unwrap_or_else(|_| ended()) } else { ended() }
    }

    /// Runs `work` like [`Self::transact`], but waits [`TIMEOUT`] at most, so that a hanging disk does not
    /// delay a logout for longer. After a timeout the work may still be written.
    pub(super) async fn transact_within_timeout<T: Send + 'static>(
        &self,
        retried: Vec<RevocationEntry>,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, String> {
        let hangs = || Err("the disk does not answer in time".to_owned());
        // Reject new work while the disk hangs, or abandoned jobs pile up in memory. Revocations are small
        // and must be written: accept them.
        if retried.is_empty() && self.hangs.load(Ordering::Relaxed) {
            return hangs();
        }
        timeout(TIMEOUT, self.transact(retried, work)).await.unwrap_or_else(|_| {
            self.hangs.store(true, Ordering::Relaxed);
            hangs()
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs.take();
        let Some(thread) = self.thread.take() else { return };
        // Do not let a hanging disk keep the process from ending.
        let closed = self.closed.get_mut().unwrap_or_else(PoisonError::into_inner);
        if closed.recv_timeout(TIMEOUT) == Err(RecvTimeoutError::Disconnected) {
            // A panic of the thread is in the log already.
            let _ = thread.join();
        } else {
            tracing::error!(
                "the disk did not answer in time while the gateway stopped: the store's file was not closed, and the next start \
                 repairs it"
            );
        }
    }
}

/// The state of the writer thread.
struct WriterThread {
    file: PathBuf,
    /// `None` after a failed transaction: the next transaction opens the file again.
    database: Option<Database>,
    list: Arc<RevocationList>,
    queue: Arc<QueueSummary>,
    /// Revocations that could not be written so far and are in memory only.
    unwritten: Vec<RevocationEntry>,
    hangs: Arc<AtomicBool>,
}

impl WriterThread {
    fn run(mut self, received: &Receiver<Box<dyn Job>>) {
        let mut retry_at = Instant::now();
        loop {
            let next = if self.unwritten.is_empty() {
                retry_at = Instant::now() + RETRY_INTERVAL;
                received.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                received.recv_timeout(retry_at.saturating_duration_since(Instant::now()))
            };
            match next {
                Ok(first) => {
                    let gathered = iter::once(first).chain(received.try_iter());
                    self.run_batch(gathered.take(MAX_BATCH).collect());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if !self.unwritten.is_empty() && Instant::now() >= retry_at {
                self.retry_unwritten();
                retry_at = Instant::now() + RETRY_INTERVAL;
            }
        }
        self.retry_unwritten();
        if let Some(Err(cause)) = self.database.take().map(Database::close) {
            tracing::error!(%cause, "the store's file was not closed cleanly: the next start repairs it");
        }
    }

    fn run_batch(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let result = self.transact(|tables| jobs.iter_mut().try_for_each(|job| job.work(tables)));
        let result = result.map_err(|fault| fault.to_string());
        self.hangs.store(false, Ordering::Relaxed);
        for job in jobs {
            let retried = job.answer(result.as_ref().copied().map_err(String::as_str));
            self.unwritten.extend(retried);
        }
    }

    /// Writes the revocations that could not be written before, unless they have expired meanwhile.
    fn retry_unwritten(&mut self) {
        let mut unwritten = std::mem::take(&mut self.unwritten);
        unwritten.retain(|entry| self.list.contains(entry));
        if unwritten.is_empty() {
            return;
        }
        match self.transact(|tables| tables.insert_revocations(&unwritten)) {
            Ok(()) => {
                tracing::info!(
                    revocations = unwritten.len(),
                    "the store's file has all revocations again"
                );
            }
            Err(cause) => {
                tracing::error!(%cause, revocations = unwritten.len(), "the store cannot write revocations to its file and retries: a restart would lose them");
                self.unwritten = unwritten;
            }
        }
    }

    fn transact(
        &mut self,
        work: impl FnOnce(&mut Tables<'_>) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => opening::open_again(&self.file)?,
        };
        // redb refuses every operation after an error: drop its handle, so that the next transaction opens
        // the file again.
        let queue = commit(&database, work).inspect_err(|_| self.queue.mark_unknown())?;
        self.queue.replace_with(&queue);
        self.database = Some(database);
        Ok(())
    }
}

/// Runs `work` in one transaction and writes it to the disk. Returns the summary of the queue.
fn commit(
    database: &Database,
    work: impl FnOnce(&mut Tables<'_>) -> Result<(), FileError>,
) -> Result<QueueSummary, FileError> {
    let mut transaction = database.begin_write()?;
    // Make the repair after a crash fast, however large the file is.
    transaction.set_quick_repair(true);
    let mut tables = Tables::open(&transaction)?;
    work(&mut tables)?;
    let (changed, queue) = (tables.changed, tables.summary()?);
    drop(tables);
    if changed {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(queue)
}
