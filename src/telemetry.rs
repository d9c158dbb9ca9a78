//! Log lines, to standard error: text for people, JSON for machines.
//!
//! No token, cookie value, key or e-mail address ever stands in one: secrets have no `Debug`, request
//! heads are not logged, and upstream text is not either.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt};

use crate::config::LogFormat;

/// Starts logging for the whole process; once.
pub fn start(format: LogFormat, filter: &str) {
    let filter = EnvFilter::new(filter);
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Text => registry().with(filter).with(lines).init(),
        LogFormat::Json => registry().with(filter).with(lines.json().flatten_event(true)).init(),
    }
}
