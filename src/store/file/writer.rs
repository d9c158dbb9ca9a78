//! The one thread that touches the file.
//!
//! 1. What has gathered is done in one transaction, and everybody is answered once that is on the
//!    disk: one wait for the disk serves many logouts.
//! 2. A transaction that fails, fails for all that was in it, and the file is opened anew.
//! 3. Lines of the revocation list are tried again until they are written: whoever asked has been told,
//!    and this process refuses their tokens meanwhile.
//! 4. A logout waits for it no longer than [`TIMEOUT`].

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

/// How much is done in one transaction, at most.
const MAX_BATCH: usize = 1024;
/// How long a logout waits for the disk, and the end of the process.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long lines wait that could not be written.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Something to be done in a transaction.
trait Job: Send {
    fn work(&mut self, tables: &mut Tables<'_>) -> Result<(), FileError>;

    /// Tells whoever asked; answers the lines that must be tried again.
    fn answer(self: Box<Self>, result: Result<(), &str>) -> Vec<RevocationEntry>;
}

struct PendingJob<T, W> {
    work: Option<W>,
    done: Option<T>,
    /// Lines to be tried again if it fails.
    lines: Vec<RevocationEntry>,
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
        let Self { done, lines, answer, .. } = *self;
        match (result, done) {
            // Whoever asked may be gone.
            (Ok(()), Some(done)) => drop(answer.send(Ok(done))),
            (Ok(()), None) => {}
            (Err(cause), _) => {
                drop(answer.send(Err(cause.to_owned())));
                return lines;
            }
        }
        Vec::new()
    }
}

/// The thread's other end. Dropping it lets the thread finish what was asked, close the file and end.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    /// Disconnected by the thread's end; for whoever must not wait for more than that.
    closed: Mutex<Receiver<()>>,
    /// Somebody waited in vain, and the thread has finished nothing since.
    hangs: Arc<AtomicBool>,
    /// Cancelled by the thread's end.
    pub(super) ended: CancellationToken,
}

/// What the thread found, and keeps up to date.
pub(super) struct Loaded {
    pub(super) list: Arc<RevocationList>,
    pub(super) queue: Arc<QueueSummary>,
}

impl Writer {
    /// Opens the file.
    pub(super) async fn start(path: PathBuf) -> Result<(Self, Loaded), OpenStoreError> {
        let (jobs, asked) = mpsc::channel();
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
                    WriterThread { file, database, list, queue, unwritten, hangs }.run(&asked);
                }
            }
        });
        let thread = thread.map_err(|cause: io::Error| OpenStoreError(cause.to_string()))?;
        let writer =
            Self { jobs: Some(jobs), thread: Some(thread), closed: closed.into(), hangs, ended };
        // The library trusts checksums, which somebody may have forged.
        let found = found.await.map_err(|_| opening::damaged(&path))??;
        Ok((writer, found))
    }

    /// Has `work` done. If that fails, `lines` are entered as soon as that succeeds.
    pub(super) async fn transact<T: Send + 'static>(
        &self,
        lines: Vec<RevocationEntry>,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, String> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(PendingJob { work: Some(work), done: None, lines, answer });
        let asked = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        let gone = || Err("nobody writes the file any more".to_owned());
        if asked { answered.await.unwrap_or_else(|_| gone()) } else { gone() }
    }

    /// The same for a logout, which a disk that hangs does not hold up. What failed so may be written
    /// later all the same.
    pub(super) async fn transact_within_timeout<T: Send + 'static>(
        &self,
        lines: Vec<RevocationEntry>,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, String> {
        let hangs = || Err("the disk does not answer in time".to_owned());
        // What nobody waits for any more shall not use up the memory. Lines are few bytes, and due.
        if lines.is_empty() && self.hangs.load(Ordering::Relaxed) {
            return hangs();
        }
        timeout(TIMEOUT, self.transact(lines, work)).await.unwrap_or_else(|_| {
            self.hangs.store(true, Ordering::Relaxed);
            hangs()
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs.take();
        let Some(thread) = self.thread.take() else { return };
        // A disk that hangs does not keep the process from ending, either.
        let closed = self.closed.get_mut().unwrap_or_else(PoisonError::into_inner);
        if closed.recv_timeout(TIMEOUT) == Err(RecvTimeoutError::Disconnected) {
            // If it panicked, it has said so.
            let _ = thread.join();
        } else {
            tracing::error!("the store's file could not be closed in time");
        }
    }
}

/// What the thread works with.
struct WriterThread {
    file: PathBuf,
    /// None after a failure.
    database: Option<Database>,
    list: Arc<RevocationList>,
    queue: Arc<QueueSummary>,
    /// Lines that are in memory alone.
    unwritten: Vec<RevocationEntry>,
    hangs: Arc<AtomicBool>,
}

impl WriterThread {
    fn run(mut self, asked: &Receiver<Box<dyn Job>>) {
        let mut retry_at = Instant::now();
        loop {
            let next = if self.unwritten.is_empty() {
                retry_at = Instant::now() + RETRY_INTERVAL;
                asked.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                asked.recv_timeout(retry_at.saturating_duration_since(Instant::now()))
            };
            match next {
                Ok(first) => {
                    let gathered = iter::once(first).chain(asked.try_iter());
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
            tracing::error!(%cause, "the store's file was not closed well");
        }
    }

    fn run_batch(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let fate = self.transact(|tables| jobs.iter_mut().try_for_each(|job| job.work(tables)));
        let fate = fate.map_err(|fault| fault.to_string());
        self.hangs.store(false, Ordering::Relaxed);
        for job in jobs {
            let lines = job.answer(fate.as_ref().copied().map_err(String::as_str));
            self.unwritten.extend(lines);
        }
    }

    /// Once more what could not be written and is not forgotten since.
    fn retry_unwritten(&mut self) {
        let mut lines = std::mem::take(&mut self.unwritten);
        lines.retain(|line| self.list.contains(line));
        if lines.is_empty() {
            return;
        }
        match self.transact(|tables| tables.insert_revocations(&lines)) {
            Ok(()) => {
                tracing::info!(lines = lines.len(), "the revocation list is on the disk again");
            }
            Err(cause) => {
                tracing::error!(%cause, lines = lines.len(), "the revocation list is not on the disk");
                self.unwritten = lines;
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
        // After a failure the library refuses everything: what it holds is dropped.
        let queue = commit(&database, work).inspect_err(|_| self.queue.mark_unknown())?;
        self.queue.replace_with(&queue);
        self.database = Some(database);
        Ok(())
    }
}

/// Does it in one transaction that is on the disk when this returns; answers how the queue is then.
fn commit(
    database: &Database,
    work: impl FnOnce(&mut Tables<'_>) -> Result<(), FileError>,
) -> Result<QueueSummary, FileError> {
    let mut transaction = database.begin_write()?;
    // Opening it again after a failure takes no longer for a long list.
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
