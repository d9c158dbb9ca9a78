//! Serves connections of HTTP/2 with prior knowledge, by which Cloud Run and Envoy connect to the servers behind
//! them.
//!
//! 1. A head may have `GATEWAY_MAX_HEADER_BYTES` bytes; a request with a larger one is answered 431. A connection
//!    carries at most [`MAX_STREAMS`] requests at once, so it may hold that many heads in memory.
//! 2. A connection without a request in flight is closed after `GATEWAY_HEADER_TIMEOUT`.
//! 3. At shutdown, requests in flight are served to their end.

use std::{convert::Infallible, time::Duration};

use axum::{body::Body, extract::Request, response::Response};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::GRACE;
use crate::{config::Limits, http::client_addr::PeerAddress};

/// The most requests in flight on one connection. Proxies open another connection for more.
const MAX_STREAMS: u32 = 32;
/// The flow-control window of a request, for a body, which may have 8 KiB.
const STREAM_WINDOW: u32 = 16 * 1024;
/// The flow-control window of all requests on a connection together.
const CONNECTION_WINDOW: u32 = 64 * 1024;
/// The most octets of a response that wait in memory for the client. Only `/docs` and `/openapi.json` are larger.
const MAX_SEND_BUFFER: usize = 16 * 1024;
/// The most streams that the client may reset before the gateway serves them, and the most that may break a rule.
/// With more of them, the connection is closed (CVE-2023-44487, CVE-2025-8671).
const MAX_RESET_STREAMS: usize = 20;

/// hyper's limits. Each is set, even to its default, because the gateway's resistance to attacks depends on it.
pub(super) fn builder(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_RESET_STREAMS)
        // Send pings, so that the connection ends if the client has vanished while a request is in flight.
        .keep_alive_interval(limits.header_timeout)
        .keep_alive_timeout(limits.header_timeout)
        .auto_date_header(true);
    http
}

/// Serves a connection until it ends, is idle for `idle_timeout`, or the gateway stops.
pub(super) async fn serve(
    http: &http2::Builder<TokioExecutor>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    app: impl Service<Request, Response = Response, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static,
    peer: PeerAddress,
    idle_timeout: Duration,
    shutdown: &CancellationToken,
) -> hyper::Result<()> {
    let (in_flight, mut in_flight_count) = watch::channel(0_usize);
    let service = service_fn(move |request: Request<Incoming>| {
        let guard = InFlight::begin(in_flight.clone());
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        let response = app.clone().call(request);
        async move {
            let response = response.await;
            drop(guard);
            response
        }
    });
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = idle(in_flight_count.clone(), idle_timeout) => {}
        () = shutdown.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    loop {
        let last_response = async {
            let _ = in_flight_count.wait_for(|in_flight| *in_flight == 0).await;
        };
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = last_response => {}
        }
        // Let the client receive the last response and confirm that it opens no more streams. A request that it
        // sent before it received GOAWAY may still arrive, and is served.
        if let Ok(ended) = timeout(GRACE, connection.as_mut()).await {
            return ended;
        }
        if *in_flight_count.borrow_and_update() == 0 {
            return Ok(());
        }
    }
}

/// Waits until no request has been in flight for `idle_timeout`.
async fn idle(mut in_flight: watch::Receiver<usize>, idle_timeout: Duration) {
    loop {
        let _ = in_flight.wait_for(|in_flight| *in_flight == 0).await;
        in_flight.mark_unchanged();
        tokio::select! {
            _ = in_flight.changed() => {}
            () = sleep(idle_timeout) => return,
        }
    }
}

/// Counts a request as in flight until this value is dropped.
struct InFlight(watch::Sender<usize>);

impl InFlight {
    fn begin(count: watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::{Router, routing::get};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;
    use crate::config::tests::parse;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    /// HEADERS of stream 1 with `GET /` at the host `a`, by the static table of HPACK (RFC 7541, appendix A).
    const REQUEST: &[u8] = &[0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, b'a'];
    const HEADERS: u8 = 1;
    const GOAWAY: u8 = 7;

    /// Reads frames (RFC 9113, section 4.1) up to the first of this type. Returns whether there is one.
    async fn receives_frame(client: &mut DuplexStream, frame_type: u8) -> bool {
        let mut head = [0; 9];
        while client.read_exact(&mut head).await.is_ok() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            client.read_exact(&mut payload).await.unwrap();
            if head[3] == frame_type {
                return true;
            }
        }
        false
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_was_sent_before_goaway_arrived_is_served_however_long_it_takes() {
        let slow = get(|| async { sleep(5 * GRACE).await });
        let app = Router::new().route("/", slow);
        let (http, shutdown) = (builder(&parse(&[]).limits), CancellationToken::new());
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let peer = PeerAddress::Tcp((Ipv4Addr::LOCALHOST, 1).into());
        let idle_timeout = Duration::from_mins(1);
        let serving = serve(&http, server, app, peer, idle_timeout, &shutdown);
        let client_side = async {
            client.write_all(&[PREFACE, SETTINGS].concat()).await.unwrap();
            shutdown.cancel();
            assert!(receives_frame(&mut client, GOAWAY).await, "the gateway ends the connection");
            client.write_all(REQUEST).await.unwrap();
            assert!(receives_frame(&mut client, HEADERS).await, "the request is answered");
        };
        let (_, ()) = tokio::join!(serving, client_side);
    }
}
