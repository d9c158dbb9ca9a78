//! Core dumps. A dump holds the process's memory, with its secrets and the users' tokens.

use std::io;

use rlimit::Resource;

/// Sets the soft and the hard limit of core dumps to zero, so that the process can never write one.
///
/// # Errors
/// The error of the system call.
pub(crate) fn forbid() -> io::Result<()> {
    Resource::CORE.set(0, 0)
}
