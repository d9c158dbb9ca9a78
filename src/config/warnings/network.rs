//! Warnings about addresses: unencrypted connections to other machines, an admin listener that other machines
//! can reach, and networks of trusted proxies that are too large or missing.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};
use secrecy::ExposeSecret as _;
use url::{Host, Url};

use super::Warning;
use crate::config::{Config, StoreAddress, Supabase};

/// The shortest IPv4 and IPv6 prefix lengths without a warning about `GATEWAY_TRUSTED_PROXIES`. A larger
/// network contains many machines that are not proxies, and is probably a mistake.
const SHORTEST_IPV4_PREFIX: u8 = 8;
const SHORTEST_IPV6_PREFIX: u8 = 16;
/// Private IPv6 networks that are larger and still cause no warning: unique local (RFC 4193) and link-local
/// (RFC 4291) addresses.
const PRIVATE_IPV6: [(u128, u8); 2] = [(0xfc00 << 112, 7), (0xfe80 << 112, 10)];

impl Config {
    pub(super) fn exposed_admin_listener(&self) -> Option<Warning> {
        let address = self.server.admin_bind.as_ref()?.tcp()?;
        let exposed = !address.ip().to_canonical().is_loopback();
        let message = "not on loopback: any client that reaches it can read user ids and session ids without \
                        a password; bind it to 127.0.0.1, or let a firewall admit only your monitoring";
        exposed.then(|| Warning::new("GATEWAY_ADMIN_BIND", message))
    }

    pub(super) fn open_socket(&self) -> Option<Warning> {
        let server = &self.server;
        let addresses = [Some(&server.bind), server.admin_bind.as_ref()];
        let has_socket = addresses.into_iter().flatten().any(|address| address.unix().is_some());
        let message = "every user of this machine may connect: the gateway trusts the X-Forwarded headers of each \
                        process that connects, and the admin listener shows user ids; use 0660, and add your proxy \
                        to the group of the socket";
        let weak = has_socket && is_open_to_all(server.socket_mode.bits());
        weak.then(|| Warning::new("GATEWAY_SOCKET_MODE", message))
    }

    pub(super) fn trusted_proxies_warning(&self) -> Option<Warning> {
        let networks = IpNet::aggregate(&self.server.trusted_proxies);
        let message = if let Some(network) = networks.into_iter().find(is_too_large) {
            format!(
                "{network} contains all addresses or a large part of them: any client there can choose the client \
                 address for the log and for GoTrue, the host and the scheme; name only the addresses of your \
                 proxies"
            )
        } else if self.server.trusted_proxies.is_empty()
            && self.server.bind.tcp().is_some_and(|bind| !bind.ip().is_loopback())
        {
            "not set although the listener is not on loopback: behind a proxy every client has the proxy's address, \
             and the gateway does not recognise https; name the addresses of your proxies"
                .to_owned()
        } else {
            return None;
        };
        Some(Warning::new("GATEWAY_TRUSTED_PROXIES", message))
    }

    pub(super) fn unencrypted_redis(&self) -> Option<Warning> {
        let StoreAddress::Redis(address) = &self.store.address else { return None };
        let url = Url::parse(address.url.expose_secret()).ok()?;
        let weak = url.scheme() == "redis" && !is_this_machine(&url);
        let message = "redis:// to another machine is not encrypted: an attacker in the network can read the \
                        password, and read and change the revocation list and the queue; use rediss://";
        weak.then(|| Warning::new("GATEWAY_STORE", message))
    }
}

impl Supabase {
    pub(super) fn unencrypted_gotrue(&self) -> Option<Warning> {
        let weak = self.gotrue_url.scheme() == "http" && !is_this_machine(&self.gotrue_url);
        let variable = self.gotrue_variable();
        let message = "http:// to another machine is not encrypted: an attacker in the network can read users' \
                        tokens and answer instead of GoTrue; use https://, or a private network";
        weak.then(|| Warning::new(variable, message))
    }
}

/// Whether every user may write to a file with these permissions, and so may connect to its socket (unix(7)).
pub(crate) fn is_open_to_all(mode: u32) -> bool {
    mode & 0o002 != 0
}

fn is_too_large(network: &IpNet) -> bool {
    match network {
        IpNet::V4(network) => network.prefix_len() < SHORTEST_IPV4_PREFIX,
        IpNet::V6(network) => network.prefix_len() < SHORTEST_IPV6_PREFIX && !is_private(network),
    }
}

fn is_private(network: &Ipv6Net) -> bool {
    let private = PRIVATE_IPV6.map(|(address, length)| Ipv6Net::new_assert(address.into(), length));
    private.iter().any(|private| private.contains(network))
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        // For schemes such as `redis`, the URL standard parses an IPv4 address as a domain name.
        Some(Host::Domain(name)) => {
            let name = name.to_ascii_lowercase();
            name == "localhost"
                || name.ends_with(".localhost")
                || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
        }
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        None => false,
    }
}
