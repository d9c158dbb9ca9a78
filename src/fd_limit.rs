//! File descriptors: each connection is one, a client's as well as one to GoTrue.

use crate::config::{Limits, Warning};

/// Listeners, runtimes, the log, name resolution.
const OTHERS: usize = 128;

/// Raises the process's soft limit as far as it needs and the hard one allows: otherwise clients that
/// do nothing could use up every descriptor, and GoTrue could not be called. Answers a warning where
/// that does not suffice.
#[must_use]
pub fn provide(limits: &Limits) -> Option<Warning> {
    let needed = (limits.connections + limits.in_flight + OTHERS) as u64;
    let had = rlimit::increase_nofile_limit(needed).unwrap_or_default();
    (had < needed).then(|| Warning {
        variable: "GATEWAY_MAX_CONNECTIONS",
        weakness: format!(
            "the process may open {had} files and needs {needed} for as many connections: under \
             load GoTrue might not be reached; raise the limit (ulimit -n, LimitNOFILE)"
        )
        .into(),
    })
}
