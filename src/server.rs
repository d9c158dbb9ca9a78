//! One listener's life: accepting, limiting, draining. Several run side by side in one process.
//!
//! 1. Over `GATEWAY_MAX_CONNECTIONS`, counted over all listeners, no connection is served until one
//!    ends.
//! 2. A head may take `GATEWAY_HEADER_TIMEOUT` and `GATEWAY_MAX_HEADER_BYTES`; over that it is 431.
//!    A client that reads nothing of its answer for as long is left.
//! 3. On shutdown nothing new is accepted but what the kernel has let in already. A request that has
//!    come may end; a connection without one is left after [`GRACE`].

use std::{
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
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_io_timeout::TimeoutWriter;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use crate::{app::frame::PeerAddress, config::Limits};

/// The HTTP library's read buffer holds a whole head and the beginning of what follows.
const BESIDE_THE_HEAD: usize = 16 * 1024;
/// A proxy may pass on each of many cookies in a line of its own.
const MOST_HEADERS: usize = 512;
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Long enough to take what waits in the kernel's queue, which closing the listener would reset.
const LAST_CALL: Duration = Duration::from_millis(20);
/// On shutdown, how long a head may still take: browsers and proxies connect before they ask.
pub const GRACE: Duration = Duration::from_secs(1);

/// Serves `app` on `listener` until `shutdown`, then answers with the connections still open.
pub async fn run(
    listener: TcpListener,
    app: Router,
    limits: &Limits,
    connections: Arc<Semaphore>,
    shutdown: CancellationToken,
) -> TaskTracker {
    let server = Server { http: http(limits), patience: limits.header_timeout, app, shutdown };
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
        // hyper's 400 KiB for each connection would be the memory that strangers can take.
        .max_buf_size(limits.header_bytes + BESIDE_THE_HEAD)
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
        let mut connection =
            pin!(self.http.serve_connection(TokioIo::new(Box::pin(stream)), service));
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
