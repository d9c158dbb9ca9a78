//! Wiring only: arguments, log, gateway, exit code.

use std::process::ExitCode;

use axum::Router;
use clap::{Parser, Subcommand};
use logout_gateway::{
    check,
    clock::Clock,
    config::{self, Config},
    demo,
    gateway::{Gateway, StartError},
    mock, telemetry,
};
use tokio::signal::unix::{SignalKind, signal};

/// Bad configuration, as `clap` itself answers a bad flag.
const BAD_CONFIGURATION: u8 = 2;

/// Ends Supabase sessions, completely and truthfully.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the gateway.
    Serve(Box<config::Args>),
    /// Check the configuration, and whether GoTrue, its key set and the store answer.
    Check(Box<config::Args>),
    /// Run a GoTrue for tests.
    Mock(mock::Args),
    /// Try it: a GoTrue, the gateway and a page on this machine.
    Demo(demo::Args),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => serve(*args),
        Command::Check(args) => check::run(*args),
        Command::Mock(args) => mock::run(args),
        Command::Demo(args) => demo::run(&args),
    }
}

fn serve(args: config::Args) -> ExitCode {
    let config = match Config::parse(args) {
        Ok(config) => config,
        Err(faults) => {
            eprintln!("{faults}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let _log = telemetry::start(config.log_format, &config.log_filter);
    for warning in config.warnings() {
        tracing::warn!(variable = warning.variable, "{}", warning.weakness);
    }
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            tracing::error!(%cause, "the gateway could not start");
            ExitCode::FAILURE
        }
    }
}

/// Until SIGTERM or SIGINT.
fn run(config: Config) -> Result<(), StartError> {
    let signals = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let gateway = Gateway::start(config, Clock::system(), &Router::new())?;
    signals.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        Ok::<_, std::io::Error>(())
    })?;
    tracing::info!("shutting down");
    gateway.stop();
    Ok(())
}
