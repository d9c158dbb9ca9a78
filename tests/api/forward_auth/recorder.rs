//! A server that records the requests that it receives and gives the same response to all. It stands for the
//! API behind the proxy, or for the gateway.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering::SeqCst},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::ConnectInfo,
    http::{HeaderName, Response, request::Parts},
    response::IntoResponse as _,
};
use tokio::net::TcpListener;

use crate::harness::BackgroundThread;

/// A request that the server received.
#[derive(Clone, Debug)]
pub(super) struct ReceivedRequest {
    /// The address from which the request's connection came.
    pub(super) peer: SocketAddr,
    parts: Parts,
    pub(super) body: Vec<u8>,
}

impl ReceivedRequest {
    /// The method and the target, such as `GET /things?a=b`.
    pub(super) fn line(&self) -> String {
        format!("{} {}", self.parts.method, self.parts.uri)
    }

    /// The target without its query.
    pub(super) fn path(&self) -> &str {
        self.parts.uri.path()
    }

    /// The values of all header lines with this name.
    pub(super) fn header_values(&self, name: &str) -> Vec<&str> {
        let values = self.parts.headers.get_all(name).iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }

    /// The cookies of all `Cookie` headers, each as `name=value`.
    pub(super) fn cookies(&self) -> Vec<&str> {
        let pairs = self.header_values("cookie").into_iter().flat_map(|value| value.split(';'));
        pairs.map(str::trim).filter(|pair| !pair.is_empty()).collect()
    }

    /// Whether the request has a session cookie of the project.
    pub(super) fn has_session_cookie(&self) -> bool {
        self.cookies().iter().any(|pair| pair.starts_with("sb-127-auth-token"))
    }

    /// The names of the request's headers that a CGI program cannot distinguish from `name`.
    pub(super) fn names_like(&self, name: &str) -> Vec<&str> {
        let alike = |other: &&str| other.replace('_', "-") == name;
        self.parts.headers.keys().map(HeaderName::as_str).filter(alike).collect()
    }
}

/// A running server, which stops when this is dropped.
pub(super) struct Recorder {
    pub(super) address: SocketAddr,
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
    status: Arc<AtomicU16>,
    _running: BackgroundThread,
}

impl Recorder {
    /// Starts a server that responds to every request with this status, these header lines and this body.
    pub(super) fn start(status: u16, lines: &[(&str, &str)], body: &'static str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let (address, requests) = (listener.local_addr().unwrap(), Arc::default());
        let status = Arc::new(AtomicU16::new(status));
        let lines: Vec<(String, String)> =
            lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let shared: (Arc<Mutex<Vec<ReceivedRequest>>>, _) = (Arc::clone(&requests), status.clone());
        let respond = move |ConnectInfo(peer), parts: Parts, octets: Bytes| async move {
            shared.0.lock().unwrap().push(ReceivedRequest { peer, parts, body: octets.to_vec() });
            let builder = Response::builder().status(shared.1.load(SeqCst));
            let builder = lines.iter().fold(builder, |b, (name, value)| b.header(name, value));
            builder.body(Body::from(body)).unwrap().into_response()
        };
        let running = BackgroundThread::spawn(move || async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let router = Router::new().fallback(respond);
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, service).await.unwrap();
        });
        Self { address, requests, status, _running: running }
    }

    /// Starts a server that stands for an application's API and responds to every request with 200.
    pub(super) fn api() -> Self {
        Self::start(200, &[("X-From", "api")], "from the API")
    }

    /// Makes the server respond with this status from now on.
    pub(super) fn set_status(&self, status: u16) {
        self.status.store(status, SeqCst);
    }

    /// The number of requests that the server has received.
    pub(super) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// The request that the server received last.
    #[track_caller]
    pub(super) fn last(&self) -> ReceivedRequest {
        self.requests.lock().unwrap().last().unwrap().clone()
    }
}
