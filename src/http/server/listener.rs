//! Listeners over TCP and over unix sockets, and the memory that the kernel may hold for each of their connections.

use std::{
    io,
    net::{self, SocketAddr},
    os::unix,
    time::Duration,
};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

use crate::http::client_addr::PeerAddress;

/// The most connections that the kernel holds until the gateway accepts them. The kernel reduces the number
/// to `net.core.somaxconn`.
pub(crate) const BACKLOG: u16 = 1024;
/// `SO_SNDBUF` in bytes. Linux reserves twice as much and counts its own overhead in it (socket(7)). Without
/// this bound the kernel holds up to 4 MiB (`net.ipv4.tcp_wmem`) for a client that does not read. Only `/docs` and
/// `/openapi.json` are larger.
const SEND_BUFFER: usize = 16 * 1024;
/// `SO_RCVBUF` in bytes, also doubled by Linux. Without this bound the kernel holds up to `net.ipv4.tcp_rmem`
/// of requests that a client sends before it reads its first response.
const RECEIVE_BUFFER: usize = 32 * 1024;
const MAX_ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Binds `count` sockets to one address, among which the kernel distributes the connections. Returns the
/// address with the port, which the kernel chose if the given port is 0. Accepted connections inherit the
/// buffer sizes.
///
/// # Errors
/// The address is in use or does not belong to this machine.
pub(crate) fn bind_tcp(
    address: SocketAddr,
    count: usize,
) -> io::Result<(SocketAddr, Vec<TcpSocket>)> {
    // A socket with SO_REUSEPORT would share the port with another process of the same user. So bind once
    // without this option: that fails if the port is in use, and chooses a port for port 0.
    let address = net::TcpListener::bind(address)?.local_addr()?;
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(true)?;
        // Set the buffer sizes before listen(2), because TCP announces its window scale in the handshake.
        bound_buffers(&SockRef::from(&socket))?;
        socket.bind(address)?;
        Ok(socket)
    };
    let sockets = (0..count).map(|_| bound()).collect::<io::Result<_>>()?;
    Ok((address, sockets))
}

/// Bounds the buffers of a TCP listener, from which its connections inherit them.
fn bound_buffers(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)
}

/// An accepted connection. An enum and not a boxed stream, so that a connection over TCP costs no allocation more.
pub(super) type Stream = Either<TcpStream, UnixStream>;

/// A socket that listens already. Several threads may serve it, each by a clone.
#[derive(Debug)]
pub(crate) enum SharedListener {
    Tcp(net::TcpListener),
    Unix(unix::net::UnixListener),
}

impl SharedListener {
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(listener) => listener.try_clone().map(Self::Tcp),
            Self::Unix(listener) => listener.try_clone().map(Self::Unix),
        }
    }
}

/// A listener that one runtime serves.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Listens on a socket of [`bind_tcp`]. Call this within a runtime.
    pub(crate) fn listen(socket: TcpSocket) -> io::Result<Self> {
        socket.listen(BACKLOG.into()).map(Self::Tcp)
    }

    /// Takes a listener, of which other threads may have clones. Call this within a runtime.
    pub(crate) fn of_shared(listener: SharedListener) -> io::Result<Self> {
        match listener {
            SharedListener::Tcp(listener) => {
                bound_buffers(&SockRef::from(&listener))?;
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener).map(Self::Tcp)
            }
            SharedListener::Unix(listener) => {
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener).map(Self::Unix)
            }
        }
    }

    /// Accepts the next connection. After an error, tries again with growing pauses: the connection is already
    /// gone, or the process has no free file descriptor until another connection closes.
    pub(super) async fn accept(&self) -> (Stream, PeerAddress) {
        let mut pause = Duration::from_millis(5);
        loop {
            match self.accept_once().await {
                Ok(accepted) => return accepted,
                Err(cause) => {
                    tracing::warn!(
                        %cause,
                        "the gateway could not accept a connection and tries again; if the process has no file \
                         descriptor left, raise its limit (ulimit -n, LimitNOFILE)"
                    );
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(MAX_ACCEPT_PAUSE);
                }
            }
        }
    }

    async fn accept_once(&self) -> io::Result<(Stream, PeerAddress)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Responses are small and clients wait for each, so collecting octets for larger packets only delays.
                let _ = stream.set_nodelay(true);
                Ok((Either::Left(stream), PeerAddress::Tcp(address)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                // A connection over a unix socket inherits no buffer size. Its receive buffer has no effect: the
                // send buffer of the client bounds the octets of a request (unix(7)).
                let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
                Ok((Either::Right(stream), PeerAddress::Unix))
            }
        }
    }
}
