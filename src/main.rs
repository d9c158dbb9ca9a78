//! Wiring only.

use std::process::ExitCode;

use clap::Parser;
use logout_gateway::mock;

/// Ends Supabase sessions, completely and truthfully.
#[derive(Parser)]
#[command(version)]
enum Command {
    /// Run a GoTrue for tests
    Mock(mock::Args),
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::Mock(args) => mock::run(args),
    }
}
