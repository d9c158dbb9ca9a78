//! Wiring only.

use std::process::ExitCode;

use clap::Parser;
use logout_gateway::config::{self, Config};

/// A thin gateway that ends Supabase sessions, completely and truthfully.
#[derive(Parser)]
#[command(version)]
enum Command {
    /// Serve logouts until a signal to stop.
    Serve(config::Args),
}

fn main() -> ExitCode {
    let Command::Serve(args) = Command::parse();
    match Config::parse(args) {
        Ok(_) => ExitCode::SUCCESS,
        Err(faults) => {
            eprintln!("{faults}");
            ExitCode::from(2)
        }
    }
}
