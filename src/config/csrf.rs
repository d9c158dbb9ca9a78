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
/// compared with the header `Origin` as text (RFC 6454, section 6.2). The pages of mobile apps and browser
/// extensions have origins of the same form: `capacitor://localhost`, `chrome-extension://<id>`.
pub(super) fn origin(entry: &str) -> Result<String, Rule> {
    let is_exact =
        Url::parse(entry).is_ok_and(|url| serialised_origin(&url).as_deref() == Some(entry));
    // `Url::parse` accepts `*` in a host name, so refuse it here.
    if is_exact && !entry.contains('*') {
        return Ok(entry.to_owned());
    }
    Err("must be exact origins as browsers write them, such as `https://app.example.com` or \
         `capacitor://localhost`: lower case, no default port, path, trailing slash or wildcard"
        .into())
}

/// The origin of `url` as browsers send it, `scheme://host[:port]`; `None` if they send none for it.
/// `Url::origin` would return an opaque origin for `capacitor://localhost`, but browsers send that origin as it
/// is.
pub(crate) fn serialised_origin(url: &Url) -> Option<String> {
    let host =
        url.host_str().filter(|host| !host.is_empty() && *host == host.to_ascii_lowercase())?;
    if url.scheme() == "file" || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{host}{port}", url.scheme()))
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
    #[case("capacitor://localhost")]
    #[case("tauri://localhost:1420")]
    #[case("chrome-extension://abcdefghijklmnopabcdefghijklmnop")]
    #[case("moz-extension://6b8f3b7c-0000-4000-8000-000000000000")]
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
    #[case("capacitor://Localhost")]
    #[case("capacitor://localhost/")]
    #[case("capacitor:localhost")]
    #[case("capacitor://user@localhost")]
    #[case("chrome-extension://*")]
    #[case("file://")]
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
