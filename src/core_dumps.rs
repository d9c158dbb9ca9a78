//! Core dumps: a file with all of the process's memory, its secrets and its users' tokens included.

use std::io;

use rlimit::Resource;

/// Forbids them to this process for as long as it runs: the hard limit is lowered too.
///
/// # Errors
/// The system's reason.
pub fn forbid() -> io::Result<()> {
    Resource::CORE.set(0, 0)
}
