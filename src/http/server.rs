//! Serves one listener by HTTP/1.1, and by HTTP/2 with prior knowledge: accepts, limits and drains connections. Several
//! listeners run in one process.
//!
//! 1. At `GATEWAY_MAX_CONNECTIONS`, counted over all listeners, the next connection waits until another ends.
//! 2. A client may take `GATEWAY_HEADER_TIMEOUT` to send a request head of at most
//!    `GATEWAY_MAX_HEADER_BYTES`; a larger head is answered with 431. If a client reads nothing of its
//!    response for that time, the connection is closed.
//! 3. For each connection the kernel holds at most `SEND_BUFFER` of a response and `RECEIVE_BUFFER` of a
//!    request. `docs/sizing.md` computes the memory of a process from these.
//! 4. If a request has more octets than a head and a body may have, the connection is closed (module
//!    `request_octets`).
//! 5. At shutdown the listener accepts only connections that the kernel has already completed. A request that
//!    has begun is served to its end. A connection without a request is closed after [`GRACE`].

mod http2;
mod protocol;
mod request_octets;

use std::{
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutWriter;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use self::{
    protocol::{Protocol, Rewound},
    request_octets::BoundedRequests,
};
use crate::{config::Limits, http::client_addr::PeerAddress};

/// `SO_SNDBUF` in bytes. Linux reserves twice as much and counts its own overhead in it (socket(7)). Without
/// this bound the kernel holds up to 4 MiB (`net.ipv4.tcp_wmem`) for a client that does not read. All responses
/// but those of `/docs` are smaller.
const SEND_BUFFER: u32 = 16 * 1024;
/// `SO_RCVBUF` in bytes, also doubled by Linux. Without this bound the kernel holds up to `net.ipv4.tcp_rmem`
/// of requests that a client sends before it reads its first response.
const RECEIVE_BUFFER: u32 = 32 * 1024;
/// The most header lines of a request: some proxies send each cookie in a line of its own.
const MAX_HEADERS: usize = 512;
const MAX_ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// How long the listener still accepts connections at shutdown: long enough for those in the kernel's queue,
/// which closing the listener would reset.
const LAST_ACCEPTS: Duration = Duration::from_millis(20);
/// How long a connection may still wait for its first request at shutdown: browsers and proxies connect before
/// they send a request.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// Binds `count` sockets to one address, among which the kernel distributes the connections. Returns the
/// address with the port, which the kernel chose if the given port is 0. Accepted connections inherit the
/// buffer sizes.
///
/// # Errors
/// The address is in use or does not belong to this machine.
pub(crate) fn bind(address: SocketAddr, count: usize) -> io::Result<(SocketAddr, Vec<TcpSocket>)> {
    // A socket with SO_REUSEPORT would share the port with another process of the same user. So bind once
    // without this option: that fails if the port is in use, and chooses a port for port 0.
    let address = std::net::TcpListener::bind(address)?.local_addr()?;
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(true)?;
        // Set the buffer sizes before listen(2), because TCP announces its window scale in the handshake.
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.bind(address)?;
        Ok(socket)
    };
    let sockets = (0..count).map(|_| bound()).collect::<io::Result<_>>()?;
    Ok((address, sockets))
}

/// Serves `app` on `listener` until `shutdown`. Returns the tracker of the connections that are still open
/// then.
pub(crate) async fn run(
    listener: TcpListener,
    app: Router,
    limits: &Limits,
    connections: Arc<Semaphore>,
    shutdown: CancellationToken,
) -> TaskTracker {
    let server = Server {
        http1: http1(limits),
        http2: http2::builder(limits),
        client_timeout: limits.header_timeout,
        max_head_octets: limits.header_bytes,
        app,
        shutdown,
    };
    let open = TaskTracker::new();
    {
        let mut accepting = pin!(async {
            loop {
                let accepted = accept(&listener).await;
                // Accept at most one connection beyond the limit. It waits here for a permit, so the kernel
                // queues the rest.
                let Ok(permit) = connections.clone().acquire_owned().await else { return };
                let server = server.clone();
                open.spawn(async move {
                    let _permit = permit;
                    server.serve(accepted).await;
                });
            }
        });
        tokio::select! {
            biased;
            () = server.shutdown.cancelled() => {}
            () = &mut accepting => {}
        }
        let _ = timeout(LAST_ACCEPTS, accepting).await;
    }
    open.close();
    open
}

/// hyper's limits. Each is set, even to its default, because the gateway's resistance to attacks depends on
/// it.
fn http1(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // Without this timeout a client could take for ever to send a head. It also ends idle connections.
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.header_bytes)
        // hyper's default is 100.
        .max_headers(MAX_HEADERS)
        // hyper's default is 400 KiB for each connection. A whole head fits in this buffer; a larger one would
        // only hold pipelined requests, which can wait in the kernel.
        .max_buf_size(limits.header_bytes)
        // A client may close its sending side and still read the response: hyper would abort the request.
        .half_close(true)
        // Proxies disagree about a header name with a space before its colon: such a head is refused.
        .ignore_invalid_headers(false)
        .keep_alive(true)
        .auto_date_header(true);
    http
}

/// Accepts the next connection. After an error, tries again with growing pauses: the connection is already
/// gone, or the process has no free file descriptor until another connection closes.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut pause = Duration::from_millis(5);
    loop {
        match listener.accept().await {
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

/// The settings and the router that each connection of a listener needs.
#[derive(Clone)]
struct Server {
    http1: http1::Builder,
    http2: hyper::server::conn::http2::Builder<TokioExecutor>,
    /// How long a client may send nothing of its request, or read nothing of its response.
    client_timeout: Duration,
    max_head_octets: usize,
    app: Router,
    shutdown: CancellationToken,
}

impl Server {
    async fn serve(self, (stream, address): (TcpStream, SocketAddr)) {
        // Responses are small and clients wait for each, so collecting octets for larger packets only delays.
        let _ = stream.set_nodelay(true);
        // hyper itself would wait for ever for a client that does not read.
        let mut stream = TimeoutWriter::new(stream);
        stream.set_timeout(Some(self.client_timeout));
        let stream = Box::pin(stream);
        let detected = tokio::select! {
            detected = timeout(self.client_timeout, protocol::detect(stream)) => detected,
            () = async { self.shutdown.cancelled().await; sleep(GRACE).await; } => return,
        };
        let ended = match detected {
            Ok(Ok(Some((Protocol::Http1, stream)))) => {
                self.serve_http1(stream, PeerAddress(address)).await
            }
            Ok(Ok(Some((Protocol::Http2, stream)))) => {
                let Self { http2, app, client_timeout, shutdown, .. } = self;
                let peer = PeerAddress(address);
                http2::serve(&http2, stream, app, peer, client_timeout, &shutdown).await
            }
            Ok(Err(cause)) => {
                tracing::debug!(%cause, client = %address.ip(), "a connection broke before its first request");
                return;
            }
            // The client has closed the connection, or has sent too little in time.
            Ok(Ok(None)) | Err(_) => return,
        };
        if let Err(cause) = ended {
            tracing::debug!(%cause, client = %address.ip(), "a connection broke before its response was complete");
        }
    }

    async fn serve_http1<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        stream: Rewound<S>,
        address: PeerAddress,
    ) -> hyper::Result<()> {
        let stream = BoundedRequests::new(stream, self.max_head_octets);
        let has_request = Arc::new(AtomicBool::new(false));
        let service = {
            let (app, has_request) = (self.app, has_request.clone());
            service_fn(move |request: Request<Incoming>| {
                has_request.store(true, Ordering::Relaxed);
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(address);
                app.clone().call(request)
            })
        };
        let mut connection = pin!(self.http1.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.shutdown.cancelled() => {
                let has_request = || has_request.load(Ordering::Relaxed);
                // A graceful shutdown by hyper closes a connection without a request at once, so first give
                // the client time to send its request.
                if !has_request() && let Ok(ended) = timeout(GRACE, connection.as_mut()).await {
                    ended
                } else if has_request() {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                } else {
                    Ok(())
                }
            }
        }
    }
}
