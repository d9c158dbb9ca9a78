//! `GATEWAY_EGRESS_PROXY`: the proxy through which the gateway calls GoTrue.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::error::Rule;

/// The URL of an HTTP proxy, which may contain a password.
#[derive(Clone, Debug)]
pub struct EgressProxy {
    url: SecretString,
    /// The URL without user, password and path.
    origin: String,
}

impl EgressProxy {
    pub(super) fn parse(text: &str) -> Result<Self, Rule> {
        // `rules::base_url` parses the other URLs, but it refuses a password.
        let url = Url::parse(text).ok().filter(|url| {
            let is_http = matches!(url.scheme(), "http" | "https");
            let has_other_parts =
                url.path() != "/" || url.query().is_some() || url.fragment().is_some();
            is_http && url.has_host() && !has_other_parts
        });
        let rule = "must be an http or https URL without path, query or fragment";
        let url = url.ok_or(Rule::Borrowed(rule))?;
        let origin = url.origin().ascii_serialization();
        Ok(Self { url: SecretString::from(String::from(url)), origin })
    }

    /// The URL with its password, for the HTTP client.
    pub(crate) fn url(&self) -> &str {
        self.url.expose_secret()
    }
}

/// Shows the URL without user and password.
impl fmt::Display for EgressProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::tests::{errors_of, parse};

    fn proxy(text: &str) -> Option<(String, String)> {
        let proxy = parse(&[("GATEWAY_EGRESS_PROXY", text)]).upstream.egress_proxy?;
        Some((proxy.url().to_owned(), format!("{proxy}")))
    }

    #[test]
    fn the_display_of_a_proxy_has_no_password() {
        let given = "http://user:hunter2@proxy.example:3128";
        let shown = "http://proxy.example:3128".to_owned();
        assert_eq!(proxy(given), Some((format!("{given}/"), shown)));
        assert_eq!(proxy(""), None);
    }

    #[rstest]
    #[case("proxy.example:3128")]
    #[case("socks5://proxy.example")]
    #[case("http://proxy.example/path")]
    #[case("http://proxy.example?query")]
    #[case("http://")]
    fn a_url_of_another_form_is_refused(#[case] text: &str) {
        assert_eq!(errors_of(&[("GATEWAY_EGRESS_PROXY", text)]).len(), 1);
    }
}
