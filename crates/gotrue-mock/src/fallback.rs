//! Passes the requests that are not for the mock on to another server, such as `PostgREST` or Storage, so that an
//! application finds its whole project at one URL, as behind the API gateway of Supabase.
//!
//! 1. Paths under `/auth/v1` and `/mock`, and `/` itself, belong to the mock.
//! 2. Method, path, query, headers and body are passed on as they are, without the headers of one connection (RFC 9110,
//!    section 7.6.1), and with the `Host` of the target. Bodies are streamed, whatever their length.
//! 3. A server that cannot be reached is a 502 with `{"message":"…"}`.
//! 4. The API gateway of Supabase answers for every path with CORS headers that allow any origin. So does the mock
//!    where the target has no CORS headers of its own: a page could not read the answer otherwise. It leaves those of
//!    the target alone, because a browser refuses two values of `Access-Control-Allow-Origin`.
//! 5. The call log has these requests without their bodies, which may be large.
//! 6. A WebSocket cannot be passed on, because the mock takes its connections back from hyper to apply faults to them:
//!    the answer is 501.
//! 7. Every request has a connection of its own. A connection that the target closes while a request is on its way
//!    would be an error that comes and goes.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use axum::{
    Json,
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, Version,
        header::{
            ACCESS_CONTROL_ALLOW_ORIGIN, CONNECTION, HOST, ORIGIN, TE, TRANSFER_ENCODING, UPGRADE,
        },
    },
    response::{IntoResponse, Response},
};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{net::TcpStream, time::timeout};
use url::{Position, Url};

use crate::cors;

/// The longest time to connect to the target. Its answer may take any time, because it may be a stream.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The headers of one connection, besides those that `Connection` names.
const CONNECTION_HEADERS: [HeaderName; 6] = [
    CONNECTION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// The server to which other requests go.
#[derive(Clone, Debug)]
pub(crate) struct Fallback {
    /// The path of the base URL without a slash at its end. The path of a request is appended to it.
    base_path: String,
    /// Scheme, host and port of the base URL, for messages.
    origin: String,
    /// Host and port, to which the mock connects.
    address: String,
    /// The value of `Host`, which has the port only if it is not 80.
    host: HeaderValue,
}

/// Why the target has not answered.
#[derive(Debug, thiserror::Error)]
enum FallbackError {
    #[error("no connection")]
    Connect(#[source] io::Error),
    #[error("no HTTP response")]
    Http(#[from] hyper::Error),
}

impl Fallback {
    /// Requests go to `base`, a URL of `http` with a host.
    pub(crate) fn new(base: &Url) -> Self {
        let host = &base[Position::BeforeHost..Position::AfterPort];
        Self {
            base_path: base.path().trim_end_matches('/').to_owned(),
            origin: base.origin().ascii_serialization(),
            address: if base.port().is_some() { host.to_owned() } else { format!("{host}:80") },
            // The host of a URL is ASCII, so it is a valid value.
            host: HeaderValue::try_from(host).unwrap_or(HeaderValue::from_static("")),
        }
    }

    /// Whether a request for this path is passed on.
    pub(crate) fn is_for(path: &str) -> bool {
        let is_under = |prefix| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        path != "/" && !is_under("/auth/v1") && !is_under("/mock")
    }

    /// Passes a request on, and its answer back.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response {
        let has_origin = request.headers().contains_key(ORIGIN);
        let preflight = cors::fallback_preflight(&request);
        let mut response = self.forward(request).await;
        if has_origin && !response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
            if let Some(preflight) = preflight {
                return preflight;
            }
            cors::add_fallback_headers(response.headers_mut());
        }
        response
    }

    async fn forward(&self, mut request: Request<Incoming>) -> Response {
        if is_websocket(request.headers()) {
            let message = "the mock does not pass WebSockets on to the fallback server";
            return message_response(StatusCode::NOT_IMPLEMENTED, message);
        }
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let Ok(uri) = Uri::try_from(format!("{}{target}", self.base_path)) else {
            return message_response(StatusCode::BAD_REQUEST, "the path is not valid in a URL");
        };
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_11;
        remove_connection_headers(request.headers_mut());
        request.headers_mut().insert(HOST, self.host.clone());
        match self.send(request).await {
            Ok(response) => {
                let mut response = response.map(Body::new);
                remove_connection_headers(response.headers_mut());
                response
            }
            Err(error) => {
                let (origin, causes) = (&self.origin, causes(&error));
                // The client gets its response although the line cannot be written.
                let _ = writeln!(
                    io::stderr(),
                    "the fallback server at {origin} did not answer: {causes}; check its URL"
                );
                let message = "the fallback server did not answer";
                message_response(StatusCode::BAD_GATEWAY, message)
            }
        }
    }

    async fn send(&self, request: Request<Incoming>) -> Result<Response<Incoming>, FallbackError> {
        let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.address)).await;
        let stream = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let stream = stream.map_err(FallbackError::Connect)?;
        // `TCP_NODELAY` only saves latency: ignore an error.
        let _ = stream.set_nodelay(true);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // The connection lives until the response has been read. Its errors are those of the request and of the body.
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?)
    }
}

/// The error and the errors that caused it.
fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn message_response(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

fn is_websocket(headers: &HeaderMap) -> bool {
    headers
        .get(UPGRADE)
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn remove_connection_headers(headers: &mut HeaderMap) {
    let named: Vec<_> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|names| names.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse::<HeaderName>().ok())
        .collect();
    for name in named.iter().chain(&CONNECTION_HEADERS) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_of_the_mock_are_not_passed_on() {
        for path in ["/", "/auth/v1", "/auth/v1/", "/auth/v1/user", "/mock", "/mock/reset"] {
            assert!(!Fallback::is_for(path), "{path}");
        }
        for path in ["/rest/v1/todos", "/auth/v10", "/auth", "/mocks", "//", "/index.html"] {
            assert!(Fallback::is_for(path), "{path}");
        }
    }

    #[test]
    fn the_host_of_the_target_has_its_port_unless_that_is_80() {
        for (base, host, address) in [
            ("http://example.com/rest/", "example.com", "example.com:80"),
            ("http://127.0.0.1:54321", "127.0.0.1:54321", "127.0.0.1:54321"),
            ("http://[::1]:54321", "[::1]:54321", "[::1]:54321"),
        ] {
            let fallback = Fallback::new(&base.parse().unwrap());
            assert_eq!((&*fallback.address, fallback.host.to_str().unwrap()), (address, host));
        }
    }
}
