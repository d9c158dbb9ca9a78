//! The client's address, and the scheme and host by which the browser reaches the gateway.
//!
//! `X-Forwarded-For`, `X-Forwarded-Proto`, `X-Forwarded-Host` and `X-Forwarded-Port` are read only if the
//! connection comes from a trusted proxy. The client's address is the rightmost address that is not a trusted
//! proxy. Scheme, host and port are the rightmost values, because the nearest proxy wrote these.
//!
//! Every peer of a unix socket is a trusted proxy, because the permissions of the socket's file admitted it, and no
//! browser can connect to a unix socket. Without `X-Forwarded-For` such a peer's client has no known address.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, SocketAddr},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Version, header, uri::Authority};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// Whether the request has a proxy's headers that the gateway ignores, because `peer` is not a trusted proxy.
pub(super) fn has_ignored_headers(
    headers: &HeaderMap,
    peer: PeerAddress,
    trusted: &[IpNet],
) -> bool {
    !peer.is_trusted(trusted)
        && [FORWARDED_FOR, FORWARDED_PROTO, FORWARDED_HOST, FORWARDED_PORT]
            .iter()
            .any(|name| headers.contains_key(name))
}

fn is_trusted(ip: &IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(ip))
}

/// The other end of the connection. The server sets it as a request extension.
#[derive(Clone, Copy, Debug)]
pub enum PeerAddress {
    /// The address of a TCP connection.
    Tcp(SocketAddr),
    /// A process on this machine that is connected to a unix socket. Such a process has no address.
    Unix,
}

impl PeerAddress {
    /// The address of the peer, which is unknown for a unix socket.
    pub(crate) fn ip(self) -> ClientIp {
        match self {
            Self::Tcp(address) => ClientIp(Some(address.ip().to_canonical())),
            Self::Unix => ClientIp(None),
        }
    }

    fn is_trusted(self, trusted: &[IpNet]) -> bool {
        match self {
            Self::Tcp(address) => is_trusted(&address.ip().to_canonical(), trusted),
            Self::Unix => true,
        }
    }
}

/// The IP address of a client. `None` if a proxy on a unix socket did not forward it: the text is then `unknown`, as
/// in the header `Forwarded` (RFC 7239, section 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientIp(pub(crate) Option<IpAddr>);

impl fmt::Display for ClientIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(ip) => ip.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

/// The client of a request, by the connection and by the headers of trusted proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAddr {
    pub(crate) ip: ClientIp,
    /// Whether the browser reached the gateway by https.
    pub(crate) is_https: bool,
    /// The gateway's own origin in the form that browsers send; `None` if the request names no host.
    pub(crate) own_origin: Option<String>,
}

impl ClientAddr {
    /// Reads the client from the connection's peer and the headers. `target` is the authority of an
    /// absolute-form request target, which takes precedence over `Host` (RFC 9112, section 3.2.2).
    pub(crate) fn of(
        peer: PeerAddress,
        headers: &HeaderMap,
        target: Option<&Authority>,
        trusted: &[IpNet],
    ) -> Self {
        let is_trusted = |ip: &IpAddr| is_trusted(ip, trusted);
        let behind_proxy = peer.is_trusted(trusted);
        let forwarded = |name| behind_proxy.then(|| rightmost(headers, name)).flatten();

        let https =
            forwarded(FORWARDED_PROTO).is_some_and(|proto| proto.eq_ignore_ascii_case("https"));
        let host = forwarded(FORWARDED_HOST)
            .or_else(|| target.map(Authority::as_str))
            .or_else(|| headers.get(header::HOST)?.to_str().ok());
        let forwarded_ip = behind_proxy.then(|| client(headers, is_trusted)).flatten();
        Self {
            ip: forwarded_ip.map_or(peer.ip(), |ip| ClientIp(Some(ip))),
            is_https: https,
            own_origin: host
                .map(|host| origin(https, &with_port(host, forwarded(FORWARDED_PORT), https))),
        }
    }
}

/// Whether the request has exactly one valid `Host`, as HTTP/1.1 requires (RFC 9112, section 3.2): of two, a
/// proxy might read one and the gateway the other.
pub(super) fn has_valid_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => {
            host.is_empty() || (Authority::try_from(host).is_ok() && !host.contains(&b'@'))
        }
        // In HTTP/2, `:authority` replaces `Host` (RFC 9113, section 8.3.1). hyper puts it into the URI.
        (None, None) if request.version() == Version::HTTP_2 => {
            request.uri().authority().is_some_and(|authority| !authority.as_str().contains('@'))
        }
        (None, None) => request.version() < Version::HTTP_11,
        _ => false,
    }
}

fn entries(headers: &HeaderMap, name: HeaderName) -> impl DoubleEndedIterator<Item = &str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|entry| !entry.is_empty())
}

fn rightmost(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    entries(headers, name).next_back()
}

/// The rightmost address of `X-Forwarded-For` that is not a trusted proxy, or the leftmost address if all
/// are. An entry that is no address ends the search, because a client may have written everything to its
/// left.
fn client(headers: &HeaderMap, is_trusted: impl Fn(&IpAddr) -> bool) -> Option<IpAddr> {
    let mut last = None;
    for entry in entries(headers, FORWARDED_FOR).rev() {
        let Some(ip) = address(entry) else { break };
        last = Some(ip);
        if !is_trusted(&ip) {
            break;
        }
    }
    last
}

/// Parses an address with or without a port; IPv6 with or without brackets.
fn address(entry: &str) -> Option<IpAddr> {
    let ip = entry.parse::<IpAddr>().ok();
    let ip = ip.or_else(|| entry.parse::<SocketAddr>().ok().map(|a| a.ip()));
    ip.or_else(|| entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
        .map(|ip| ip.to_canonical())
}

/// Appends the forwarded port to a host that has none. Port 80 with https, and port 443 with http, are ignored:
/// then a proxy behind the TLS proxy reports the port of its own listener, not the port of the browser's URL.
fn with_port<'h>(host: &'h str, port: Option<&str>, https: bool) -> Cow<'h, str> {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    let port = port.filter(|port| port.bytes().all(|b| b.is_ascii_digit()));
    let default_port_of_other_scheme = if https { 80 } else { 443 };
    match port.and_then(|port| port.parse::<u16>().ok()) {
        Some(port) if !has_port && port != default_port_of_other_scheme => {
            format!("{host}:{port}").into()
        }
        Some(_) | None => host.into(),
    }
}

/// The origin in the form that browsers send: in lower case, without the scheme's default port.
fn origin(https: bool, host: &str) -> String {
    let (scheme, default_port) = if https { ("https", ":443") } else { ("http", ":80") };
    let host = host.strip_suffix(default_port).unwrap_or(host);
    format!("{scheme}://{}", host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
