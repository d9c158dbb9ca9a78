//! Socket activation: the listening sockets that systemd passes to the process (`sd_listen_fds(3)`).
//!
//! 1. The socket named `admin` (`FileDescriptorName=` of the socket unit) is the admin listener. The socket named
//!    `public`, or one of any other name if none is named `public`, is the public listener.
//! 2. A socket that the gateway cannot serve is an error: its clients would wait forever.
//! 3. systemd keeps the sockets open and owns their files, so connections wait while the gateway restarts.

use std::{fs, io, mem, os::unix::fs::PermissionsExt as _};

use listenfd::ListenFd;
use socket2::SockRef;

use crate::{
    config::{ListenAddress, ServerConfig, Warning, is_open_to_all},
    http::server::listener::SharedListener,
};

/// The sockets that systemd has passed in place of the configured addresses.
#[derive(Debug, Default)]
pub(crate) struct PassedSockets {
    pub(super) public: Option<PassedSocket>,
    pub(super) admin: Option<PassedSocket>,
}

/// A listening socket that systemd has passed.
#[derive(Debug)]
pub(super) struct PassedSocket {
    pub(super) address: ListenAddress,
    pub(super) listener: SharedListener,
}

/// Why the gateway cannot serve the sockets that systemd has passed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PassedSocketError {
    #[error("LISTEN_FDS, LISTEN_FDNAMES or LISTEN_PID do not describe the passed sockets: {0}")]
    Variables(io::Error),
    #[error(
        "systemd passed the socket `{name}`, which is neither a listening TCP socket nor a listening unix stream socket \
         with a path: set ListenStream= to a port, an address or a path in the socket unit, and Accept=no"
    )]
    Kind { name: String },
    #[error(
        "systemd passed the socket `{name}`, but another passed socket is the {listener} listener already: pass one \
         socket named `public` and, if needed, one named `admin`"
    )]
    Surplus { name: String, listener: &'static str },
}

impl PassedSockets {
    /// Takes the sockets that the environment describes; none if it describes none for this process. Call this before
    /// the process starts a thread, because it unsets variables.
    pub(crate) fn take() -> Result<Self, PassedSocketError> {
        let descriptors = sd_notify::listen_fds_with_names();
        let descriptors = descriptors.map_err(PassedSocketError::Variables)?;
        let names: Vec<String> = descriptors.map(|(_, name)| name).collect();
        let mut passed = Self::default();
        if names.is_empty() {
            return Ok(passed);
        }
        let has_public = names.iter().any(|name| name == "public");
        let mut sockets = ListenFd::from_env();
        for (index, name) in names.into_iter().enumerate() {
            let (place, listener) = match &*name {
                "admin" => (&mut passed.admin, "admin"),
                _ => (&mut passed.public, "public"),
            };
            let is_unknown = has_public && !["public", "admin"].contains(&&*name);
            if place.is_some() || is_unknown {
                return Err(PassedSocketError::Surplus { name, listener });
            }
            *place = Some(PassedSocket::take(&mut sockets, index, name)?);
        }
        Ok(passed)
    }

    /// Replaces the configured addresses by those of the passed sockets, for the log and for the warnings about weak
    /// settings. Returns a warning for each other address that it replaces: a proxy may still connect there.
    pub(crate) fn replace_addresses(&self, config: &mut ServerConfig) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if let Some(PassedSocket { address, .. }) = &self.public {
            let replaced = mem::replace(&mut config.bind, address.clone());
            warnings.extend(replaced_address("GATEWAY_BIND", &replaced, address));
        }
        if let Some(PassedSocket { address, .. }) = &self.admin {
            let replaced = config.admin_bind.replace(address.clone());
            let warning = |replaced| replaced_address("GATEWAY_ADMIN_BIND", &replaced, address);
            warnings.extend(replaced.and_then(warning));
        }
        warnings
    }

    /// A warning for each unix socket to which every user may connect, as systemd makes them by default.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = Warning> {
        [&self.public, &self.admin].into_iter().flatten().filter_map(|socket| {
            let file = fs::metadata(socket.address.unix()?).ok()?;
            let message = format!(
                "every user of this machine may connect to {}, unless its directory keeps them out: the gateway trusts the \
                 X-Forwarded headers of each process that connects, and the admin listener shows user ids; set \
                 SocketMode=0660 in the socket unit",
                socket.address
            );
            is_open_to_all(file.permissions().mode()).then(|| Warning::new("LISTEN_FDS", message))
        })
    }
}

/// The warning that a passed socket replaces the address of `variable`; `None` if both have the same address.
fn replaced_address(
    variable: &'static str,
    replaced: &ListenAddress,
    passed: &ListenAddress,
) -> Option<Warning> {
    if replaced == passed {
        return None;
    }
    let message = format!(
        "systemd passed a socket with the address {passed}, so the gateway does not listen on {replaced}: let proxies and \
         `logout-gateway health` use the passed one, and set the variable to it; or disable the socket unit"
    );
    Some(Warning::new(variable, message))
}

impl PassedSocket {
    fn take(sockets: &mut ListenFd, index: usize, name: String) -> Result<Self, PassedSocketError> {
        let listener = match sockets.take_tcp_listener(index) {
            Ok(listener) => listener.map(SharedListener::Tcp),
            Err(_) => sockets.take_unix_listener(index).ok().flatten().map(SharedListener::Unix),
        };
        let passed =
            listener.and_then(|listener| Some(Self { address: address(&listener)?, listener }));
        passed.ok_or(PassedSocketError::Kind { name })
    }
}

/// The address of a socket; `None` if the socket does not listen, or has no path. Without a path, no permissions of a
/// file limit who connects.
fn address(listener: &SharedListener) -> Option<ListenAddress> {
    let (socket, address) = match listener {
        SharedListener::Tcp(listener) => {
            (SockRef::from(listener), ListenAddress::Tcp(listener.local_addr().ok()?))
        }
        SharedListener::Unix(listener) => {
            let path = listener.local_addr().ok()?.as_pathname()?.to_owned();
            (SockRef::from(listener), ListenAddress::Unix(path))
        }
    };
    is_listening(&socket).then_some(address)
}

#[cfg(target_os = "linux")]
fn is_listening(socket: &SockRef<'_>) -> bool {
    socket.is_listener().unwrap_or_default()
}

/// Not every system can tell. Only Linux has systemd.
#[cfg(not(target_os = "linux"))]
fn is_listening(_: &SockRef<'_>) -> bool {
    true
}
