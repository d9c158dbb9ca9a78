//! The client's address: GoTrue's `GetIPAddress`.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, request::Parts},
};

/// The first address in the header `X-Forwarded-For`, else that of the connection.
#[derive(Debug, Default)]
pub(crate) struct ClientAddr(String);

impl ClientAddr {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for ClientAddr {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        let address = forwarded(&parts.headers).or(peer);
        // Go writes an IPv4 address that is mapped to IPv6 as IPv4.
        Ok(Self(address.map(|address| address.to_canonical().to_string()).unwrap_or_default()))
    }
}

fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    let header = headers.get("x-forwarded-for")?.to_str().ok()?;
    header.split(',').find_map(|address| address.trim().parse().ok())
}
