//! Log lines, to standard error: text for people, JSON for machines.
//!
//! No token, cookie value, key or e-mail address ever stands in one: secrets have no `Debug`, request
//! heads are not logged, and upstream text is not either.

pub mod metrics;

use std::{
    io::{self, IsTerminal},
    panic::{self, PanicHookInfo},
    thread,
};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt};

use crate::config::LogFormat;

/// Lines that wait for a reader who stalls; further ones are dropped. The library keeps 128,000, some
/// 50 MB.
const LINES_WAITING: usize = 8192;

/// Starts logging for the whole process, panics included; once. Lines are written by a thread of their own, so that a
/// reader who stalls stops no request; the last ones are written when the guard is dropped.
pub fn start(format: LogFormat, filter: &str) -> WorkerGuard {
    let filter = EnvFilter::new(filter);
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LINES_WAITING)
        .finish(io::stderr());
    let lines = fmt::layer().with_writer(writer).with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Text => registry().with(filter).with(lines).init(),
        LogFormat::Json => registry().with(filter).with(lines.json().flatten_event(true)).init(),
    }
    panic::set_hook(Box::new(log_panic));
    guard
}

/// One line for a panic: where, and its text if that is a literal. A text that was put together at
/// run time may quote the request, as that of a string cut between two bytes of a character does.
pub fn log_panic(panic: &PanicHookInfo<'_>) {
    let text = panic.payload().downcast_ref::<&'static str>().unwrap_or(&"not told");
    tracing::error!(
        location = panic.location().map(tracing::field::display),
        thread = thread::current().name(),
        text,
        "panicked"
    );
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Seek as _},
        sync::Arc,
    };

    use super::*;

    /// What is logged of a panic.
    fn logged(work: impl FnOnce() + panic::UnwindSafe) -> String {
        let mut file = tempfile::tempfile().unwrap();
        let lines = fmt::layer().json().with_writer(Arc::new(file.try_clone().unwrap()));
        let before = panic::take_hook();
        // Other tests may fail meanwhile, and want to be told of.
        panic::set_hook(Box::new(move |panic| {
            log_panic(panic);
            before(panic);
        }));
        tracing::subscriber::with_default(registry().with(lines), || {
            assert!(panic::catch_unwind(work).is_err());
        });
        file.rewind().unwrap();
        let mut log = String::new();
        file.read_to_string(&mut log).unwrap();
        log
    }

    #[test]
    #[expect(clippy::string_slice, reason = "what is tested")]
    fn a_panic_is_one_line_that_quotes_nothing() {
        let log = logged(|| panic!("a literal"));
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains(r#""text":"a literal""#) && log.contains(file!()), "{log}");

        let token = "eyJhbGciOiJFUzI1NiJ9.ä";
        let log = logged(|| drop(token[..token.len() - 1].to_owned()));
        assert!(!log.contains("eyJhbGci"), "{log}");
        assert!(log.contains(r#""text":"not told""#) && log.contains(file!()), "{log}");
    }
}
