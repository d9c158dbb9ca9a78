//! Raises the limit of open files. Each connection from a client and each connection to GoTrue takes one file
//! descriptor.

use crate::config::{Limits, Warning};

/// File descriptors reserved for listeners, runtimes, the store, the log and name resolution.
const RESERVED: usize = 128;

/// Raises the process's soft limit of open files to the number that `limits` needs, or as far as the hard
/// limit allows, and returns a warning if the hard limit is too low. With too few file descriptors, idle
/// clients could take all of them, and the gateway could not connect to GoTrue.
pub(crate) fn raise(limits: &Limits) -> Option<Warning> {
    let needed = (limits.connections + limits.in_flight + RESERVED) as u64;
    let allowed = rlimit::increase_nofile_limit(needed).unwrap_or_default();
    (allowed < needed).then(|| {
        let message = format!(
            "the process may open only {allowed} files and needs {needed} for that many connections: under load \
             it may fail to connect to GoTrue; raise the limit (ulimit -n, LimitNOFILE)"
        );
        Warning::new("GATEWAY_MAX_CONNECTIONS", message)
    })
}
