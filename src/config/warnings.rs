//! Settings that are allowed but weak, as far as the configuration alone shows them.

mod network;

use std::{borrow::Cow, collections::BTreeSet, env, ffi::OsString, fmt, time::Duration};

use jsonwebtoken::Algorithm;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{Config, CookieSecure, Cookies, Supabase};

use crate::session::cookies::CSRF_COOKIE;

/// Contract, section 13.
const LEAST_CHARACTERS: usize = 16;
const A_MINUTE: Duration = Duration::from_mins(1);
/// The first GoTrue that answers `session_not_found` to a second logout of one session.
const KNOWS_ENDED_SESSIONS: (u32, u32) = (2, 150);

/// A weak setting: the gateway serves all the same, and the operator is warned.
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

impl Warning {
    /// `weakness` says what is weak about the variable, what follows and what to do.
    pub fn new(variable: &'static str, weakness: impl Into<Cow<'static, str>>) -> Self {
        Self { variable, weakness: weakness.into() }
    }

    /// What a store was found to lack.
    #[must_use]
    pub fn of_the_store(weakness: String) -> Self {
        Self::new("GATEWAY_STORE", weakness)
    }

    /// GoTrue of this version (major and minor) mistakes a second logout, unless it is new enough or
    /// unknown.
    #[must_use]
    pub fn of_an_old_gotrue(version: Option<(u32, u32)>) -> Option<Self> {
        let (major, minor) = version.filter(|version| *version < KNOWS_ENDED_SESSIONS)?;
        let weakness = format!(
            "GoTrue there is {major}.{minor}, and before 2.150 it takes a second logout of one session \
             for one of all sessions of its user: update it"
        );
        Some(Self::new("GOTRUE_URL", weakness))
    }

    /// Logs it at the level `warn`.
    pub fn log(&self) {
        tracing::warn!(variable = self.variable, "{}", self.weakness);
    }
}

impl Config {
    /// The weak settings that the configuration alone shows, for the log at start and for `check`.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let weak = [
            self.weak_secret(),
            self.weak_previous_secret(),
            self.volatile_store(),
            self.unencrypted_redis(),
            self.supabase.unencrypted_gotrue(),
            self.exposed_admin_listener(),
            self.plain_origins(),
            self.plain_cookies(),
            self.trusted_proxies_warning(),
            self.short_token_lifetime(),
            self.small_budget(),
            self.short_drain(),
        ];
        weak.into_iter().flatten().chain(self.public_suffixes()).collect()
    }

    fn weak_secret(&self) -> Option<Warning> {
        let weakness = match &self.secrets.current {
            None => {
                "not set, so a random secret serves: a restart invalidates every CSRF token, and \
                 other instances refuse this one's; set one, the same on every instance \
                 (openssl rand -base64 32)"
            }
            Some(secret) if !has_many_characters(secret) => {
                "fewer than 16 different characters: an attacker who guesses it can forge CSRF tokens and decrypt \
                 the queue; replace it by a random one (openssl rand -base64 32)"
            }
            Some(_) => return None,
        };
        Some(Warning::new("GATEWAY_SECRET", weakness))
    }

    fn weak_previous_secret(&self) -> Option<Warning> {
        let weakness = "fewer than 16 different characters: an attacker who guesses it can forge CSRF \
                        tokens as long as it is accepted; unset it once the CSRF tokens and the queued \
                        logouts of before are gone";
        let weak = self.secrets.previous.as_ref().is_some_and(|s| !has_many_characters(s));
        weak.then(|| Warning::new("GATEWAY_SECRET_PREVIOUS", weakness))
    }

    fn volatile_store(&self) -> Option<Warning> {
        let weakness = "memory: after a restart verify accepts tokens of sessions that were logged \
                        out before it, and a logout fails while GoTrue does not answer; use \
                        `file:<path>`, or a Redis for several instances";
        (!self.store.is_durable()).then(|| Warning::new("GATEWAY_STORE", weakness))
    }

    fn plain_origins(&self) -> Option<Warning> {
        let plain: Vec<_> =
            self.allowed_origins.iter().filter(|o| o.starts_with("http://")).cloned().collect();
        let weak = !plain.is_empty() && is_https(&self.supabase.url);
        weak.then(|| {
            let weakness = format!(
                "{} may call although the project is served by https: an attacker in the network can \
                 put a script into such a page that logs users out; allow its https origin",
                plain.join(", ")
            );
            Warning::new("GATEWAY_ALLOWED_ORIGINS", weakness)
        })
    }

    fn plain_cookies(&self) -> Option<Warning> {
        let weak = self.cookies.secure == CookieSecure::Never && is_https(&self.supabase.url);
        let weakness = "false although the project is served by https: cookies are set and deleted \
                        without Secure; leave it at `auto`";
        weak.then(|| Warning::new("GATEWAY_COOKIE_SECURE", weakness))
    }

    fn short_token_lifetime(&self) -> Option<Warning> {
        let weakness = "less than a minute: after that verify accepts again what a logout of the \
                        scopes `global` or `others` ended, while its tokens are still valid; set the \
                        longest lifetime that your project gives to access tokens";
        let short = self.max_token_lifetime < A_MINUTE;
        short.then(|| Warning::new("GATEWAY_MAX_TOKEN_LIFETIME", weakness))
    }

    fn small_budget(&self) -> Option<Warning> {
        let (least, budget) = (self.cookies.least_set_cookie_bytes(), self.cookies.budget);
        (least > budget).then(|| {
            let weakness = format!(
                "{budget} bytes do not hold the deletions that every logout carries, about {least} \
                 bytes at the configured domains and paths: at some of them cookies stay"
            );
            Warning::new("GATEWAY_SET_COOKIE_BUDGET", weakness)
        })
    }

    fn short_drain(&self) -> Option<Warning> {
        let weakness = "shorter than GATEWAY_UPSTREAM_TIMEOUT: a stop cuts off logouts that GoTrue is \
                        slow to answer";
        let short = self.drain_timeout < self.upstream_timeout;
        short.then(|| Warning::new("GATEWAY_DRAIN_TIMEOUT", weakness))
    }

    fn public_suffixes(&self) -> impl Iterator<Item = Warning> {
        let suffixes = self.cookies.domains.iter().filter(|domain| is_public_suffix(domain));
        suffixes.map(|domain| {
            let weakness = format!(
                "{domain} is a public suffix, under which strangers have domains: browsers ignore \
                 cookies of it (RFC 6265, section 5.3), so none is deleted there; name your own \
                 domain"
            );
            Warning::new("GATEWAY_COOKIE_DOMAINS", weakness)
        })
    }
}

impl Supabase {
    /// `has_keys` says whether the project's key set has keys to verify tokens with. Where HS256 is left out,
    /// neither the secret nor its absence means anything.
    #[must_use]
    pub fn secret_warning(&self, has_keys: bool) -> Option<Warning> {
        if !self.allows(Algorithm::HS256) {
            return None;
        }
        let weakness = match (&self.jwt_secret, has_keys) {
            (Some(_), true) => {
                "set although the project publishes signing keys: an attacker who knows an old \
                 secret can still make tokens that verify accepts; remove it once the project signs with its \
                 keys and the last token of the secret has expired"
            }
            (None, false) => {
                "not set, and the project signs with HS256: GoTrue is asked about every token, and \
                 while it does not answer, logouts are not queued, the revocation list does not have \
                 them, and verify is 503; set it"
            }
            _ => return None,
        };
        Some(Warning::new("SUPABASE_JWT_SECRET", weakness))
    }
}

/// Proxies of the environment, which other programs use and the gateway does not.
#[must_use]
pub fn unused_proxies() -> Option<Warning> {
    unused_proxies_of(|variable| env::var_os(variable))
}

fn unused_proxies_of(value: impl Fn(&str) -> Option<OsString>) -> Option<Warning> {
    let set = ["HTTPS_PROXY", "https_proxy"]
        .into_iter()
        .find(|variable| value(variable).is_some_and(|proxy| !proxy.is_empty()))?;
    let weakness = "set, and not used: the gateway connects to GoTrue directly; if that is not \
                    possible, set GOTRUE_URL to an address that can be reached without a proxy";
    Some(Warning::new(set, weakness))
}

/// A random secret of 32 bytes has more in any usual encoding, but for hexadecimal digits, which are 16.
fn has_many_characters(secret: &SecretString) -> bool {
    secret.expose_secret().chars().collect::<BTreeSet<_>>().len() >= LEAST_CHARACTERS
}

fn is_https(url: &Url) -> bool {
    url.scheme() == "https"
}

/// Whether browsers take the whole domain for a public suffix, by the list that was compiled in.
fn is_public_suffix(domain: &str) -> bool {
    let suffix = psl::suffix(domain.as_bytes());
    suffix.is_some_and(|suffix| suffix.is_known() && suffix.as_bytes() == domain.as_bytes())
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
mod tests;
