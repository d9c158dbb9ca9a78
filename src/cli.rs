//! The commands of the binary, one file each, and what several of them need.

pub mod check;
pub mod demo;
pub mod failures;
pub mod mock;
pub mod queue;
pub mod serve;
mod signals;
mod store_args;
mod table;

/// The exit status for bad arguments and bad configuration, the same as clap's.
const USAGE_ERROR: u8 = 2;
