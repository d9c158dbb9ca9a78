//! Weak settings that are addresses: what is sent unencrypted to another machine, which clients reach
//! the admin listener, and which proxies are trusted.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};
use secrecy::ExposeSecret as _;
use url::{Host, Url};

use super::Warning;
use crate::config::{Config, StoreAddress, Supabase};

/// Networks that are larger than the largest private ones are most likely a mistake.
const LARGEST_IPV4: u8 = 8;
const LARGEST_IPV6: u8 = 16;
/// Private networks larger than that: unique local (RFC 4193), and link-local (RFC 4291) addresses.
const PRIVATE_IPV6: [(u128, u8); 2] = [(0xfc00 << 112, 7), (0xfe80 << 112, 10)];

impl Config {
    pub(super) fn exposed_admin_listener(&self) -> Option<Warning> {
        let exposed = !self.admin_bind?.ip().to_canonical().is_loopback();
        let weakness = "not on loopback: any client that reaches it reads user ids and session ids without \
                        a password; bind it to 127.0.0.1, or let a firewall admit the monitor alone";
        exposed.then(|| Warning::new("GATEWAY_ADMIN_BIND", weakness))
    }

    pub(super) fn trusted_proxies_warning(&self) -> Option<Warning> {
        let networks = IpNet::aggregate(&self.trusted_proxies);
        let weakness = if let Some(network) = networks.into_iter().find(is_too_large) {
            format!(
                "{network} is every address, or a large part of them: any client there can choose the \
                 address that the log and GoTrue see, the host and the scheme; name the addresses of \
                 your proxies"
            )
        } else if self.trusted_proxies.is_empty() && !self.bind.ip().is_loopback() {
            "none: behind a proxy every client has the proxy's address, and https is not seen; name \
             the addresses of your proxies"
                .to_owned()
        } else {
            return None;
        };
        Some(Warning::new("GATEWAY_TRUSTED_PROXIES", weakness))
    }

    pub(super) fn unencrypted_redis(&self) -> Option<Warning> {
        let StoreAddress::Redis(address) = &self.store else { return None };
        let url = Url::parse(address.url.expose_secret()).ok()?;
        let weak = url.scheme() == "redis" && !is_this_machine(&url);
        let weakness = "redis:// to another machine: an attacker in the network can read the password, \
                        and read and change the revocation list and the queue; use rediss://";
        weak.then(|| Warning::new("GATEWAY_STORE", weakness))
    }
}

impl Supabase {
    pub(super) fn unencrypted_gotrue(&self) -> Option<Warning> {
        let weak = self.gotrue_url.scheme() == "http" && !is_this_machine(&self.gotrue_url);
        // Where GOTRUE_URL is not given, it is below the project's.
        let is_below = self.gotrue_url.as_str().starts_with(self.url.as_str());
        let variable = if is_below { "SUPABASE_URL" } else { "GOTRUE_URL" };
        let weakness = "http:// to another machine: an attacker in the network can read users' \
                        tokens and answer in GoTrue's place; use https://, or a network of your own";
        weak.then(|| Warning::new(variable, weakness))
    }
}

fn is_too_large(network: &IpNet) -> bool {
    match network {
        IpNet::V4(network) => network.prefix_len() < LARGEST_IPV4,
        IpNet::V6(network) => network.prefix_len() < LARGEST_IPV6 && !is_private(network),
    }
}

fn is_private(network: &Ipv6Net) -> bool {
    let private = PRIVATE_IPV6.map(|(address, length)| Ipv6Net::new_assert(address.into(), length));
    private.iter().any(|private| private.contains(network))
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        // The host of a URL that is not http's is a name even where it is an IPv4 address.
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
