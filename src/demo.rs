//! `logout-gateway demo`: a GoTrue, the gateway and a page to try them on, in one process.
//!
//! 1. Everything listens on loopback and lives in memory; nothing is left when it ends.
//! 2. A port that is taken is replaced by a free one, and the terminal says so.
//! 3. What the terminal prints works when pasted: the demo user can sign in from the start.
//! 4. The environment does not matter: a `SUPABASE_URL` meant for another gateway changes nothing.

mod banner;
mod page;
mod settings;

use std::{
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use axum::Router;
use gotrue_mock::Mock;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use self::{banner::Announcement, page::Page};
use crate::{
    clock::Clock,
    config::Config,
    gateway::{Gateway, StartError},
    telemetry,
};

const MOCK_PORT: u16 = 9999;

/// A user who is there from the start.
const USER: User = User { email: "demo@example.com", password: "demo-password" };

#[derive(Clone, Copy, Debug, serde::Serialize)]
struct User {
    email: &'static str,
    password: &'static str,
}

/// Try it: a GoTrue that keeps everything in memory, the gateway, and a page for both.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {
    /// Where page and gateway listen, on loopback; a port that is taken is replaced by a free one
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS", value_parser = loopback)]
    bind: SocketAddr,
}

/// The GoTrue behind the page takes orders from anybody who reaches it.
fn loopback(given: &str) -> Result<SocketAddr, String> {
    match given.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(_) => Err("not an address of loopback, such as 127.0.0.1:8080".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Why the demo could not start.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("the demo's GoTrue cannot listen: {0}")]
    Mock(io::Error),
    #[error(transparent)]
    Keys(#[from] gotrue_mock::JwkError),
    #[error(transparent)]
    Settings(#[from] settings::SettingsError),
    #[error(transparent)]
    Page(#[from] axum::http::header::InvalidHeaderValue),
    #[error(transparent)]
    Gateway(#[from] StartError),
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Runs the demo until `SIGTERM` or `SIGINT`. Exit status 1 if it cannot start.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(demo(args.bind)),
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo(bind: SocketAddr) -> Result<(), DemoError> {
    // Before anything is printed: whoever reads the address may end the demo at once.
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mock_address = SocketAddr::from((Ipv4Addr::LOCALHOST, MOCK_PORT));
    let listener = listen(mock_address).await.map_err(DemoError::Mock)?;
    let clock = Clock::system();
    let options = gotrue_mock::Options::default();
    let mock = Mock::new(options, listener.local_addr()?, move || clock.now().into())?;
    mock.create_user(USER.email, USER.password);

    let config = settings::config(bind, mock.url())?;
    let _log = telemetry::start(config.log_format, &config.log_filter, None);
    let page = Page { gotrue: mock.url(), cookie_name: &config.cookies.name, user: USER };
    let pages = page.router()?;
    let gateway = start(&config, &pages)?;
    let banner = Announcement {
        gateway: gateway.address,
        wanted: [(bind, gateway.address), (mock_address, listener.local_addr()?)],
        gotrue: mock.url(),
        user: USER,
    };
    let told = write!(io::stdout(), "{banner}").and_then(|()| io::stdout().flush());
    if told.is_ok() {
        let shutdown = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        gotrue_mock::serve(listener, mock, shutdown).await;
    }
    gateway.stop();
    Ok(told?)
}

/// The gateway at its address or, if that is taken, at a free port.
fn start(config: &Config, pages: &Router) -> Result<Gateway, StartError> {
    let started = Gateway::start(config.clone(), Clock::system(), pages);
    match started {
        Err(StartError::Bind { address, source, .. }) if is_taken(&source) => {
            let bind = SocketAddr::new(address.ip(), 0);
            Gateway::start(Config { bind, ..config.clone() }, Clock::system(), pages)
        }
        started => started,
    }
}

/// The same for GoTrue.
async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if is_taken(&error) => TcpListener::bind(SocketAddr::new(address.ip(), 0)).await,
        bound => bound,
    }
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}
