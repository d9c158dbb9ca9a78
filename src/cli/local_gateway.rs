//! The gateway that `demo` and `mock --gateway` start in front of their mock of GoTrue, in the same process. It does
//! not read the environment, so that a `SUPABASE_URL` set for another gateway does not change it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use axum::Router;
use tokio::net::TcpListener;

use crate::{
    clock::Clock,
    config::{Args, Config, ConfigErrors, ListenAddress},
    gateway::{Gateway, StartError},
};

/// The address of the gateway, unless its port is in use.
pub(super) const GATEWAY_ADDRESS: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// The error of a setting that `serve` does not have or whose value it refuses: a bug of the command.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error("the command uses a setting that does not exist")]
    UnknownSetting,
    #[error("{0}")]
    Values(ConfigErrors),
}

/// The configuration of a gateway for the mock at the URL `gotrue`, with the settings of `others` besides. It has no
/// `GATEWAY_SECRET`, so the gateway makes a random one.
pub(super) fn config(
    bind: SocketAddr,
    gotrue: &str,
    others: &[(&str, &str)],
) -> Result<Config, SettingsError> {
    let bind = bind.to_string();
    let settings = [
        ("SUPABASE_URL", gotrue),
        ("GATEWAY_BIND", &bind),
        ("GATEWAY_ADMIN_BIND", "off"),
        ("GATEWAY_THREADS", "1"),
        // Log only warnings and errors, so that what the command itself prints stays visible.
        ("RUST_LOG", "warn"),
        // Do not delay the end of the command by requests that hang because of a fault of the mock.
        ("GATEWAY_DRAIN_TIMEOUT", "1s"),
    ];
    let args = Args::of_settings(settings.iter().chain(others).copied());
    Config::parse(args.ok_or(SettingsError::UnknownSetting)?).map_err(SettingsError::Values)
}

/// Starts the gateway at the configured address or, if its port is in use, at a free port.
pub(super) fn start(config: &Config, clock: &Clock, pages: &Router) -> Result<Gateway, StartError> {
    match Gateway::start(config.clone(), clock.clone(), pages) {
        Err(StartError::Bind { address: ListenAddress::Tcp(address), source, .. })
            if is_in_use(&source) =>
        {
            let mut config = config.clone();
            config.server.bind = SocketAddr::new(address.ip(), 0).into();
            Gateway::start(config, clock.clone(), pages)
        }
        result => result,
    }
}

/// Listens at `address` or, if its port is in use, at a free port.
pub(super) async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if is_in_use(&error) => {
            TcpListener::bind(SocketAddr::new(address.ip(), 0)).await
        }
        result => result,
    }
}

fn is_in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}
