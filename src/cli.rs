//! The command line: its commands, one file for each, and the code that several commands share.

mod check;
mod demo;
mod failures;
mod health;
mod local_gateway;
mod mock;
mod queue;
mod serve;
mod signals;
mod store_args;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, Args, Config};

/// The exit status for invalid arguments or an invalid configuration. Clap uses the same one.
const USAGE_ERROR: u8 = 2;

/// Ends Supabase sessions, completely and truthfully.
#[derive(Parser)]
#[command(name = "logout-gateway", version = env!("GATEWAY_VERSION"))]
pub struct CommandLine {
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
    Queue(queue::QueueArgs),
    /// Show the logouts that did not end their session, newest first.
    Failures(failures::FailuresArgs),
    /// Run a mock of GoTrue for tests.
    Mock(Box<mock::MockArgs>),
    /// Run a mock of GoTrue, the gateway and a demo page on this machine.
    Demo(demo::DemoArgs),
}

impl CommandLine {
    /// Runs the command and returns the process's exit status.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Serve(args) => serve::run(*args),
            Command::Check(args) => check::run(*args),
            Command::Health(args) => health::run(*args),
            Command::Queue(args) => queue::run(args),
            Command::Failures(args) => failures::run(args),
            Command::Mock(args) => mock::run(&args),
            Command::Demo(args) => demo::run(&args),
        }
    }
}

/// Parses the configuration. If it is invalid, prints its errors and returns `None`.
fn parse_config(args: config::Args) -> Option<Config> {
    Config::parse(args).inspect_err(|errors| eprintln!("{errors}")).ok()
}
