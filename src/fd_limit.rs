//! The limit of open files. Each connection takes one file descriptor: a client's, and one to GoTrue.

use crate::config::{Limits, Warning};

/// File descriptors of listeners, runtimes, the log and name resolution.
const OTHERS: usize = 128;

/// Raises the process's soft limit as far as the hard limit allows. Without enough file descriptors idle clients
/// could take all of them, and the gateway could not connect to GoTrue. Returns a warning if the hard limit is too
/// low.
pub(crate) fn raise(limits: &Limits) -> Option<Warning> {
    let needed = (limits.connections + limits.in_flight + OTHERS) as u64;
    let allowed = rlimit::increase_nofile_limit(needed).unwrap_or_default();
    (allowed < needed).then(|| {
        let message = format!(
            "the process may open only {allowed} files and needs {needed} for that many connections: under load \
             it may fail to connect to GoTrue; raise the limit (ulimit -n, LimitNOFILE)"
        );
        Warning::new("GATEWAY_MAX_CONNECTIONS", message)
    })
}
