//! Decides which requests the admin listener answers. The listener has no authentication, so it must refuse
//! requests that pages of other sites send from the operator's browser.
//!
//! 1. The request must name a host that an attacker's DNS server cannot bind to another address: an IP address,
//!    `localhost`, or one of `GATEWAY_ADMIN_HOSTS`. Else the response is 421 (RFC 9110, section 15.5.20). It is
//!    also 421 if the request names no host, or anything more than a host and a port.
//! 2. `Sec-Fetch-Site`, if present, must be `same-origin` or `none`. Else the response is 403.
//! 3. Without `Sec-Fetch-Site`, as in older browsers, an `Origin` must be that of the listener itself. Else the
//!    response is 403. With `Sec-Fetch-Site` the `Origin` is not compared, because a proxy may rewrite the
//!    host.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};

use crate::{
    csrf::origin::SEC_FETCH_SITE,
    http::{error::Error, state::AppState},
};

pub(in crate::http) async fn guard(
    State(app): State<Arc<AppState>>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let named =
        named_host(&request).filter(|named| is_allowed(named, &app.config.server.admin_hosts));
    let Some(named) = named else { return Err(Error::MisdirectedRequest) };
    if !is_own_page(request.headers(), named) {
        return Err(Error::CsrfCrossSite(None));
    }
    Ok(next.run(request).await)
}

/// The host and port that the request names. The authority of the request target takes precedence over `Host`
/// (RFC 9112, section 3.2.2).
fn named_host<B>(request: &axum::http::Request<B>) -> Option<&str> {
    match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(header::HOST)?.to_str().ok(),
    }
}

/// Whether the browser's headers say that no page of another site sent the request.
fn is_own_page(headers: &HeaderMap, named: &str) -> bool {
    if headers.contains_key(SEC_FETCH_SITE) {
        let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
        return sites.all(|site| site == "same-origin" || site == "none");
    }
    headers.get_all(header::ORIGIN).iter().all(|origin| {
        let origin = origin.to_str().ok();
        let host = origin.and_then(|o| o.strip_prefix("http://").or(o.strip_prefix("https://")));
        host.is_some_and(|host| host.eq_ignore_ascii_case(named))
    })
}

/// Whether `named` is an allowed host, with or without a port, and nothing more.
fn is_allowed(named: &str, allowed: &[String]) -> bool {
    let end_of_address = named.rfind(']').unwrap_or(0);
    let colon = named.rfind(':').filter(|colon| *colon > end_of_address);
    let (host, port) = named.split_at(colon.unwrap_or(named.len()));
    is_port(port) && is_allowed_host(host, allowed)
}

/// Whether `text` is empty, or a colon and a decimal port.
fn is_port(text: &str) -> bool {
    text.is_empty()
        || text.strip_prefix(':').is_some_and(|port| {
            port.bytes().all(|octet| octet.is_ascii_digit()) && port.parse::<u16>().is_ok()
        })
}

/// Whether requests may name `host`, which has no port; an IPv6 address is in brackets.
fn is_allowed_host(host: &str, allowed: &[String]) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address.strip_suffix(']').is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok());
    }
    if host.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    // `name.` is the absolute form of the same name (RFC 1034, section 3.1).
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    name == "localhost" || allowed.contains(&name)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use rstest::rstest;

    use super::*;

    fn is_answered(request: &Request<()>, allowed: &[String]) -> bool {
        named_host(request).is_some_and(|named| is_allowed(named, allowed))
    }

    #[rstest]
    #[case::ipv4("127.0.0.1:9090", true)]
    #[case::without_a_port("10.0.0.1", true)]
    #[case::ipv6("[::1]:9090", true)]
    #[case::ipv6_without_a_port("[2001:db8::1]", true)]
    #[case::localhost("localhost:9090", true)]
    #[case::capitals("LocalHost:9090", true)]
    #[case::absolute_name("localhost.:9090", true)]
    #[case::configured("admin.example.com:80", true)]
    #[case::configured_in_capitals("ADMIN.example.com.", true)]
    #[case::another("attacker.example", false)]
    #[case::below_a_configured_one("a.admin.example.com", false)]
    #[case::above_a_configured_one("example.com", false)]
    #[case::longer_than_localhost("localhost.attacker.example", false)]
    #[case::below_localhost("attacker.localhost", false)]
    #[case::two_dots("localhost..", false)]
    #[case::no_address("127.0.0.1.attacker.example", false)]
    #[case::a_name_of_digits("127.0.0.1.", false)]
    #[case::a_short_address("127.1", false)]
    #[case::a_number("2130706433", false)]
    #[case::a_name_in_brackets("[localhost]", false)]
    #[case::a_user("localhost@attacker.example", false)]
    #[case::a_name_as_a_user("attacker.example@localhost", false)]
    #[case::empty("", false)]
    #[case::more_behind_brackets("[::1]evil", false)]
    #[case::more_behind_brackets_and_a_port("[::1]evil:80", false)]
    #[case::brackets_that_do_not_end("[::1", false)]
    #[case::an_address_without_brackets("::1", false)]
    #[case::two_addresses("[::1][::1]", false)]
    #[case::the_last_port("localhost:65535", true)]
    #[case::no_port("localhost:65536", false)]
    #[case::a_large_port("127.0.0.1:99999", false)]
    #[case::a_port_of_letters("localhost:abc", false)]
    #[case::a_port_with_a_sign("localhost:+80", false)]
    #[case::a_port_of_nothing("localhost:", false)]
    #[case::two_ports("localhost:80:80", false)]
    #[case::a_space("localhost :80", false)]
    #[case::a_list("localhost, attacker.example", false)]
    fn only_names_that_cannot_be_bound_again_are_answered(#[case] host: &str, #[case] good: bool) {
        let allowed = ["admin.example.com".to_owned()];
        let request = Request::get("/").header("Host", host).body(()).unwrap();
        assert_eq!(is_answered(&request, &allowed), good);
        if let Ok(target) = Request::get(format!("http://{host}/")).body(()) {
            assert_eq!(is_answered(&target, &allowed), good, "as the request target");
        }
    }

    #[rstest]
    #[case("http://attacker.example/", "127.0.0.1", false)]
    #[case("http://127.0.0.1/", "attacker.example", true)]
    fn the_request_target_takes_precedence_over_the_host(
        #[case] target: &str,
        #[case] host: &str,
        #[case] good: bool,
    ) {
        let request = Request::get(target).header("Host", host).body(()).unwrap();
        assert_eq!(is_answered(&request, &[]), good);
    }

    #[test]
    fn a_request_without_any_host_is_refused() {
        assert!(!is_answered(&Request::get("/").body(()).unwrap(), &[]));
    }
}
