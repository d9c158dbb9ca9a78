//! Three bounded buffers for log lines: audit lines of sessions, audit lines of refusals, and all other
//! lines. Each has a thread that writes its lines to standard error.
//!
//! 1. A full buffer drops only its own new lines. So a flood of refused logouts cannot displace the audit
//!    line of a logout or a warning, and a flood of warnings cannot displace the line about a token that is
//!    used after its logout.
//! 2. Lines are never mixed: a thread holds the lock of standard error until it has written whole lines.
//! 3. Logging never blocks a request: if the program that reads standard error stalls and the buffer is full,
//!    the line is dropped and counted.

use std::{
    io::{self, ErrorKind, Write},
    thread,
    time::Duration,
};

use tracing::Metadata;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;

/// Name of the events about sessions whose token the gateway has verified, even if it has expired: the audit
/// lines of their logouts, and the warnings of `/api/auth/verify` about a token that is used after its
/// logout.
pub(crate) const AUDIT_OF_SESSIONS: &str = "audit of sessions";
/// Name of the events about refused logouts, logouts with a token that the gateway could not verify, and
/// repeated logouts.
pub(crate) const AUDIT_OF_REFUSALS: &str = "audit of refusals";

/// The number of lines that a buffer holds. The default of `tracing-appender`, 128,000, can take some 50 MB.
const BUFFERED_LINES: usize = 8192;
/// The number of audit lines of refusals that their buffer holds: ten seconds of them, because at most 100
/// are logged each second.
const BUFFERED_REFUSALS: usize = 1024;
/// How long a writing thread waits for more lines after it has written all of them. This is the longest delay
/// of a line.
const GATHER: Duration = Duration::from_millis(5);
/// The number of bytes after which the gathered lines are written.
const CHUNK: usize = 32 * 1024;
/// The pause after each chunk, in which another thread can lock standard error. Without a pause one thread
/// could hold the lock for long, because the mutex is not fair.
const YIELD: Duration = Duration::from_millis(1);

/// Puts each event into a buffer, which it chooses by the event's name.
#[derive(Clone, Debug)]
pub(super) struct LogBuffers {
    sessions: NonBlocking,
    refusals: NonBlocking,
    other: NonBlocking,
}

/// The number of lines that each buffer has dropped since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DroppedLines {
    pub(super) sessions: usize,
    pub(super) refusals: usize,
    pub(super) other: usize,
}

/// Counts the dropped lines. Dropping this value writes the lines that are still in the buffers.
#[derive(Debug)]
pub(super) struct BufferGuards {
    sessions: (ErrorCounter, WorkerGuard),
    refusals: (ErrorCounter, WorkerGuard),
    other: (ErrorCounter, WorkerGuard),
}

impl LogBuffers {
    /// Starts the threads that write the buffers to standard error.
    pub(super) fn start() -> (Self, BufferGuards) {
        Self::start_with_writer(write_to_stderr)
    }

    fn start_with_writer(write: WriteLines) -> (Self, BufferGuards) {
        let (sessions, sessions_guard) = buffer(BUFFERED_LINES, write);
        let (refusals, refusals_guard) = buffer(BUFFERED_REFUSALS, write);
        let (other, other_guard) = buffer(BUFFERED_LINES, write);
        let guards = BufferGuards {
            sessions: (sessions.error_counter(), sessions_guard),
            refusals: (refusals.error_counter(), refusals_guard),
            other: (other.error_counter(), other_guard),
        };
        (Self { sessions, refusals, other }, guards)
    }
}

impl MakeWriter<'_> for LogBuffers {
    type Writer = NonBlocking;

    fn make_writer(&self) -> NonBlocking {
        self.other.clone()
    }

    fn make_writer_for(&self, event: &Metadata<'_>) -> NonBlocking {
        let buffer = match event.name() {
            AUDIT_OF_SESSIONS => &self.sessions,
            AUDIT_OF_REFUSALS => &self.refusals,
            _ => &self.other,
        };
        buffer.clone()
    }
}

impl BufferGuards {
    pub(super) fn dropped(&self) -> DroppedLines {
        DroppedLines {
            sessions: self.sessions.0.dropped_lines(),
            refusals: self.refusals.0.dropped_lines(),
            other: self.other.0.dropped_lines(),
        }
    }
}

impl DroppedLines {
    pub(super) fn total(self) -> usize {
        self.sessions + self.refusals + self.other
    }
}

fn buffer(lines: usize, write: WriteLines) -> (NonBlocking, WorkerGuard) {
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(lines);
    builder.finish(ChunkWriter { lines: Vec::with_capacity(CHUNK), write })
}

/// A function that writes all bytes of whole lines, or returns an error.
type WriteLines = fn(&[u8]) -> io::Result<()>;

/// Gathers whole lines and writes them with one call, because waking the thread for each line would cost more
/// than writing it.
struct ChunkWriter {
    lines: Vec<u8>,
    write: WriteLines,
}

impl ChunkWriter {
    /// Writes the gathered lines. If writing fails, the lines are lost.
    fn write_lines(&mut self) -> io::Result<()> {
        let written = (self.write)(&self.lines);
        self.lines.clear();
        written
    }
}

impl Write for ChunkWriter {
    /// `tracing-appender` passes one whole line with each call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.extend_from_slice(line);
        if self.lines.len() >= CHUNK {
            self.write_lines()?;
            thread::park_timeout(YIELD);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_lines()?;
        thread::park_timeout(GATHER);
        Ok(())
    }
}

/// Writes all of `lines` while it holds the lock of standard error. Standard error may be a pipe that another
/// process made non-blocking. If such a pipe is full, the function waits, so that no line is written only in
/// part.
fn write_to_stderr(mut lines: &[u8]) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    while !lines.is_empty() {
        match stderr.write(lines) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(length) => lines = lines.get(length..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::park_timeout(YIELD),
            Err(error) => return Err(error),
        }
    }
    stderr.flush()
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use tracing::{dispatcher, level_filters::LevelFilter};
    use tracing_subscriber::filter::Targets;

    use super::{super::subscriber, *};
    use crate::config::LogFormat;

    static READER: Mutex<()> = Mutex::new(());
    static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

    fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks while the test holds `READER`, as a full pipe blocks while its reader is stalled.
    #[expect(clippy::unnecessary_wraps, reason = "the signature of WriteLines")]
    fn write_when_read(lines: &[u8]) -> io::Result<()> {
        let _reading = locked(&READER);
        locked(&WRITTEN).extend_from_slice(lines);
        Ok(())
    }

    #[test]
    fn a_full_buffer_drops_its_own_lines_and_no_others() {
        let (buffers, guards) = LogBuffers::start_with_writer(write_when_read);
        let log = subscriber(
            buffers,
            LogFormat::Json,
            Targets::new().with_default(LevelFilter::INFO),
            None,
        );
        let stalled = locked(&READER);
        dispatcher::with_default(&log, || {
            for _ in 0..2 * BUFFERED_LINES {
                tracing::warn!("another line");
                tracing::info!(name: AUDIT_OF_REFUSALS, target: "audit", "a refusal");
            }
            for _ in 0..100 {
                tracing::info!(name: AUDIT_OF_SESSIONS, target: "audit", "a logout");
            }
        });
        let dropped = guards.dropped();
        assert_eq!(dropped.sessions, 0, "{dropped:?}");
        assert!(dropped.refusals >= 2 * BUFFERED_LINES - BUFFERED_REFUSALS - 1000, "{dropped:?}");
        assert!(dropped.other > BUFFERED_LINES / 2, "{dropped:?}");
        assert_eq!(dropped.total(), dropped.refusals + dropped.other);
        drop(stalled);
        drop((log, guards));
        let written = String::from_utf8(locked(&WRITTEN).clone()).unwrap();
        let mut logouts = 0;
        for line in written.lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect("a whole line");
            logouts += usize::from(line["message"] == "a logout");
        }
        assert_eq!(logouts, 100);
        let all = 4 * BUFFERED_LINES + 100;
        assert_eq!(written.lines().count() + dropped.total(), all);
    }
}
