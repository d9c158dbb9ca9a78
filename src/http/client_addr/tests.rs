//! Tests how the client's address, the scheme and the host are read from the headers.

use axum::http::HeaderValue;
use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn client_behind(address: &str, lines: &[(&'static str, &str)]) -> ClientAddr {
    client_of(PeerAddress::Tcp(SocketAddr::new(address.parse().unwrap(), 1234)), lines)
}

fn client_of(peer: PeerAddress, lines: &[(&'static str, &str)]) -> ClientAddr {
    let headers: HeaderMap = lines
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect();
    let trusted = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap());
    ClientAddr::of(peer, &headers, None, &trusted)
}

#[rstest]
#[case("1.2.3.4", "6.6.6.6", "1.2.3.4")]
#[case("10.0.0.1", "", "10.0.0.1")]
#[case("10.0.0.1", "1.2.3.4", "1.2.3.4")]
#[case("10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4")]
#[case("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.9.9.9", "1.2.3.4")]
#[case("10.0.0.1", "10.1.1.1, 10.2.2.2", "10.1.1.1")]
#[case("10.0.0.1", "6.6.6.6, unknown, 10.2.2.2", "10.2.2.2")]
#[case("10.0.0.1", "unknown", "10.0.0.1")]
#[case("10.0.0.1", "1.2.3.4:5678", "1.2.3.4")]
#[case("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1")]
#[case("10.0.0.1", "[2001:db8::1]", "2001:db8::1")]
#[case("fd00::1", "2001:db8::1", "2001:db8::1")]
#[case("::ffff:10.0.0.1", "::ffff:1.2.3.4", "1.2.3.4")]
fn the_client_is_the_rightmost_address_that_is_no_trusted_proxy(
    #[case] address: &str,
    #[case] forwarded: &str,
    #[case] client: &str,
) {
    let client_addr = client_behind(address, &[("x-forwarded-for", forwarded)]);
    assert_eq!(client_addr.ip.to_string(), client);
}

#[rstest]
#[case::forwarded("1.2.3.4", "1.2.3.4")]
#[case::behind_a_second_proxy("6.6.6.6, 1.2.3.4, 10.9.9.9", "1.2.3.4")]
#[case::not_forwarded("", "unknown")]
#[case::not_an_address("unix:", "unknown")]
fn the_peer_of_a_unix_socket_is_a_proxy_without_an_address(
    #[case] forwarded: &str,
    #[case] client: &str,
) {
    let lines = [
        ("x-forwarded-for", forwarded),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "app.example"),
        ("host", "localhost"),
    ];
    let client_addr = client_of(PeerAddress::Unix, &lines);
    assert_eq!(client_addr.ip.to_string(), client);
    assert!(client_addr.is_https);
    assert_eq!(client_addr.own_origin.as_deref(), Some("https://app.example"));
}

#[rstest]
#[case("1.2.3.4", "https", "evil.example", false, "http://here")]
#[case("10.0.0.1", "https", "app.example", true, "https://app.example")]
#[case("10.0.0.1", "HTTPS", "App.Example:443", true, "https://app.example")]
#[case("10.0.0.1", "https, http", "a.example, b.example", false, "http://b.example")]
#[case("10.0.0.1", "http, https", "b.example:8443", true, "https://b.example:8443")]
#[case("10.0.0.1", "wss", "b.example:80", false, "http://b.example")]
fn scheme_and_host_come_from_the_nearest_proxy(
    #[case] address: &str,
    #[case] proto: &str,
    #[case] host: &str,
    #[case] https: bool,
    #[case] origin: &str,
) {
    let lines = [("x-forwarded-proto", proto), ("x-forwarded-host", host), ("host", "here")];
    let client = client_behind(address, &lines);
    assert_eq!((client.is_https, client.own_origin.as_deref()), (https, Some(origin)));
}

proptest! {
    #[test]
    fn without_a_trusted_proxy_no_header_changes_the_client(
        lines in prop::collection::vec(
            (
                prop::sample::select(vec!["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]),
                "[ -~]{0,40}",
            ),
            0..6,
        ),
    ) {
        let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
        prop_assert_eq!(client_behind("1.2.3.4", &lines), client_behind("1.2.3.4", &[]));
        // The same headers from a proxy must not cause a panic.
        let _ = client_behind("10.0.0.1", &lines);
    }
}

#[rstest]
#[case("192.168.1.20", Some("8080"), "http://192.168.1.20:8080")]
#[case("192.168.1.20", Some("80"), "http://192.168.1.20")]
#[case("192.168.1.20:8080", Some("80"), "http://192.168.1.20:8080")]
#[case("[::1]", Some("8080"), "http://[::1]:8080")]
#[case("[::1]:81", Some("8080"), "http://[::1]:81")]
#[case("192.168.1.20", Some("nonsense"), "http://192.168.1.20")]
#[case("192.168.1.20", Some("+8080"), "http://192.168.1.20")]
#[case("192.168.1.20", Some("443"), "http://192.168.1.20")]
#[case("192.168.1.20", None, "http://192.168.1.20")]
fn the_forwarded_port_is_used_if_the_host_has_none(
    #[case] host: &str,
    #[case] port: Option<&str>,
    #[case] origin: &str,
) {
    for (name, trusted) in [("x-forwarded-host", true), ("host", true), ("host", false)] {
        let port = port.map(|port| ("x-forwarded-port", port));
        let lines: Vec<_> = [(name, host)].into_iter().chain(port).collect();
        let client = client_behind(if trusted { "10.0.0.1" } else { "1.2.3.4" }, &lines);
        let without_port = format!("http://{host}");
        let expected = if trusted { origin } else { &without_port };
        assert_eq!(client.own_origin.as_deref(), Some(expected), "{name} {trusted}");
    }
}

#[rstest]
#[case("https", "80", "https://app.example")]
#[case("https", "443", "https://app.example")]
#[case("https", "8443", "https://app.example:8443")]
#[case("http", "443", "http://app.example")]
fn the_port_of_a_listener_behind_the_tls_proxy_is_ignored(
    #[case] proto: &str,
    #[case] port: &str,
    #[case] origin: &str,
) {
    let lines = [("x-forwarded-proto", proto), ("x-forwarded-port", port), ("host", "app.example")];
    assert_eq!(client_behind("10.0.0.1", &lines).own_origin.as_deref(), Some(origin));
}
