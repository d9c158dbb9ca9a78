//! How a request proves that the user meant it.

use std::ffi::OsString;

use clap::Args;
use secrecy::SecretString;
use url::Url;

use super::{
    error::{ConfigErrors, Noted, Rule},
    rules::{list_or_none, one_of, secret},
};

/// What the CSRF keys are derived from.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// `GATEWAY_SECRET`; `None` means a random one for the life of the process.
    pub current: Option<SecretString>,
    /// `GATEWAY_SECRET_PREVIOUS`: still accepted, never used to mint.
    pub previous: Option<SecretString>,
}

/// How the CSRF token is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsrfMode {
    /// Signed by the gateway and bound to the session.
    Signed,
    /// Header equals cookie, for apps that mint their own token.
    DoubleSubmit,
}

#[derive(Args)]
#[command(next_help_heading = "CSRF")]
pub(super) struct CsrfArgs {
    /// What the keys are derived from, 32 bytes or more, the same on every instance. Better given in
    /// the environment: others can read a process's flags. Default: random at start, with a warning
    #[arg(long, env = "GATEWAY_SECRET", value_name = "SECRET")]
    secret: Option<OsString>,
    /// The secret before the present one, accepted while it is being replaced, 32 bytes or more;
    /// needs `GATEWAY_SECRET`. Default: none
    #[arg(long, env = "GATEWAY_SECRET_PREVIOUS", value_name = "SECRET")]
    secret_previous: Option<OsString>,
    /// Origins besides the gateway's own that may call it from a browser, comma-separated, each as a
    /// browser writes it: `https://app.example.com`. Default: none
    #[arg(long, env = "GATEWAY_ALLOWED_ORIGINS", value_name = "ORIGINS")]
    allowed_origins: Option<OsString>,
    /// `signed`: a token by the gateway, bound to the session. `double-submit`: header equals cookie,
    /// for apps that mint their own token. Default: `signed`
    #[arg(long, env = "GATEWAY_CSRF_MODE", value_name = "MODE")]
    csrf_mode: Option<OsString>,
}

pub(super) struct Csrf {
    pub(super) secrets: Secrets,
    pub(super) allowed_origins: Vec<String>,
    pub(super) mode: CsrfMode,
}

impl Csrf {
    pub(super) fn read(args: CsrfArgs, faults: &mut ConfigErrors) -> Result<Self, Noted> {
        let current = faults.optional("GATEWAY_SECRET", args.secret, secret);
        let previous = faults.optional("GATEWAY_SECRET_PREVIOUS", args.secret_previous, secret);
        if let (Ok(None), Ok(Some(_))) = (&current, &previous) {
            faults.note("GATEWAY_SECRET_PREVIOUS", "needs GATEWAY_SECRET beside it");
        }
        let origins = list_or_none(origin);
        let origins =
            faults.or("GATEWAY_ALLOWED_ORIGINS", args.allowed_origins, Vec::new(), origins);
        let modes = [("signed", CsrfMode::Signed), ("double-submit", CsrfMode::DoubleSubmit)];
        let mode = faults.or("GATEWAY_CSRF_MODE", args.csrf_mode, CsrfMode::Signed, one_of(&modes));
        Ok(Self {
            secrets: Secrets { current: current?, previous: previous? },
            allowed_origins: origins?,
            mode: mode?,
        })
    }
}

/// An origin exactly as browsers serialise it, for it is compared as text (RFC 6454, section 6.2).
fn origin(entry: &str) -> Result<String, Rule> {
    let http = entry.starts_with("http://") || entry.starts_with("https://");
    // A wildcard is a host like any other to the URL standard.
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
        super::tests::{faults_of, parse},
        origin,
    };

    #[rstest]
    #[case("https://app.example.com")]
    #[case("http://localhost:3000")]
    #[case("https://xn--bcher-kva.example")]
    #[case("http://[::1]:3000")]
    fn an_origin_as_browsers_write_it(#[case] entry: &str) {
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
    fn another_way_to_write_it_is_refused(#[case] entry: &str) {
        assert!(origin(entry).is_err());
    }

    #[test]
    fn a_previous_secret_needs_a_present_one() {
        let old = "p".repeat(32);
        let faults = faults_of(&[("GATEWAY_SECRET_PREVIOUS", &old)]);
        assert_eq!(faults, ["GATEWAY_SECRET_PREVIOUS: needs GATEWAY_SECRET beside it"]);
        let secrets = parse(&[("GATEWAY_SECRET_PREVIOUS", &old), ("GATEWAY_SECRET", &old)]).secrets;
        assert!(secrets.current.is_some() && secrets.previous.is_some());
    }
}
