//! What stands around every request and response: the request id, the security headers and the error
//! envelope.
//!
//! Source of the headers: OWASP Secure Headers Project; `Vary` because answers differ by who asks.

use std::{
    net::SocketAddr,
    sync::{Arc, Once},
};

use axum::{
    Json,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use super::{
    App, X_REQUEST_ID,
    peer::{self, FORWARDED_FOR, FORWARDED_PROTO, Peer},
};
use crate::{
    error::Error,
    gotrue::OnBehalfOf,
    routes::logout::PATHS,
    telemetry::traces::{self, TraceContext},
};

/// Browsers' have some 200 octets. A longer one is not passed on: a client must not be able to make the
/// request to GoTrue larger than a proxy in between takes.
const MOST_USER_AGENT_LENGTH: usize = 1024;

/// Two years, as browsers' preload lists ask for.
const STRICT_TRANSPORT_SECURITY: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// Nothing may be loaded, nobody may frame it; a page brings its own policy.
const CONTENT_SECURITY_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

const ALWAYS: [(HeaderName, HeaderValue); 6] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::PRAGMA, HeaderValue::from_static("no-cache")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::VARY, HeaderValue::from_static("Origin, Sec-Fetch-Site")),
];

/// The address at the other end of the connection; the server puts it on every request.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub SocketAddr);

/// One request, as its handlers and its log line know it.
#[derive(Debug)]
pub struct Call {
    /// The caller's id if it is a decent one, else made here.
    pub request_id: HeaderValue,
    /// Who is on the other end.
    pub peer: Peer,
    /// The trace that the caller is part of.
    pub trace: TraceContext,
    /// Whether it has the one `Host` that HTTP/1.1 asks for.
    pub host_is_named: bool,
}

impl Call {
    /// What GoTrue is told about the client.
    #[must_use]
    pub fn on_behalf_of(&self, headers: &HeaderMap) -> OnBehalfOf {
        let client = self.peer.client.to_string();
        OnBehalfOf {
            request_id: self.request_id.clone(),
            forwarded_for: HeaderValue::try_from(client)
                .unwrap_or(HeaderValue::from_static("unknown")),
            user_agent: headers
                .get(header::USER_AGENT)
                .filter(|agent| agent.len() <= MOST_USER_AGENT_LENGTH)
                .cloned(),
            trace: self.trace.clone(),
        }
    }

    /// The id as text; it is visible ASCII by construction.
    #[must_use]
    pub fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }
}

/// Said once: a proxy that nobody told the gateway about, or a client that plays one.
static UNTRUSTED_PROXY: Once = Once::new();

fn warn_of_untrusted_proxy(headers: &HeaderMap, address: SocketAddr) {
    if headers.contains_key(FORWARDED_PROTO) || headers.contains_key(FORWARDED_FOR) {
        UNTRUSTED_PROXY.call_once(|| {
            tracing::warn!(
                variable = "GATEWAY_TRUSTED_PROXIES", address = %address.ip(),
                "X-Forwarded headers arrive and are not believed: name the proxy if it is one"
            );
        });
    }
}

pub(super) async fn frame(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
    let address = request.extensions().get::<PeerAddress>().map_or(unknown, |peer| peer.0);
    let (headers, target) = (request.headers(), request.uri().authority());
    if app.config.trusted_proxies.is_empty() {
        warn_of_untrusted_proxy(headers, address);
    }
    let call = Arc::new(Call {
        request_id: request_id(headers),
        peer: Peer::of(address, headers, target, &app.config.trusted_proxies),
        trace: TraceContext::of(headers),
        host_is_named: peer::names_its_host(&request),
    });
    let span = span(&request, &call);
    request.extensions_mut().insert(call.clone());

    // A logout that is refused for it is a logout all the same, with a line of its own.
    let mut response = if call.host_is_named || is_logout(&request) {
        next.run(request).instrument(span.clone()).await
    } else {
        Error::MalformedRequest.into_response()
    };
    let error = response.extensions_mut().remove::<Error>();
    let failed = error.as_ref().map_or(response.status(), Error::status).is_server_error();
    if let Some(error) = error {
        if error == Error::Internal {
            // The panic's own line knows no request.
            tracing::error!(request_id = call.request_id(), "answered 500 because of a bug");
        }
        count_refusal(&app, &error);
        // To a form, an error is a place to go to.
        if response.status() != StatusCode::SEE_OTHER {
            response = enveloped(response, &error, &call);
        }
    }
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, value);
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(CONTENT_SECURITY_POLICY);
    if call.peer.https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT_SECURITY);
    }
    headers.insert(X_REQUEST_ID, call.request_id.clone());
    traces::answered(&span, response.status());
    if failed {
        traces::failed(&span);
    }
    response
}

fn is_logout(request: &Request) -> bool {
    request.method() == Method::POST && route(request).is_some_and(|route| PATHS.contains(&route))
}

fn route(request: &Request) -> Option<&str> {
    request.extensions().get::<MatchedPath>().map(MatchedPath::as_str)
}

/// For a trace: what browsers, apps and proxies ask; who monitors or reads is none.
fn span(request: &Request, call: &Call) -> Span {
    match route(request) {
        Some(route) if route.starts_with("/api/") || route.starts_with("/logout") => {
            traces::request(request.method(), route, call.request_id(), &call.trace)
        }
        _ => Span::none(),
    }
}

fn enveloped(response: Response, error: &Error, call: &Call) -> Response {
    let (parts, _) = response.into_parts();
    let json = Json(error.envelope(call.request_id())).into_response();
    let (json_parts, body) = json.into_parts();
    let mut response = Response::from_parts(parts, body);
    response.headers_mut().extend(json_parts.headers);
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
}

/// Refusals that are the same for every route.
fn count_refusal(app: &App, error: &Error) {
    match error {
        Error::CsrfMissing | Error::CsrfInvalid | Error::CsrfCrossSite => {
            app.metrics.csrf_refused(error.reason());
        }
        Error::UnsupportedScope
        | Error::DuplicateHeader
        | Error::MalformedRequest
        | Error::NotFound
        | Error::MethodNotAllowed
        | Error::PayloadTooLarge
        | Error::UnsupportedMediaType
        | Error::MisdirectedRequest
        | Error::Overloaded => app.metrics.refused(error.reason()),
        _ => {}
    }
}

fn request_id(headers: &HeaderMap) -> HeaderValue {
    let mut given = headers.get_all(X_REQUEST_ID).iter();
    match (given.next(), given.next()) {
        (Some(id), None) if is_decent(id.as_bytes()) => id.clone(),
        _ => {
            let made = Uuid::new_v4().to_string();
            HeaderValue::try_from(made).unwrap_or(HeaderValue::from_static("unknown"))
        }
    }
}

fn is_decent(id: &[u8]) -> bool {
    (1..=128).contains(&id.len())
        && id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
