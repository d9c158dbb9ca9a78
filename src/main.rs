//! Parses the command line and runs the command.

use std::process::ExitCode;

use clap::Parser as _;
use logout_gateway::cli::CommandLine;

/// With musl's own allocator, a request takes up to twice the CPU time.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    CommandLine::parse().run()
}
