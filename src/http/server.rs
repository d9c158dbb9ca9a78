//! Serves one listener by HTTP/1.1, and by HTTP/2 with prior knowledge: accepts, limits and drains connections. Several
//! listeners run in one process.
//!
//! 1. At `GATEWAY_MAX_CONNECTIONS`, counted over all listeners, the next connection waits until another ends.
//! 2. A client may take `GATEWAY_HEADER_TIMEOUT` to send a request head of at most
//!    `GATEWAY_MAX_HEADER_BYTES`; a larger head is answered with 431. If a client reads nothing of its
//!    response for that time, the connection is closed.
//! 3. For each connection the kernel holds a bounded part of a response and of a request (module `listener`).
//!    `docs/sizing.md` computes the memory of a process from these bounds.
//! 4. If a request has more octets than a head and a body may have, the connection is closed (module
//!    `request_octets`).
//! 5. At shutdown the listener accepts only connections that the kernel has already completed. A request that
//!    has begun is served to its end. A connection without a request is closed after [`GRACE`].

mod http2;
pub(crate) mod listener;
mod protocol;
mod request_octets;

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{body::Body, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutWriter;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use self::{
    listener::{Listener, Stream},
    protocol::{Protocol, Rewound},
    request_octets::BoundedRequests,
};
use crate::{
    config::Limits,
    http::{client_addr::PeerAddress, router::Routes},
};

/// The most header lines of a request: some proxies send each cookie in a line of its own.
const MAX_HEADERS: usize = 512;
/// How long the listener still accepts connections at shutdown: long enough for those in the kernel's queue,
/// which closing the listener would reset.
const LAST_ACCEPTS: Duration = Duration::from_millis(20);
/// How long a connection may still wait for its first request at shutdown: browsers and proxies connect before
/// they send a request.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// Serves `app` on `listener` until `shutdown`. Returns the tracker of the connections that are still open
/// then.
pub(crate) async fn run(
    listener: Listener,
    app: Routes,
    limits: &Limits,
    connections: Arc<Semaphore>,
    shutdown: CancellationToken,
) -> TaskTracker {
    let server = Arc::new(Server {
        http1: http1(limits),
        http2: http2::builder(limits),
        client_timeout: limits.header_timeout,
        max_head_octets: limits.header_bytes,
        app,
        shutdown,
    });
    let open = TaskTracker::new();
    {
        let mut accepting = pin!(async {
            loop {
                let accepted = listener.accept().await;
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

/// The settings and the routes that all connections of a listener share.
struct Server {
    http1: http1::Builder,
    http2: hyper::server::conn::http2::Builder<TokioExecutor>,
    /// How long a client may send nothing of its request, or read nothing of its response.
    client_timeout: Duration,
    max_head_octets: usize,
    app: Routes,
    shutdown: CancellationToken,
}

impl Server {
    async fn serve(&self, (stream, peer): (Stream, PeerAddress)) {
        // hyper itself would wait for ever for a client that does not read.
        let mut stream = TimeoutWriter::new(stream);
        stream.set_timeout(Some(self.client_timeout));
        let stream = Box::pin(stream);
        let detected = tokio::select! {
            detected = timeout(self.client_timeout, protocol::detect(stream)) => detected,
            () = async { self.shutdown.cancelled().await; sleep(GRACE).await; } => return,
        };
        let ended = match detected {
            Ok(Ok(Some((Protocol::Http1, stream)))) => self.serve_http1(stream, peer).await,
            Ok(Ok(Some((Protocol::Http2, stream)))) => {
                let Self { http2, app, client_timeout, shutdown, .. } = self;
                let serving =
                    http2::serve(http2, stream, app.clone(), peer, *client_timeout, shutdown);
                // Boxed, so that a connection of HTTP/1.1 does not hold memory for this larger future.
                Box::pin(serving).await
            }
            Ok(Err(cause)) => {
                tracing::debug!(%cause, client = %peer.ip(), "a connection broke before its first request");
                return;
            }
            // The client has closed the connection, or has sent too little in time.
            Ok(Ok(None)) | Err(_) => return,
        };
        if let Err(cause) = ended {
            tracing::debug!(%cause, client = %peer.ip(), "a connection broke before its response was complete");
        }
    }

    async fn serve_http1<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: Rewound<S>,
        peer: PeerAddress,
    ) -> hyper::Result<()> {
        let stream = BoundedRequests::new(stream, self.max_head_octets);
        let has_request = Arc::new(AtomicBool::new(false));
        let service = {
            let (app, has_request) = (self.app.clone(), has_request.clone());
            service_fn(move |request: Request<Incoming>| {
                has_request.store(true, Ordering::Relaxed);
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(peer);
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
