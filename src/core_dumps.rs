//! Forbids core dumps, because a dump contains the process's memory with its secrets and the users' tokens.

use std::io;

use rlimit::Resource;

/// Sets the soft and the hard limit of core dumps (`RLIMIT_CORE`) to zero, so that the process can never
/// write a dump.
///
/// # Errors
/// The error of the system call `setrlimit`.
pub(crate) fn forbid() -> io::Result<()> {
    Resource::CORE.set(0, 0)
}
