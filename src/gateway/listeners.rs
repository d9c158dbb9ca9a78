//! Binds the public and the admin listener, and serves the public one until it is drained.

mod socket_file;

use std::{io, sync::Arc};

use tokio::{net::TcpSocket, time::timeout};

pub(super) use self::socket_file::SocketFile;
use super::{
    StartError,
    passed_sockets::{PassedSocket, PassedSockets},
};
use crate::{
    config::{ListenAddress, ServerConfig, SocketMode},
    http::{
        router::Routes,
        server::{
            self,
            listener::{Listener, SharedListener, bind_tcp},
        },
        state::AppState,
    },
};

/// The sockets of the public and the admin listener.
pub(super) struct Listeners {
    pub(super) public: BoundListener,
    pub(super) admin: Option<BoundListener>,
}

/// The sockets of one listener.
pub(super) struct BoundListener {
    pub(super) address: ListenAddress,
    /// One socket for each thread that serves the listener.
    pub(super) sockets: Vec<BoundSocket>,
    /// The file of a unix socket that the gateway has made itself.
    pub(super) file: Option<SocketFile>,
}

/// The socket of one thread.
pub(super) enum BoundSocket {
    /// A socket that does not listen yet, so that clients cannot connect before the gateway serves.
    Own(TcpSocket),
    /// A socket that listens already. Other threads may serve clones of it.
    Shared(SharedListener),
}

impl Listeners {
    /// Binds the addresses. A socket that systemd has passed replaces the address of its listener.
    ///
    /// # Errors
    /// [`StartError::Bind`] if an address cannot be bound.
    pub(super) fn bind(config: &ServerConfig, passed: PassedSockets) -> Result<Self, StartError> {
        let (threads, mode) = (config.threads.get(), config.socket_mode);
        let public = match passed.public {
            Some(socket) => BoundListener::of_passed("GATEWAY_BIND", socket, threads)?,
            None => BoundListener::bind("GATEWAY_BIND", &config.bind, threads, mode)?,
        };
        let admin = match (passed.admin, &config.admin_bind) {
            (Some(socket), _) => Some(BoundListener::of_passed("GATEWAY_ADMIN_BIND", socket, 1)?),
            (None, Some(address)) => {
                Some(BoundListener::bind("GATEWAY_ADMIN_BIND", address, 1, mode)?)
            }
            (None, None) => None,
        };
        Ok(Self { public, admin })
    }
}

impl BoundListener {
    fn bind(
        variable: &'static str,
        address: &ListenAddress,
        count: usize,
        mode: SocketMode,
    ) -> Result<Self, StartError> {
        let bound = match address {
            ListenAddress::Tcp(address) => bind_tcp(*address, count).map(|(address, sockets)| {
                let sockets = sockets.into_iter().map(BoundSocket::Own).collect();
                Self { address: address.into(), sockets, file: None }
            }),
            ListenAddress::Unix(path) => {
                SocketFile::listen(path, mode).and_then(|(file, listener)| {
                    let sockets = clones(&SharedListener::Unix(listener), count)?;
                    Ok(Self { address: address.clone(), sockets, file: Some(file) })
                })
            }
        };
        let address = address.clone();
        bound.map_err(|source| StartError::Bind { variable, address, source })
    }

    fn of_passed(
        variable: &'static str,
        PassedSocket { address, listener }: PassedSocket,
        count: usize,
    ) -> Result<Self, StartError> {
        match clones(&listener, count) {
            Ok(sockets) => Ok(Self { address, sockets, file: None }),
            Err(source) => Err(StartError::Bind { variable, address, source }),
        }
    }
}

fn clones(listener: &SharedListener, count: usize) -> io::Result<Vec<BoundSocket>> {
    (0..count).map(|_| listener.try_clone().map(BoundSocket::Shared)).collect()
}

impl BoundSocket {
    /// Listens. Call this within the runtime that serves the listener.
    pub(super) fn listen(self) -> io::Result<Listener> {
        match self {
            Self::Own(socket) => Listener::listen(socket),
            Self::Shared(listener) => Listener::of_shared(listener),
        }
    }
}

/// Serves one public listener until the gateway stops. Open connections, and logouts whose client has
/// disconnected, may then finish within `GATEWAY_DRAIN_TIMEOUT`.
pub(super) async fn serve(listener: Listener, routes: Routes, app: Arc<AppState>) {
    let (config, stopping) = (&app.config, app.stopping.clone());
    let connections =
        server::run(listener, routes, &config.limits, app.connections.clone(), stopping).await;
    let drained = timeout(config.server.drain_timeout, async {
        connections.wait().await;
        app.logouts.close();
        app.logouts.wait().await;
    });
    if drained.await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            logouts = app.logouts.len(),
            "the drain timeout passed: open connections and logouts are aborted; raise GATEWAY_DRAIN_TIMEOUT if GoTrue \
             needs more time"
        );
    }
}
