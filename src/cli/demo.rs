//! The command `logout-gateway demo`, which runs a mock of GoTrue, the gateway and a demo page in one
//! process.
//!
//! 1. The demo listens only on loopback and keeps all data in memory, so that nothing remains when it ends.
//! 2. If a port is in use, the demo uses a free one and prints that.
//! 3. The printed commands can be pasted into a shell at once, because the demo's user exists from the start.
//! 4. The demo ignores the environment, so that a `SUPABASE_URL` set for another gateway does not change it.

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use axum::http::header::InvalidHeaderValue;
use gotrue_mock::Mock;

use super::{
    local_gateway::{self, SettingsError},
    signals::Signals,
};
use crate::{
    clock::Clock,
    demo::{USER, banner::Banner, page::Page},
    gateway::StartError,
    telemetry,
};

const MOCK_PORT: u16 = 9999;

/// Run a mock of GoTrue, the gateway and a demo page on this machine; all data is in memory.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// Loopback address of the page and the gateway; if the port is in use, a free one is used
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS", value_parser = loopback)]
    bind: SocketAddr,
}

/// Parses the value of `--bind`. It must be a loopback address, because any client that reaches the demo's
/// mock of GoTrue can control it.
fn loopback(given: &str) -> Result<SocketAddr, String> {
    match given.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(_) => Err("not an address of loopback, such as 127.0.0.1:8080".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The error of a demo that could not start.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("the demo's mock of GoTrue cannot listen: {0}")]
    Mock(io::Error),
    #[error(transparent)]
    MockStart(#[from] gotrue_mock::StartError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Page(#[from] InvalidHeaderValue),
    #[error(transparent)]
    Gateway(#[from] StartError),
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Runs the demo until SIGTERM or SIGINT. The exit status is 1 if it cannot start.
#[must_use]
pub(super) fn run(args: &DemoArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(demo(args.bind)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo(bind: SocketAddr) -> Result<(), DemoError> {
    // Install the signal handlers before the banner is printed, because its reader may then press Ctrl-C at
    // once.
    let mut signals = Signals::new()?;
    let mock_address = SocketAddr::from((Ipv4Addr::LOCALHOST, MOCK_PORT));
    let listener = local_gateway::listen(mock_address).await.map_err(DemoError::Mock)?;
    let clock = Clock::system();
    let options = gotrue_mock::Options::default();
    let mock = Mock::new(options, listener.local_addr()?, move || clock.now().into())?;
    mock.create_user(USER.email, USER.password);

    let config = local_gateway::config(bind, mock.url(), &[])?;
    let _log = telemetry::start(config.logs.format, config.logs.filter.clone(), None);
    let page = Page { gotrue: mock.url(), cookie_name: &config.cookies.name, user: USER };
    let gateway = local_gateway::start(&config, &Clock::system(), &page.router()?)?;
    let gateway_address = gateway.address.tcp().unwrap_or(bind);
    let banner = Banner {
        gateway: gateway_address,
        addresses: [(bind, gateway_address), (mock_address, listener.local_addr()?)],
        gotrue: mock.url(),
        user: USER,
    };
    let printed = write!(io::stdout(), "{banner}").and_then(|()| io::stdout().flush());
    if printed.is_ok() {
        gotrue_mock::serve(listener, mock, async {
            signals.next().await;
        })
        .await;
    }
    gateway.stop();
    Ok(printed?)
}
