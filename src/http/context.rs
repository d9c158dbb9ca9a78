//! One request, as its handlers and its log lines know it.

use std::net::SocketAddr;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
};
use ipnet::IpNet;

use super::client_addr::{self, ClientAddr};
use crate::{gotrue::OnBehalfOf, telemetry::traces::TraceContext};

/// Browsers send some 200 octets. A longer `User-Agent` is not passed on: a client must not be able to make
/// the request to GoTrue larger than a proxy in between accepts.
const MAX_USER_AGENT_LENGTH: usize = 1024;

/// What the gateway knows of a request before it reads credentials. A request extension.
#[derive(Debug)]
pub(crate) struct RequestContext {
    /// The client's `X-Request-Id` if it is well-formed, else one that the gateway made.
    pub(crate) request_id: HeaderValue,
    /// The client's address, and how the browser reaches the gateway.
    pub(crate) client: ClientAddr,
    /// The trace that the request belongs to.
    pub(crate) trace: TraceContext,
    /// Whether the request has exactly one valid `Host`, as HTTP/1.1 requires.
    pub(crate) has_valid_host: bool,
}

impl RequestContext {
    /// Reads `request`, which came over a connection from `address`.
    pub(super) fn of(
        request: &Request,
        request_id: HeaderValue,
        address: SocketAddr,
        trusted_proxies: &[IpNet],
    ) -> Self {
        let (headers, target) = (request.headers(), request.uri().authority());
        Self {
            request_id,
            client: ClientAddr::of(address, headers, target, trusted_proxies),
            trace: TraceContext::of(headers),
            has_valid_host: client_addr::has_valid_host(request),
        }
    }

    /// What GoTrue learns about the client.
    pub(crate) fn on_behalf_of(&self, headers: &HeaderMap) -> OnBehalfOf {
        let client = self.client.ip.to_string();
        OnBehalfOf {
            request_id: self.request_id.clone(),
            forwarded_for: HeaderValue::try_from(client)
                .unwrap_or(HeaderValue::from_static("unknown")),
            user_agent: headers
                .get(header::USER_AGENT)
                .filter(|agent| agent.len() <= MAX_USER_AGENT_LENGTH)
                .cloned(),
            trace: self.trace.clone(),
        }
    }

    /// The request id as text: it is visible ASCII by construction.
    pub(crate) fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }
}
