//! One listener's life: accepting, limiting, draining. Several run side by side in one process.
//!
//! 1. Over `GATEWAY_MAX_CONNECTIONS`, counted over all listeners, no connection is served until one
//!    ends.
//! 2. A head may take `GATEWAY_HEADER_TIMEOUT` and `GATEWAY_MAX_HEADER_BYTES`; over that it is 431.
//! 3. On shutdown nothing new is accepted, and what is under way may end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use crate::{app::frame::PeerAddress, config::Limits};

/// The HTTP library's read buffer holds a whole head and the beginning of what follows.
const BESIDE_THE_HEAD: usize = 16 * 1024;
/// A proxy may pass on each of many cookies in a line of its own.
const MOST_HEADERS: usize = 512;
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Serves `app` on `listener` until `shutdown`, then answers with the connections still open.
pub async fn run(
    listener: TcpListener,
    app: Router,
    limits: &Limits,
    connections: Arc<Semaphore>,
    shutdown: CancellationToken,
) -> TaskTracker {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.header_bytes)
        .max_headers(MOST_HEADERS)
        .max_buf_size(limits.header_bytes + BESIDE_THE_HEAD);
    let open = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = accept(&listener) => accepted,
        };
        // One connection more is accepted than served: that it waits here keeps the others out.
        let permit = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            permit = connections.clone().acquire_owned() => permit,
        };
        let serving = serve(accepted, http.clone(), app.clone(), shutdown.clone());
        open.spawn(async move {
            let _permit = permit;
            serving.await;
        });
    }
    open.close();
    open
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

async fn serve(
    (stream, address): (TcpStream, SocketAddr),
    http: http1::Builder,
    app: Router,
    shutdown: CancellationToken,
) {
    // Small answers, each waited for: nothing to gain by collecting them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(PeerAddress(address));
        app.clone().call(request)
    });
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(cause) = ended {
        tracing::debug!(%cause, client = %address.ip(), "a connection ended early");
    }
}
