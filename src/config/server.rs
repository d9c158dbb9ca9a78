//! The rules for the listeners, the number of threads and the trusted proxies.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    thread,
    time::Duration,
};

use axum::http::HeaderValue;
use ipnet::IpNet;

use super::{
    error::Rule,
    listen_address::ListenAddress,
    rules::{AN_HOUR, duration, whole_number},
};

const DEFAULT_PORT: u16 = 8080;
const MOST_THREADS: usize = 1024;

pub(super) const DEFAULT_ADMIN_ADDRESS: ListenAddress =
    ListenAddress::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090));

/// The public listener's address if `GATEWAY_BIND` is not set: all IPv4 addresses if the hosting platform set
/// `PORT`, else loopback.
pub(super) fn default_address(port: Option<u16>) -> ListenAddress {
    let address = match port {
        Some(port) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        None => SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
    };
    address.into()
}

/// The number of CPU cores that the process may use; 1 if the system does not report it.
pub(super) fn cores() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// The value of `Strict-Transport-Security` in responses over https; `None` for `off`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hsts(Option<HeaderValue>);

impl Hsts {
    /// Two years, as the preload lists of browsers recommend.
    pub(super) const DEFAULT: Self = Self(Some(HeaderValue::from_static("max-age=63072000")));

    /// The header's value; `None` if the gateway does not set the header.
    pub(crate) fn header(&self) -> Option<&HeaderValue> {
        self.0.as_ref()
    }
}

pub(super) fn hsts(text: &str) -> Result<Hsts, Rule> {
    const RULE: Rule =
        Rule::Borrowed("must be a whole number of seconds up to 4294967295, or `off`");
    if text == "off" {
        return Ok(Hsts(None));
    }
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: u32 = text.parse().ok().filter(|_| is_digits).ok_or(RULE)?;
    HeaderValue::try_from(format!("max-age={seconds}"))
        .map(|value| Hsts(Some(value)))
        .map_err(|_| RULE)
}

pub(super) fn drain_timeout(text: &str) -> Result<Duration, Rule> {
    let rule = "must be a duration such as `10s`, from zero (`0s`) to one hour";
    duration(Duration::ZERO..=AN_HOUR, rule)(text)
}

/// Whether two listeners would bind the same path, or the same port of one address. Port 0 never overlaps, because
/// the system selects a free port for each.
pub(super) fn overlap(one: &ListenAddress, other: &ListenAddress) -> bool {
    let (one, other) = match (one, other) {
        (ListenAddress::Tcp(one), ListenAddress::Tcp(other)) => (one, other),
        (one, other) => return one == other,
    };
    // The IPv6 wildcard address `::` accepts IPv4 connections too.
    let covers = |all: IpAddr, ip: IpAddr| all.is_unspecified() && (all.is_ipv6() || ip.is_ipv4());
    let same_ip =
        one.ip() == other.ip() || covers(one.ip(), other.ip()) || covers(other.ip(), one.ip());
    one.port() != 0 && one.port() == other.port() && same_ip
}

pub(super) fn port(text: &str) -> Result<u16, Rule> {
    let number = whole_number(0..=usize::from(u16::MAX))(text)?;
    u16::try_from(number).map_err(|_| "must be a port".into())
}

pub(super) fn threads(text: &str) -> Result<NonZeroUsize, Rule> {
    let number = whole_number(1..=MOST_THREADS)(text)?;
    NonZeroUsize::new(number).ok_or("must not be zero".into())
}

pub(super) fn network(entry: &str) -> Result<IpNet, Rule> {
    let network = entry.parse().or_else(|_| entry.parse().map(|ip: IpAddr| ip.into()));
    let network = network.map_err(|_| Rule::Borrowed("must be CIDRs or IP addresses"))?;
    Ok(IpNet::trunc(&network))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::tests::{errors_of, parse, parse_with};

    #[rstest]
    #[case(&[], "127.0.0.1:8080")]
    #[case(&[("GATEWAY_BIND", "[::1]:0")], "[::1]:0")]
    #[case(&[("PORT", "3000")], "0.0.0.0:3000")]
    #[case(&[("PORT", "3000"), ("GATEWAY_BIND", "10.0.0.1:80")], "10.0.0.1:80")]
    fn the_address_of_the_public_listener_comes_from_bind_or_port(
        #[case] given: &[(&str, &str)],
        #[case] bind: &str,
    ) {
        assert_eq!(parse(given).server.bind.to_string(), bind);
    }

    #[test]
    fn an_invalid_port_is_an_error_even_if_bind_is_set() {
        let errors = errors_of(&[("PORT", "70000"), ("GATEWAY_BIND", "127.0.0.1:80")]);
        assert_eq!(errors, ["PORT: must be a whole number from 0 to 65535"]);
    }

    #[rstest]
    #[case("127.0.0.1:9090", None, false)]
    #[case("0.0.0.0:9090", None, false)]
    #[case("[::]:9090", None, false)]
    #[case("10.0.0.1:9090", None, true)]
    #[case("[::1]:9090", Some("0.0.0.0:9090"), true)]
    #[case("127.0.0.1:0", Some("127.0.0.1:0"), true)]
    #[case("127.0.0.1:9090", Some("off"), true)]
    fn the_two_listeners_must_have_different_addresses(
        #[case] bind: &str,
        #[case] admin: Option<&str>,
        #[case] good: bool,
    ) {
        let mut given = vec![("GATEWAY_BIND", bind)];
        given.extend(admin.map(|admin| ("GATEWAY_ADMIN_BIND", admin)));
        assert_eq!(parse_with(&given).is_ok(), good);
    }

    #[test]
    fn the_admin_listener_is_local_or_off() {
        assert_eq!(parse(&[]).server.admin_bind.unwrap().to_string(), "127.0.0.1:9090");
        assert_eq!(parse(&[("GATEWAY_ADMIN_BIND", "off")]).server.admin_bind, None);
    }

    #[test]
    fn names_of_the_admin_listener_are_host_names_in_lower_case() {
        let config = parse(&[("GATEWAY_ADMIN_HOSTS", "Admin.example.com, gateway-0")]);
        assert_eq!(config.server.admin_hosts, ["admin.example.com", "gateway-0"]);
        assert_eq!(parse(&[]).server.admin_hosts, [""; 0]);
        for host in ["http://a.co", "a.co:9090", "*.a.co", ".a.co", "a.co.", "[::1]", "a,,b"] {
            assert_eq!(errors_of(&[("GATEWAY_ADMIN_HOSTS", host)]).len(), 1, "{host}");
        }
    }

    #[test]
    fn a_plain_address_is_a_network_of_one() {
        let proxies = parse(&[("GATEWAY_TRUSTED_PROXIES", "10.1.2.3/8, ::1, 10.0.0.0/8, 1.2.3.4")]);
        let proxies: Vec<_> =
            proxies.server.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(proxies, ["10.0.0.0/8", "::1/128", "1.2.3.4/32"]);
    }

    #[test]
    fn the_drain_timeout_may_be_zero() {
        assert!(parse(&[("GATEWAY_DRAIN_TIMEOUT", "0s")]).server.drain_timeout.is_zero());
    }
}
