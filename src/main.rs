//! Wiring only: arguments, log, gateway, exit code.

use std::{
    io,
    process::{ExitCode, exit},
    thread,
};

use axum::Router;
use clap::{Parser, Subcommand};
use logout_gateway::{
    check, cli,
    clock::Clock,
    config::{self, Config},
    core_dumps, demo, fd_limit,
    gateway::{Gateway, StartError},
    operator,
    telemetry::{self, Telemetry, traces::Exporter},
};
use tokio::signal::unix::{Signal, SignalKind, signal};

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
    /// List, retry or drop the logouts that GoTrue could not be asked for yet.
    Queue(operator::QueueArgs),
    /// Show the logouts that did not end their session, newest first.
    Failures(operator::FailuresArgs),
    /// Run a GoTrue for tests.
    Mock(cli::mock::Args),
    /// Try it: a GoTrue, the gateway and a page on this machine.
    Demo(demo::Args),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => serve(*args),
        Command::Check(args) => check::run(*args),
        Command::Queue(args) => operator::queue(args),
        Command::Failures(args) => operator::failures(args),
        Command::Mock(args) => cli::mock::run(args),
        Command::Demo(args) => demo::run(&args),
    }
}

fn serve(args: config::Args) -> ExitCode {
    // Before any secret is read.
    let core_dumps = core_dumps::forbid();
    let config = match Config::parse(args) {
        Ok(config) => config,
        Err(faults) => {
            eprintln!("{faults}");
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let exporter = match config.otlp_endpoint.as_ref().map(Exporter::new).transpose() {
        Ok(exporter) => exporter,
        Err(fault) => {
            eprintln!("OTEL_EXPORTER_OTLP_ENDPOINT: no traces can be exported: {fault}");
            return ExitCode::FAILURE;
        }
    };
    let telemetry = telemetry::start(config.log_format, &config.log_filter, exporter);
    config.tell();
    if let Err(cause) = core_dumps {
        tracing::warn!(%cause, "core dumps stay possible, and one would hold secrets: forbid them (ulimit -c 0)");
    }
    let warnings = config.warnings().into_iter().chain(config::unused_proxies());
    for warning in warnings.chain(fd_limit::provide(&config.limits)) {
        warning.log();
    }
    match run(config, &telemetry) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            tracing::error!(%cause, "the gateway has failed");
            ExitCode::FAILURE
        }
    }
}

/// Until SIGTERM or SIGINT; a second one ends the process at once.
fn run(config: Config, telemetry: &Telemetry) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let gateway = Gateway::start(config, Clock::system(), &Router::new())?;
    let signal = runtime.block_on(async {
        tokio::select! {
            signal = signals.next() => Some(signal),
            () = gateway.failed() => None,
            () = telemetry.report_dropped_lines() => None,
        }
    });
    tracing::info!(signal, "shutting down");
    thread::spawn(move || exit(128 + runtime.block_on(signals.next())));
    gateway.stop();
    signal.map(drop).ok_or(Failed::Thread)
}

/// The signals that ask a process to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next one's number.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
        }
    }
}

/// Why `serve` ends with status 1.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("the gateway could not start: {0}")]
    Start(#[from] StartError),
    #[error("no signals can be waited for: {0}")]
    Signals(#[from] io::Error),
    #[error("a thread panicked")]
    Thread,
}
