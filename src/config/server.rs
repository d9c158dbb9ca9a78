//! Where the gateway listens, whom it believes, how it ends.

use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    thread,
    time::Duration,
};

use clap::Args;
use ipnet::IpNet;

use super::{
    error::{ConfigErrors, Noted, Rule},
    rules::{AN_HOUR, duration, host_name, list_or_none, whole_number},
};

const DEFAULT_PORT: u16 = 8080;
const DEFAULT_ADMIN_BIND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);
const MOST_THREADS: usize = 1024;

#[derive(Args)]
#[command(next_help_heading = "Server")]
pub(super) struct ServerArgs {
    /// Public listener; an IPv6 address in brackets; port 0 picks a free one, named by the log line
    /// `listening`. Default: `127.0.0.1:8080`
    #[arg(long, env = "GATEWAY_BIND", value_name = "IP:PORT")]
    bind: Option<OsString>,
    /// Public listener at `0.0.0.0:<PORT>` when `GATEWAY_BIND` is not given, as hosting platforms ask.
    /// No default
    #[arg(long, env = "PORT", value_name = "PORT")]
    port: Option<OsString>,
    /// Admin listener: metrics, status page, queue, failures, health; `off` opens none. Keep it off the
    /// internet. Default: `127.0.0.1:9090`
    #[arg(long, env = "GATEWAY_ADMIN_BIND", value_name = "IP:PORT|off")]
    admin_bind: Option<OsString>,
    /// Host names that the admin listener answers to besides IP addresses and `localhost`,
    /// comma-separated, without scheme and port; to another name it answers 421. Default: none
    #[arg(long, env = "GATEWAY_ADMIN_HOSTS", value_name = "HOSTS")]
    admin_hosts: Option<OsString>,
    /// How many threads serve the public listener, 1 to 1024. Default: as many as there are cores
    /// for this process
    #[arg(long, env = "GATEWAY_THREADS", value_name = "NUMBER")]
    threads: Option<OsString>,
    /// Proxies whose `X-Forwarded-*` headers are believed: comma-separated CIDRs, a plain address
    /// counts as itself alone. Default: none
    #[arg(long, env = "GATEWAY_TRUSTED_PROXIES", value_name = "CIDRS")]
    trusted_proxies: Option<OsString>,
    /// How long requests in flight may take to end after a signal to stop: `0s` to `1h`.
    /// Default: `10s`
    #[arg(long, env = "GATEWAY_DRAIN_TIMEOUT", value_name = "DURATION")]
    drain_timeout: Option<OsString>,
}

pub(super) struct Server {
    pub(super) bind: SocketAddr,
    pub(super) admin_bind: Option<SocketAddr>,
    pub(super) admin_hosts: Vec<String>,
    pub(super) threads: NonZeroUsize,
    pub(super) trusted_proxies: Vec<IpNet>,
    pub(super) drain_timeout: Duration,
}

impl Server {
    pub(super) fn read(args: ServerArgs, faults: &mut ConfigErrors) -> Result<Self, Noted> {
        let bind = faults.optional("GATEWAY_BIND", args.bind, address);
        let port = faults.optional("PORT", args.port, port);
        let bind = bind.and_then(|bind| Ok(public_address(bind, port?)));
        let admin = Some(DEFAULT_ADMIN_BIND);
        let admin = faults.or("GATEWAY_ADMIN_BIND", args.admin_bind, admin, address_or_off);
        if let (Ok(bind), Ok(Some(admin))) = (bind, admin)
            && overlap(bind, admin)
        {
            let rule = "must be another address than that of the public listener, or `off`";
            faults.note("GATEWAY_ADMIN_BIND", rule);
        }
        let hosts = list_or_none(host_name);
        let hosts = faults.or("GATEWAY_ADMIN_HOSTS", args.admin_hosts, Vec::new(), hosts);
        let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let threads = faults.or("GATEWAY_THREADS", args.threads, cores, threads);
        let proxies = list_or_none(network);
        let proxies =
            faults.or("GATEWAY_TRUSTED_PROXIES", args.trusted_proxies, Vec::new(), proxies);
        let drain = duration(
            Duration::ZERO..=AN_HOUR,
            "must be a duration such as `10s`, from zero (`0s`) to one hour",
        );
        let ten_seconds = Duration::from_secs(10);
        let drain = faults.or("GATEWAY_DRAIN_TIMEOUT", args.drain_timeout, ten_seconds, drain);
        Ok(Self {
            bind: bind?,
            admin_bind: admin?,
            admin_hosts: hosts?,
            threads: threads?,
            trusted_proxies: proxies?,
            drain_timeout: drain?,
        })
    }
}

fn public_address(bind: Option<SocketAddr>, port: Option<u16>) -> SocketAddr {
    bind.unwrap_or_else(|| match port {
        Some(port) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        None => SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
    })
}

/// Whether two listeners would want the same port of one address; port 0 is never the same twice.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    // An IPv6 wildcard takes IPv4 connections too.
    let covers = |all: IpAddr, ip: IpAddr| all.is_unspecified() && (all.is_ipv6() || ip.is_ipv4());
    let same_ip =
        one.ip() == other.ip() || covers(one.ip(), other.ip()) || covers(other.ip(), one.ip());
    one.port() != 0 && one.port() == other.port() && same_ip
}

fn address(text: &str) -> Result<SocketAddr, Rule> {
    text.parse().map_err(|_| "must be `ip:port`, an IPv6 address in brackets".into())
}

fn address_or_off(text: &str) -> Result<Option<SocketAddr>, Rule> {
    if text == "off" {
        return Ok(None);
    }
    let rule = "must be `ip:port`, an IPv6 address in brackets, or `off`";
    text.parse().map(Some).map_err(|_| rule.into())
}

fn port(text: &str) -> Result<u16, Rule> {
    let number = whole_number(0..=usize::from(u16::MAX))(text)?;
    u16::try_from(number).map_err(|_| "must be a port".into())
}

fn threads(text: &str) -> Result<NonZeroUsize, Rule> {
    let number = whole_number(1..=MOST_THREADS)(text)?;
    NonZeroUsize::new(number).ok_or("must not be zero".into())
}

fn network(entry: &str) -> Result<IpNet, Rule> {
    let network = entry.parse().or_else(|_| entry.parse().map(|ip: IpAddr| ip.into()));
    let network = network.map_err(|_| Rule::Borrowed("must be CIDRs or IP addresses"))?;
    Ok(IpNet::trunc(&network))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::tests::{faults_of, parse, parse_with};

    #[rstest]
    #[case(&[], "127.0.0.1:8080")]
    #[case(&[("GATEWAY_BIND", "[::1]:0")], "[::1]:0")]
    #[case(&[("PORT", "3000")], "0.0.0.0:3000")]
    #[case(&[("PORT", "3000"), ("GATEWAY_BIND", "10.0.0.1:80")], "10.0.0.1:80")]
    fn the_public_listener(#[case] given: &[(&str, &str)], #[case] bind: &str) {
        assert_eq!(parse(given).bind.to_string(), bind);
    }

    #[test]
    fn a_bad_port_counts_beside_a_good_bind() {
        let faults = faults_of(&[("PORT", "70000"), ("GATEWAY_BIND", "127.0.0.1:80")]);
        assert_eq!(faults, ["PORT: must be a whole number from 0 to 65535"]);
    }

    #[rstest]
    #[case("127.0.0.1:9090", None, false)]
    #[case("0.0.0.0:9090", None, false)]
    #[case("[::]:9090", None, false)]
    #[case("10.0.0.1:9090", None, true)]
    #[case("[::1]:9090", Some("0.0.0.0:9090"), true)]
    #[case("127.0.0.1:0", Some("127.0.0.1:0"), true)]
    #[case("127.0.0.1:9090", Some("off"), true)]
    fn the_two_listeners_differ(
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
        assert_eq!(parse(&[]).admin_bind.unwrap().to_string(), "127.0.0.1:9090");
        assert_eq!(parse(&[("GATEWAY_ADMIN_BIND", "off")]).admin_bind, None);
    }

    #[test]
    fn names_of_the_admin_listener_are_host_names_in_lower_case() {
        let config = parse(&[("GATEWAY_ADMIN_HOSTS", "Admin.example.com, gateway-0")]);
        assert_eq!(config.admin_hosts, ["admin.example.com", "gateway-0"]);
        assert_eq!(parse(&[]).admin_hosts, [""; 0]);
        for host in ["http://a.co", "a.co:9090", "*.a.co", ".a.co", "a.co.", "[::1]", "a,,b"] {
            assert_eq!(faults_of(&[("GATEWAY_ADMIN_HOSTS", host)]).len(), 1, "{host}");
        }
    }

    #[test]
    fn a_plain_address_is_a_network_of_one() {
        let proxies = parse(&[("GATEWAY_TRUSTED_PROXIES", "10.1.2.3/8, ::1, 10.0.0.0/8, 1.2.3.4")]);
        let proxies: Vec<_> = proxies.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(proxies, ["10.0.0.0/8", "::1/128", "1.2.3.4/32"]);
    }

    #[test]
    fn draining_may_take_no_time_at_all() {
        assert!(parse(&[("GATEWAY_DRAIN_TIMEOUT", "0s")]).drain_timeout.is_zero());
    }
}
