//! One listener's life: accepting, limiting, draining. Several run side by side in one process.
//!
//! 1. Over `GATEWAY_MAX_CONNECTIONS`, counted over all listeners, no connection is served until one
//!    ends.
//! 2. A head may take `GATEWAY_HEADER_TIMEOUT` and `GATEWAY_MAX_HEADER_BYTES`; over that it is 431.
//!    A client that reads nothing of its answer for as long is left.
//! 3. The kernel holds at most `SEND_BUFFER` of an answer and `RECEIVE_BUFFER` of a request for each
//!    connection. `docs/operations.md` has the memory that follows for a whole process.
//! 4. A connection ends by a request of more octets than its head and a body may have, whatever they
//!    are (module `bounded`).
//! 5. On shutdown nothing new is accepted but what the kernel has let in already. A request that has
//!    come may end; a connection without one is left after [`GRACE`].

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
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_io_timeout::TimeoutWriter;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use self::request_octets::Bounded;
use crate::{config::Limits, http::client_addr::PeerAddress};

/// `SO_SNDBUF` in bytes. Linux reserves twice as much and counts its own overhead in it (socket(7)).
/// Without it a client that does not read makes the kernel hold up to `net.ipv4.tcp_wmem`, 4 MiB.
/// Answers but those of `/docs` are smaller.
const SEND_BUFFER: u32 = 16 * 1024;
/// `SO_RCVBUF` in bytes, doubled likewise. Without it the kernel holds up to `net.ipv4.tcp_rmem` of
/// requests that a client sends before it reads the answer to the first.
const RECEIVE_BUFFER: u32 = 32 * 1024;
/// A proxy may pass on each of many cookies in a line of its own.
const MOST_HEADERS: usize = 512;
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Long enough to take what waits in the kernel's queue, which closing the listener would reset.
const LAST_CALL: Duration = Duration::from_millis(20);
/// On shutdown, how long a head may still take: browsers and proxies connect before they ask.
pub const GRACE: Duration = Duration::from_secs(1);

/// Binds `count` sockets to one address, among which the kernel distributes connections. Answers the
/// address with the port that was chosen for port 0. Accepted connections inherit the buffer sizes.
///
/// # Errors
/// The address is taken or does not belong to this machine.
pub fn bind(address: SocketAddr, count: usize) -> io::Result<(SocketAddr, Vec<TcpSocket>)> {
    // Sockets with SO_REUSEPORT share the port with any process of this user. A bind without it fails if
    // the port is taken, and chooses one for port 0.
    let address = std::net::TcpListener::bind(address)?.local_addr()?;
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(true)?;
        // Before listen(2): TCP announces its window scale in the handshake.
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.bind(address)?;
        Ok(socket)
    };
    let sockets = (0..count).map(|_| bound()).collect::<io::Result<_>>()?;
    Ok((address, sockets))
}

/// Serves `app` on `listener` until `shutdown`, then answers with the connections still open.
pub async fn run(
    listener: TcpListener,
    app: Router,
    limits: &Limits,
    connections: Arc<Semaphore>,
    shutdown: CancellationToken,
) -> TaskTracker {
    let server = Server {
        http: http(limits),
        patience: limits.header_timeout,
        head_octets: limits.header_bytes,
        app,
        shutdown,
    };
    let open = TaskTracker::new();
    {
        let mut accepting = pin!(async {
            loop {
                let accepted = accept(&listener).await;
                // One connection more is accepted than served: that it waits here keeps the others out.
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
        let _ = timeout(LAST_CALL, accepting).await;
    }
    open.close();
    open
}

/// hyper's own limits, each set although some are its defaults: what they are decides who can hurt.
fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // Without it a head may take for ever; idle connections end by it, too.
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.header_bytes)
        // hyper allows 100.
        .max_headers(MOST_HEADERS)
        // hyper's default is 400 KiB for each connection. A whole head fits in: a larger buffer would
        // only hold pipelined requests, which can wait in the kernel.
        .max_buf_size(limits.header_bytes)
        // Who has nothing more to say still wants the answer: hyper would take it for a hang-up.
        .half_close(true)
        // A head with a space before its colon is read differently by others: refused.
        .ignore_invalid_headers(false)
        .keep_alive(true)
        .auto_date_header(true);
    http
}

/// The next connection. Errors are those of a connection that is gone already, or of a process out
/// of file descriptors: the latter pass when one of ours closes, so it pauses, longer each time.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut pause = Duration::from_millis(5);
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(cause) => {
                tracing::warn!(%cause, "a connection could not be accepted");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// What each connection of one listener is served with.
#[derive(Clone)]
struct Server {
    http: http1::Builder,
    /// How long a client may read nothing.
    patience: Duration,
    head_octets: usize,
    app: Router,
    shutdown: CancellationToken,
}

impl Server {
    async fn serve(self, (stream, address): (TcpStream, SocketAddr)) {
        // Small answers, each waited for: nothing to gain by collecting them.
        let _ = stream.set_nodelay(true);
        // hyper waits for ever for a client that does not read.
        let mut stream = TimeoutWriter::new(stream);
        stream.set_timeout(Some(self.patience));
        let stream = Bounded::new(Box::pin(stream), self.head_octets);
        let asked = Arc::new(AtomicBool::new(false));
        let service = {
            let (app, asked) = (self.app, asked.clone());
            service_fn(move |request: Request<Incoming>| {
                asked.store(true, Ordering::Relaxed);
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(PeerAddress(address));
                app.clone().call(request)
            })
        };
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.shutdown.cancelled() => {
                let has_asked = || asked.load(Ordering::Relaxed);
                // hyper would close at once a connection whose first head has not come yet.
                if !has_asked() && let Ok(ended) = timeout(GRACE, connection.as_mut()).await {
                    ended
                } else if has_asked() {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                } else {
                    return;
                }
            }
        };
        if let Err(cause) = ended {
            tracing::debug!(%cause, client = %address.ip(), "a connection ended early");
        }
    }
}
