//! The rules for the settings of the CSRF check: its mode and the allowed origins.

use url::Url;

use super::{choice::Choice, error::Rule};

/// How the gateway checks the CSRF token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsrfMode {
    /// The gateway signs the CSRF token and binds it to the session.
    Signed,
    /// The CSRF header must equal the CSRF cookie, for applications that make their own token.
    DoubleSubmit,
}

impl Choice for CsrfMode {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("signed", Self::Signed), ("double-submit", Self::DoubleSubmit)];
}

/// An origin of `GATEWAY_ALLOWED_ORIGINS`. It must be written exactly as browsers serialise it, because it is
/// compared with the header `Origin` as text (RFC 6454, section 6.2).
pub(super) fn origin(entry: &str) -> Result<String, Rule> {
    let http = entry.starts_with("http://") || entry.starts_with("https://");
    // `Url::parse` accepts `*` in a host name, so refuse it here.
    let serialised = Url::parse(entry).ok().filter(|_| http && !entry.contains('*'));
    serialised
        .map(|url| url.origin().ascii_serialization())
        .filter(|serialised| serialised == entry)
        .ok_or_else(|| {
            "must be exact http or https origins as browsers write them: lower case, no default port, \
             path, trailing slash or wildcard"
                .into()
        })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{
        super::tests::{errors_of, parse},
        origin,
    };

    #[rstest]
    #[case("https://app.example.com")]
    #[case("http://localhost:3000")]
    #[case("https://xn--bcher-kva.example")]
    #[case("http://[::1]:3000")]
    fn an_origin_as_browsers_write_it_is_accepted(#[case] entry: &str) {
        assert_eq!(origin(entry).unwrap(), entry);
    }

    #[rstest]
    #[case("https://app.example.com/")]
    #[case("https://app.example.com/path")]
    #[case("https://app.example.com:443")]
    #[case("http://localhost:80")]
    #[case("HTTPS://app.example.com")]
    #[case("https://App.example.com")]
    #[case("https://bücher.example")]
    #[case("https://*.example.com")]
    #[case("https://user@app.example.com")]
    #[case("https://app.example.com?query")]
    #[case("app.example.com")]
    #[case("ftp://app.example.com")]
    #[case("file:///app")]
    #[case("*")]
    #[case("null")]
    fn any_other_spelling_of_an_origin_is_refused(#[case] entry: &str) {
        assert!(origin(entry).is_err());
    }

    #[test]
    fn a_previous_secret_requires_a_current_secret() {
        let old = "p".repeat(32);
        let errors = errors_of(&[("GATEWAY_SECRET_PREVIOUS", &old)]);
        assert_eq!(errors, ["GATEWAY_SECRET_PREVIOUS: requires GATEWAY_SECRET to be set as well"]);
        let secrets = parse(&[("GATEWAY_SECRET_PREVIOUS", &old), ("GATEWAY_SECRET", &old)]).secrets;
        assert!(secrets.current.is_some() && secrets.previous.is_some());
    }
}
