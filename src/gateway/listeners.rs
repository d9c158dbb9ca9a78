//! Binds the public and the admin listener, and serves the public one until it is drained.

use std::{io, net::SocketAddr, sync::Arc};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpSocket},
    time::timeout,
};

use super::StartError;
use crate::{
    config::ServerConfig,
    http::{server, state::AppState},
};

/// The most connections that the kernel holds until the gateway accepts them. The kernel reduces the number
/// to `net.core.somaxconn`.
const BACKLOG: u32 = 1024;

/// The bound sockets of both listeners.
pub(super) struct Listeners {
    pub(super) address: SocketAddr,
    /// One socket for each serving thread.
    pub(super) sockets: Vec<TcpSocket>,
    pub(super) admin_address: Option<SocketAddr>,
    pub(super) admin_socket: Option<TcpSocket>,
}

impl Listeners {
    /// Binds the addresses. The sockets do not listen yet, so that clients cannot connect before the gateway
    /// serves.
    ///
    /// # Errors
    /// [`StartError::Bind`] if an address cannot be bound.
    pub(super) fn bind(config: &ServerConfig) -> Result<Self, StartError> {
        let (address, sockets) = bind("GATEWAY_BIND", config.bind, config.threads.get())?;
        let admin =
            config.admin_bind.map(|address| bind("GATEWAY_ADMIN_BIND", address, 1)).transpose()?;
        let (admin_address, admin_sockets) = admin.unzip();
        let admin_socket = admin_sockets.into_iter().flatten().next();
        Ok(Self { address, sockets, admin_address, admin_socket })
    }
}

fn bind(
    variable: &'static str,
    address: SocketAddr,
    count: usize,
) -> Result<(SocketAddr, Vec<TcpSocket>), StartError> {
    server::bind(address, count).map_err(|source| StartError::Bind { variable, address, source })
}

pub(super) fn listen(socket: TcpSocket) -> io::Result<TcpListener> {
    socket.listen(BACKLOG)
}

/// Serves one public listener until the gateway stops. Open connections, and logouts whose client has
/// disconnected, may then finish within `GATEWAY_DRAIN_TIMEOUT`.
pub(super) async fn serve(listener: TcpListener, router: Router, app: Arc<AppState>) {
    let (config, stopping) = (&app.config, app.stopping.clone());
    let connections =
        server::run(listener, router, &config.limits, app.connections.clone(), stopping).await;
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
