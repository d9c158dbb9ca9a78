//! `logout-gateway health`: requests `/readyz` of a running gateway, as a health check for containers without a
//! shell.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use reqwest::blocking::Client;

use super::parse_config;
use crate::{
    config::{self, ListenAddress},
    gotrue,
};

const TIMEOUT: Duration = Duration::from_secs(5);

/// Why `health` exits with status 1.
#[derive(Debug, thiserror::Error)]
enum HealthError {
    #[error("GATEWAY_BIND has port 0, which the gateway replaced by a free port: set a port")]
    NoPort,
    #[error("no gateway answers at {address}: {cause}")]
    Unreachable { address: ListenAddress, cause: String },
    #[error("the gateway at {address} is not ready: status {status}")]
    NotReady { address: ListenAddress, status: u16 },
}

/// Requests `/readyz` of the public listener that the configuration names. The exit status is 0 if the answer is
/// 200, else 1.
#[must_use]
pub(super) fn run(args: config::Args) -> ExitCode {
    let Some(config) = parse_config(args) else { return ExitCode::FAILURE };
    match check_readiness(&config.server.bind) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn check_readiness(bind: &ListenAddress) -> Result<(), HealthError> {
    // The gateway's listeners have no TLS, so no certificates are needed: the gateway also runs in an empty root.
    let client = Client::builder().no_proxy().timeout(TIMEOUT).tls_certs_only([]);
    let (address, client, host) = match bind {
        ListenAddress::Tcp(bind) if bind.port() == 0 => return Err(HealthError::NoPort),
        ListenAddress::Tcp(bind) => {
            let address = SocketAddr::new(connectable_ip(bind.ip()), bind.port());
            (address.into(), client, address.to_string())
        }
        ListenAddress::Unix(path) => {
            (bind.clone(), client.unix_socket(path.as_path()), "localhost".to_owned())
        }
    };
    let unreachable = |error: reqwest::Error| HealthError::Unreachable {
        address: address.clone(),
        cause: gotrue::causes(&error),
    };
    let client = client.build().map_err(unreachable)?;
    let answer = client.get(format!("http://{host}/readyz")).send().map_err(unreachable)?;
    match answer.status().as_u16() {
        200 => Ok(()),
        status => Err(HealthError::NotReady { address, status }),
    }
}

/// The address at which a listener that is bound to `ip` can be reached: loopback if it is bound to all
/// addresses.
fn connectable_ip(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}
