//! Which addresses a link or a sign-in may lead back to: GoTrue's `IsRedirectURLValid`, with prefixes in place of its
//! patterns.

use std::net::IpAddr;

use url::Url;

use crate::settings::Settings;

/// Host names whose port does not matter (RFC 8252, section 7.3).
const LOCAL_HOSTS: [&str; 5] = ["localhost", "127.0.0.1", "::1", "0.0.0.0", "::"];

pub(crate) fn is_allowed(address: &str, settings: &Settings) -> bool {
    let (Some(site), Some(url)) = (Origin::of(&settings.site_url), Origin::of(address)) else {
        return false;
    };
    let is_local = || {
        let host = url.host.to_lowercase();
        LOCAL_HOSTS.contains(&&*host) || host.ends_with(".localhost")
    };
    let is_site = site.scheme == url.scheme && site.host == url.host;
    if is_site && (site.port == url.port || is_local()) {
        return true;
    }
    if !url.host.is_empty() && url.host.bytes().all(|b| b.is_ascii_digit()) {
        // An IP address as one number.
        return false;
    }
    if let Ok(ip) = url.host.parse::<IpAddr>() {
        return ip.to_canonical().is_loopback();
    }
    if matches!(&*url.scheme, "http" | "https") && !is_host_name(url.host) {
        return false;
    }
    let without_fragment = address.split('#').next().unwrap_or_default();
    settings.redirect_prefixes.iter().any(|prefix| without_fragment.starts_with(prefix))
}

/// The beginning of an address as it is written. The `url` crate would turn a number into an IP address.
struct Origin<'a> {
    /// In lower case.
    scheme: String,
    /// Without the brackets of an IPv6 address.
    host: &'a str,
    port: &'a str,
}

impl<'a> Origin<'a> {
    /// `None` for what is not an address.
    fn of(address: &'a str) -> Option<Self> {
        let scheme = Url::parse(address).ok()?.scheme().to_owned();
        let (_, rest) = address.split_once(':')?;
        let authority = rest.strip_prefix("//").unwrap_or_default();
        let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = match host.strip_prefix('[') {
            Some(ip) => {
                let (ip, rest) = ip.split_once(']')?;
                (ip, rest.strip_prefix(':').unwrap_or_default())
            }
            None => host.split_once(':').unwrap_or((host, "")),
        };
        Some(Self { scheme, host, port })
    }
}

/// GoTrue's pattern of a usual host name.
fn is_host_name(host: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    let ends = [host.bytes().next(), host.bytes().last()];
    ends.into_iter().all(|end| end.is_some_and(|b| b.is_ascii_alphanumeric()))
        && host.bytes().all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(site: &str, address: &str) -> bool {
        let redirect_prefixes =
            ["https://app.example.com/", "http://10.0.0.1", "myapp://", "http://2130706433"];
        let redirect_prefixes = redirect_prefixes.map(str::to_owned).to_vec();
        let settings =
            Settings { site_url: site.to_owned(), redirect_prefixes, ..Settings::default() };
        is_allowed(address, &settings)
    }

    #[test]
    fn the_site_every_loopback_address_and_the_prefixes_are_allowed() {
        for (site, address) in [
            ("https://example.com", "https://example.com/any?path#x"),
            ("http://localhost:3000", "http://localhost:4000"),
            ("http://0.0.0.0:3000", "http://0.0.0.0:4000"),
            ("http://[::]:3000", "http://[::]:4000"),
            ("http://a.localhost:3000", "http://a.localhost:4000"),
            ("https://example.com", "http://127.0.0.1:99"),
            ("https://example.com", "http://127.9.9.9"),
            ("https://example.com", "http://[::1]/"),
            ("https://example.com", "http://[::ffff:127.0.0.1]/"),
            ("https://example.com", "https://app.example.com/in"),
            ("https://example.com", "myapp://callback"),
        ] {
            assert!(allowed(site, address), "{site} {address}");
        }
    }

    #[test]
    fn other_hosts_ports_and_ip_addresses_are_refused_even_if_a_prefix_has_them() {
        for (site, address) in [
            ("https://example.com", ""),
            ("https://example.com", "/path"),
            ("https://example.com", "https://example.com:444"),
            ("https://example.com", "http://example.com"),
            ("https://example.com", "https://example.com@evil.com"),
            ("https://example.com", "http://localhost"),
            ("https://example.com", "http://0.0.0.0"),
            ("https://example.com", "http://10.0.0.1"),
            ("https://example.com", "http://2130706433"),
            ("https://example.com", "https://-app.example.com/"),
        ] {
            assert!(!allowed(site, address), "{site} {address}");
        }
    }
}
