//! Settings that are allowed but weak, as far as the configuration alone shows them.

use std::{borrow::Cow, fmt};

use super::{Config, CookieSecure, Cookies};

use crate::session::cookies::CSRF_COOKIE;

/// A weak setting: nothing stops the gateway, but somebody should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The environment variable that would make it better.
    pub variable: &'static str,
    /// What is weak about it and what follows, one sentence without any value that is secret.
    pub weakness: Cow<'static, str>,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.weakness)
    }
}

impl Config {
    /// The weak settings that the configuration alone shows, for the log at start and for `check`.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let mut warn = |variable, weakness: Cow<'static, str>| {
            warnings.push(Warning { variable, weakness });
        };
        if self.secrets.current.is_none() {
            let weakness = "not set, so a random secret serves: a restart invalidates every CSRF \
                            token, and other instances refuse this one's";
            warn("GATEWAY_SECRET", weakness.into());
        }
        if self.cookies.secure == CookieSecure::Never && self.supabase.url.scheme() == "https" {
            let weakness = "false although the project is served by https: cookies are set and \
                            deleted without Secure";
            warn("GATEWAY_COOKIE_SECURE", weakness.into());
        }
        if self.trusted_proxies.is_empty() && !self.bind.ip().is_loopback() {
            let weakness = "none: behind a proxy every client has the proxy's address, and https is \
                            not seen";
            warn("GATEWAY_TRUSTED_PROXIES", weakness.into());
        }
        let (least, budget) = (self.cookies.least_set_cookie_bytes(), self.cookies.budget);
        if least > budget {
            let weakness = format!(
                "{budget} bytes do not hold the deletions that every logout carries, about {least} \
                 bytes at the configured domains and paths: at some of them cookies stay"
            );
            warn("GATEWAY_SET_COOKIE_BUDGET", weakness.into());
        }
        if self.drain_timeout < self.upstream_timeout {
            let weakness = "shorter than GATEWAY_UPSTREAM_TIMEOUT: a stop cuts off logouts that GoTrue \
                            is slow to answer";
            warn("GATEWAY_DRAIN_TIMEOUT", weakness.into());
        }
        warnings
    }
}

impl Cookies {
    /// About how many bytes the deletions take that are due in any case: the session cookie, its first
    /// chunk and the CSRF cookie, each at every scope.
    pub(crate) fn least_set_cookie_bytes(&self) -> usize {
        const ATTRIBUTES: usize = "Set-Cookie: =; Max-Age=0; Path=; SameSite=Lax; Secure\r\n".len();
        let domains = self.domains.iter().map(|domain| "; Domain=".len() + domain.len());
        let domains = std::iter::once(0).chain(domains);
        let paths = self.paths.iter().map(String::len);
        let scopes = domains.flat_map(|domain| paths.clone().map(move |path| domain + path));
        let names = [self.name.len(), self.name.len() + ".0".len(), CSRF_COOKIE.len()];
        let lines = scopes.flat_map(|scope| names.map(|name| ATTRIBUTES + name + scope));
        let partitioned = |line| if self.partitioned { line + "; Partitioned".len() } else { 0 };
        lines.map(|line| line + partitioned(line)).sum()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::tests::parse;

    const SECRET: (&str, &str) = ("GATEWAY_SECRET", "0123456789abcdef0123456789abcdef");

    #[rstest]
    #[case::none(&[SECRET], &[])]
    #[case::random_secret(&[], &["GATEWAY_SECRET"])]
    #[case::plain_cookies(
        &[SECRET, ("GATEWAY_COOKIE_SECURE", "false")],
        &["GATEWAY_COOKIE_SECURE"]
    )]
    #[case::plain_project(
        &[SECRET, ("GATEWAY_COOKIE_SECURE", "false"), ("SUPABASE_URL", "http://localhost")],
        &[]
    )]
    #[case::short_drain(&[SECRET, ("GATEWAY_DRAIN_TIMEOUT", "4s")], &["GATEWAY_DRAIN_TIMEOUT"])]
    #[case::small_budget(
        &[SECRET, ("GATEWAY_SET_COOKIE_BUDGET", "256"), ("GATEWAY_COOKIE_DOMAINS", "example.com")],
        &["GATEWAY_SET_COOKIE_BUDGET"]
    )]
    fn only_weak_settings_warn(#[case] given: &[(&str, &str)], #[case] variables: &[&str]) {
        let warnings = parse(given).warnings();
        let warned: Vec<_> = warnings.iter().map(|warning| warning.variable).collect();
        assert_eq!(warned, variables);
    }

    #[test]
    fn partitioned_deletions_need_twice_the_budget() {
        let plain = parse(&[]).cookies.least_set_cookie_bytes();
        let partitioned = parse(&[("GATEWAY_COOKIE_PARTITIONED", "true")]);
        let partitioned = partitioned.cookies.least_set_cookie_bytes();
        assert_eq!(partitioned, 2 * plain + 3 * "; Partitioned".len());
        let line = "Set-Cookie: sb-abc-auth-token=; Max-Age=0; Path=/; SameSite=Lax; Secure\r\n";
        let chunk = line.len() + ".0".len();
        let csrf = line.len() - "sb-abc-auth-token".len() + "sb-csrf-token".len();
        assert_eq!(plain, line.len() + chunk + csrf);
    }
}
