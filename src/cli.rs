//! The commands of the binary, one file for each, and the code that several commands share.

pub mod check;
pub mod demo;
pub mod failures;
pub mod health;
mod local_gateway;
pub mod mock;
pub mod queue;
pub mod serve;
mod signals;
mod store_args;
mod table;

use crate::config::{self, Config};

/// The exit status for invalid arguments or an invalid configuration. Clap uses the same one.
const USAGE_ERROR: u8 = 2;

/// Parses the configuration. If it is invalid, prints its errors and returns `None`.
fn parse_config(args: config::Args) -> Option<Config> {
    Config::parse(args).inspect_err(|errors| eprintln!("{errors}")).ok()
}
