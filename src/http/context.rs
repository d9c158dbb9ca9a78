//! The context of one request: its id, its client and its trace, for handlers and log lines.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
};
use ipnet::IpNet;

use super::client_addr::{self, ClientAddr, PeerAddress};
use crate::{gotrue::OnBehalfOf, telemetry::traces::TraceContext};

/// The longest `User-Agent` in octets; those of browsers have some 200. A longer one is not passed on: a
/// client must not be able to make the request to GoTrue larger than a proxy in front of GoTrue accepts.
const MAX_USER_AGENT_LENGTH: usize = 1024;

/// The facts about a request that the gateway knows before it reads credentials. The middleware sets them as
/// a request extension.
#[derive(Debug)]
pub(crate) struct RequestContext {
    /// The client's `X-Request-Id` if it is well-formed, else an id that the gateway made.
    pub(crate) request_id: HeaderValue,
    /// The client's address, and how the browser reaches the gateway.
    pub(crate) client: ClientAddr,
    /// The trace that the request belongs to.
    pub(crate) trace: TraceContext,
    /// Whether the request has exactly one valid `Host`, as HTTP/1.1 requires.
    pub(crate) has_valid_host: bool,
}

impl RequestContext {
    /// Reads the context of `request`, which came over a connection from `peer`.
    pub(super) fn of(
        request: &Request,
        request_id: HeaderValue,
        peer: PeerAddress,
        trusted_proxies: &[IpNet],
    ) -> Self {
        let (headers, target) = (request.headers(), request.uri().authority());
        Self {
            request_id,
            client: ClientAddr::of(peer, headers, target, trusted_proxies),
            trace: TraceContext::of(headers),
            has_valid_host: client_addr::has_valid_host(request),
        }
    }

    /// The facts about the client that the gateway passes on to GoTrue.
    pub(crate) fn on_behalf_of(&self, headers: &HeaderMap) -> OnBehalfOf {
        let client = self.client.ip.0;
        OnBehalfOf {
            request_id: self.request_id.clone(),
            forwarded_for: client.and_then(|ip| HeaderValue::try_from(ip.to_string()).ok()),
            user_agent: headers
                .get(header::USER_AGENT)
                .filter(|agent| agent.len() <= MAX_USER_AGENT_LENGTH)
                .cloned(),
            trace: self.trace.clone(),
        }
    }

    /// The request id as text; it is always visible ASCII.
    pub(crate) fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }
}
