//! The layer around all routes of every listener. It adds the request's context and trace span on the way in,
//! and the error envelope and the security headers on the way out.
//!
//! It also answers 500 if a handler panics, so that the connection stays open.

pub(super) mod admin_guard;
mod error_envelope;
mod request_id;
mod security_headers;

use std::{
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::{Arc, Once},
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, Method},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt as _;
use ipnet::IpNet;
use tower::Service as _;
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

/// The response to `request`. `route` is the route of the public listener that serves it, if that route has trace spans:
/// health checks, metrics and documents have none.
pub(super) async fn standard(
    app: &AppState,
    router: Router,
    route: Option<&'static str>,
    mut request: Request,
) -> Response {
    let peer = peer_address(&request);
    let request_id = request_id::of(request.headers());
    let trusted_proxies = &app.config.server.trusted_proxies;
    warn_of_untrusted_proxy(request.headers(), peer, trusted_proxies);
    let context = Arc::new(RequestContext::of(&request, request_id, peer, trusted_proxies));
    let method = request.method().clone();
    let span = route.map_or_else(Span::none, |route| {
        traces::request(&method, route, context.request_id(), &context.trace)
    });
    let is_logout = method == Method::POST && route.is_some_and(|route| PATHS.contains(&route));
    request.extensions_mut().insert(context.clone());

    // A logout without a valid `Host` is refused by its route, which writes its audit line.
    let mut response = if context.has_valid_host || is_logout {
        call(router, request).instrument(span.clone()).await
    } else {
        Error::MalformedRequest.into_response()
    };
    let error = response.extensions_mut().remove::<Error>();
    // The response to a form is a redirect even for an error, so take the status of the error itself.
    let status = error.as_ref().map_or(response.status(), Error::status);
    if let Some(error) = error {
        response = error_envelope::apply(response, &error, &method, &context, &app.metrics);
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

/// The response of the router; a 500 if the handler panics.
async fn call(mut router: Router, request: Request) -> Response {
    let response = async move { router.call(request).await };
    let response = AssertUnwindSafe(response).catch_unwind().await;
    response.map_or_else(|_panic| Error::Internal.into_response(), |Ok(response)| response)
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
