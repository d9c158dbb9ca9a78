//! Parses the command line and runs the command.

use std::process::ExitCode;

use clap::Parser as _;
use logout_gateway::cli::CommandLine;

fn main() -> ExitCode {
    CommandLine::parse().run()
}
