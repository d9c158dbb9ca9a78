//! Parses the command line and runs the command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use logout_gateway::{Args, cli};

/// Ends Supabase sessions, completely and truthfully.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the gateway.
    Serve(Box<Args>),
    /// Check the configuration, and whether GoTrue, its key set and the store answer.
    Check(Box<Args>),
    /// Ask the running gateway whether it is ready: the exit status is 0 or 1.
    Health(Box<Args>),
    /// List, retry or drop the queued logouts, which GoTrue has not confirmed yet.
    Queue(cli::queue::QueueArgs),
    /// Show the logouts that did not end their session, newest first.
    Failures(cli::failures::FailuresArgs),
    /// Run a mock of GoTrue for tests.
    Mock(Box<cli::mock::MockArgs>),
    /// Run a mock of GoTrue, the gateway and a demo page on this machine.
    Demo(cli::demo::DemoArgs),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => cli::serve::run(*args),
        Command::Check(args) => cli::check::run(*args),
        Command::Health(args) => cli::health::run(*args),
        Command::Queue(args) => cli::queue::run(args),
        Command::Failures(args) => cli::failures::run(args),
        Command::Mock(args) => cli::mock::run(&args),
        Command::Demo(args) => cli::demo::run(&args),
    }
}
