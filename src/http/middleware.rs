//! The layer around all routes of every listener. It adds the request's context and trace span on the way in,
//! and the error envelope and the security headers on the way out.
//!
//! It is a single layer, because axum boxes the service for each layer and clones it for each request.

pub(super) mod admin_guard;
mod error_envelope;
mod request_id;
mod security_headers;

use std::{
    net::SocketAddr,
    sync::{Arc, Once},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Method},
    middleware::Next,
    response::{IntoResponse, Response},
};
use ipnet::IpNet;
use tracing::{Instrument as _, Span};

use super::{
    client_addr::{PeerAddress, has_ignored_headers},
    context::RequestContext,
    error::Error,
    headers::X_REQUEST_ID,
    routes::logout::PATHS,
    state::AppState,
};
use crate::telemetry::traces;

pub(super) async fn standard(
    State(app): State<Arc<AppState>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = peer_address(&request);
    let request_id = request_id::of(request.headers());
    let trusted_proxies = &app.config.server.trusted_proxies;
    warn_of_untrusted_proxy(request.headers(), peer, trusted_proxies);
    let context = Arc::new(RequestContext::of(&request, request_id, peer, trusted_proxies));
    let span = span(&request, &context);
    request.extensions_mut().insert(context.clone());

    // A logout without a valid `Host` is refused by its route, which writes its audit line.
    let mut response = if context.has_valid_host || is_logout(&request) {
        next.run(request).instrument(span.clone()).await
    } else {
        Error::MalformedRequest.into_response()
    };
    let error = response.extensions_mut().remove::<Error>();
    // The response to a form is a redirect even for an error, so take the status of the error itself.
    let status = error.as_ref().map_or(response.status(), Error::status);
    if let Some(error) = error {
        response = error_envelope::apply(response, &error, &context, &app.metrics);
    }
    let headers = response.headers_mut();
    let hsts = app.config.server.hsts.header().filter(|_| context.client.is_https);
    security_headers::set(headers, hsts);
    headers.insert(X_REQUEST_ID, context.request_id.clone());
    traces::answered(&span, response.status());
    if status.is_server_error() {
        traces::failed(&span);
    }
    response
}

/// The peer that the server has set. A request without one, as a test of the router sends it, must not count as one of
/// a trusted proxy.
fn peer_address(request: &Request) -> PeerAddress {
    let unspecified = PeerAddress::Tcp(SocketAddr::from(([0, 0, 0, 0], 0)));
    request.extensions().get().copied().unwrap_or(unspecified)
}

/// Warns of a request with a proxy's headers from an address that is not in `GATEWAY_TRUSTED_PROXIES`: the setting may
/// lack a proxy, or the client wrote the headers. Warns only once in the life of the process.
fn warn_of_untrusted_proxy(headers: &HeaderMap, peer: PeerAddress, trusted: &[IpNet]) {
    static WARNING: Once = Once::new();
    if !WARNING.is_completed() && has_ignored_headers(headers, peer, trusted) {
        WARNING.call_once(|| {
            tracing::warn!(
                variable = "GATEWAY_TRUSTED_PROXIES", address = %peer.ip(),
                "the gateway ignores the X-Forwarded headers from this address: if it is the address of \
                 your proxy, add it to GATEWAY_TRUSTED_PROXIES"
            );
        });
    }
}

fn is_logout(request: &Request) -> bool {
    request.method() == Method::POST && route(request).is_some_and(|route| PATHS.contains(&route))
}

fn route(request: &Request) -> Option<&str> {
    request.extensions().get::<MatchedPath>().map(MatchedPath::as_str)
}

/// The span of a request by a browser, an app or a proxy. Health checks, metrics and documents have none.
fn span(request: &Request, context: &RequestContext) -> Span {
    match route(request) {
        Some(route) if route.starts_with("/api/") || route.starts_with("/logout") => {
            traces::request(request.method(), route, context.request_id(), &context.trace)
        }
        _ => Span::none(),
    }
}
