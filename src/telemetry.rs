//! Log lines, to standard error: text for people, JSON for machines.
//!
//! No token, cookie value, key or e-mail address ever stands in one: secrets have no `Debug`, request
//! heads are not logged, and upstream text is not either.

use std::io::{self, IsTerminal};

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt};

use crate::config::LogFormat;

/// Starts logging for the whole process; once. Lines are written by a thread of their own, so that a
/// reader who stalls stops no request; the last ones are written when the guard is dropped.
pub fn start(format: LogFormat, filter: &str) -> WorkerGuard {
    let filter = EnvFilter::new(filter);
    let (writer, guard) = tracing_appender::non_blocking(io::stderr());
    let lines = fmt::layer().with_writer(writer).with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Text => registry().with(filter).with(lines).init(),
        LogFormat::Json => registry().with(filter).with(lines.json().flatten_event(true)).init(),
    }
    guard
}
