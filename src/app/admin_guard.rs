//! Decides which requests the admin listener answers. It has no authentication, so it must refuse pages
//! of other sites in the operator's browser.
//!
//! 1. The request names a host that no DNS server of an attacker can bind to another address: an IP
//!    address, `localhost`, or one of `GATEWAY_ADMIN_HOSTS`. Else the answer is 421 (RFC 9110,
//!    section 15.5.20). A request that names no host is refused as well.
//! 2. `Sec-Fetch-Site`, if present, is `same-origin` or `none`. Else the answer is 403.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    http::{header, uri::Authority},
    middleware::Next,
    response::Response,
};

use super::App;
use crate::{csrf::origin::SEC_FETCH_SITE, error::Error};

pub(super) async fn guard(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    if !names_an_allowed_host(&request, &app.config.admin_hosts) {
        return Err(Error::MisdirectedRequest);
    }
    let mut sites = request.headers().get_all(SEC_FETCH_SITE).iter();
    if !sites.all(|site| site == "same-origin" || site == "none") {
        return Err(Error::CsrfCrossSite);
    }
    Ok(next.run(request).await)
}

/// The authority of the request target counts before `Host` (RFC 9112, section 3.2.2).
fn names_an_allowed_host<B>(request: &axum::http::Request<B>, allowed: &[String]) -> bool {
    let host = || Authority::try_from(request.headers().get(header::HOST)?.as_bytes()).ok();
    let authority = request.uri().authority().cloned().or_else(host);
    authority
        .is_some_and(|named| !named.as_str().contains('@') && is_allowed(named.host(), allowed))
}

/// `host` has no port; an IPv6 address stands in brackets.
fn is_allowed(host: &str, allowed: &[String]) -> bool {
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
    fn only_names_that_cannot_be_bound_again_are_answered(#[case] host: &str, #[case] good: bool) {
        let allowed = ["admin.example.com".to_owned()];
        let request = Request::get("/").header("Host", host).body(()).unwrap();
        assert_eq!(names_an_allowed_host(&request, &allowed), good);
        if let Ok(target) = Request::get(format!("http://{host}/")).body(()) {
            assert_eq!(names_an_allowed_host(&target, &allowed), good, "as the target");
        }
    }

    #[rstest]
    #[case("http://attacker.example/", "127.0.0.1", false)]
    #[case("http://127.0.0.1/", "attacker.example", true)]
    fn the_target_counts_before_the_host(
        #[case] target: &str,
        #[case] host: &str,
        #[case] good: bool,
    ) {
        let request = Request::get(target).header("Host", host).body(()).unwrap();
        assert_eq!(names_an_allowed_host(&request, &[]), good);
    }

    #[test]
    fn a_request_without_any_host_is_refused() {
        assert!(!names_an_allowed_host(&Request::get("/").body(()).unwrap(), &[]));
    }
}
