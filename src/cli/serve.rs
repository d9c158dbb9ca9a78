//! The command `logout-gateway serve`, which runs the gateway until a signal stops it.

use std::{
    io,
    process::{ExitCode, exit},
    thread,
};

use axum::Router;
use sd_notify::NotifyState;

use super::{USAGE_ERROR, parse_config, signals::Signals};
use crate::{
    clock::Clock,
    config::{self, Config},
    core_dumps, fd_limit,
    gateway::{Gateway, PassedSocketError, PassedSockets, StartError},
    telemetry::{self, Telemetry, traces::Exporter},
};

/// The errors that end `serve` with exit status 1.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("the gateway could not start: {0}")]
    PassedSockets(#[from] PassedSocketError),
    #[error("the gateway could not start: {0}")]
    Start(#[from] StartError),
    #[error("the signal handlers could not be installed: {0}")]
    Signals(#[from] io::Error),
    #[error("a thread of the gateway panicked")]
    Thread,
}

/// Runs the gateway until SIGTERM or SIGINT. The exit status is 2 for an invalid configuration, and 1 if the
/// gateway cannot start or one of its threads panics.
#[must_use]
pub(super) fn run(args: config::Args) -> ExitCode {
    // Forbid core dumps before any secret is read.
    let core_dumps = core_dumps::forbid();
    let Some(mut config) = parse_config(args) else { return ExitCode::from(USAGE_ERROR) };
    let passed = PassedSockets::take();
    let replaced = passed.as_ref().map(|passed| passed.replace_addresses(&mut config.server));
    let exporter = match config.logs.otlp_endpoint.as_ref().map(Exporter::new).transpose() {
        Ok(exporter) => exporter,
        Err(error) => {
            eprintln!("OTEL_EXPORTER_OTLP_ENDPOINT: cannot export traces: {error}");
            return ExitCode::FAILURE;
        }
    };
    let telemetry = telemetry::start(config.logs.format, config.logs.filter.clone(), exporter);
    config.log_start();
    if let Err(cause) = core_dumps {
        tracing::warn!(
            %cause,
            "the gateway cannot forbid core dumps, which would contain secrets and tokens: forbid them with ulimit -c 0"
        );
    }
    let warnings = config.warnings().into_iter().chain(config::unused_proxies(&config));
    let of_sockets =
        passed.iter().flat_map(PassedSockets::warnings).chain(replaced.into_iter().flatten());
    for warning in warnings.chain(of_sockets).chain(fd_limit::raise(&config.limits)) {
        warning.log();
    }
    match passed.map_err(Into::into).and_then(|passed| serve(config, passed, &telemetry)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            tracing::error!(%cause, "the gateway ends because of an error");
            ExitCode::FAILURE
        }
    }
}

/// Runs the gateway, and notifies the service manager when the listeners accept and when they stop. The first signal
/// stops the gateway after open requests have finished; a second signal ends the process at once with status 128 plus
/// the signal's number.
fn serve(config: Config, passed: PassedSockets, telemetry: &Telemetry) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let gateway = Gateway::start_with_sockets(config, Clock::system(), &Router::new(), passed)?;
    let status = format!("listening on {}", gateway.address);
    notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
    let signal = runtime.block_on(async {
        tokio::select! {
            signal = signals.next() => Some(signal),
            () = gateway.failed() => None,
            () = telemetry.report_dropped_lines() => None,
        }
    });
    tracing::info!(signal, "the gateway is shutting down");
    notify(&[NotifyState::Stopping, NotifyState::Status("waiting for requests in flight")]);
    thread::spawn(move || exit(128 + runtime.block_on(signals.next())));
    gateway.stop();
    signal.map(drop).ok_or(ServeError::Thread)
}

/// Notifies the service manager by `sd_notify(3)`. Does nothing if `NOTIFY_SOCKET` is not set.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(cause) = sd_notify::notify(states) {
        tracing::warn!(%cause, "the gateway could not notify the service manager: check NOTIFY_SOCKET");
    }
}
