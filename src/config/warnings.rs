//! Warnings about weak settings that can be found without a connection to the store or to GoTrue.

mod network;
mod public_suffixes;

use std::{borrow::Cow, collections::BTreeSet, env, ffi::OsString, fmt, time::Duration};

use jsonwebtoken::Algorithm;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

pub(crate) use self::network::is_open_to_all;
use super::{CSRF_COOKIE, Config, CookieSecure, Cookies, Issuer, Supabase};

/// A secret is weak if it has fewer different characters than this.
const LEAST_DIFFERENT_CHARACTERS: usize = 16;
const A_MINUTE: Duration = Duration::from_mins(1);
/// The first version of GoTrue (major, minor) that answers a second logout of one session with
/// `session_not_found` instead of ending all sessions of the user.
const FIRST_SAFE_GOTRUE: (u32, u32) = (2, 150);

/// A warning about a weak setting. The gateway serves nevertheless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Warning {
    /// The environment variable to change.
    pub(crate) variable: &'static str,
    /// The weakness, its consequence and the remedy, without secrets.
    pub(crate) message: Cow<'static, str>,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.message)
    }
}

impl Warning {
    /// A warning about `variable`. `message` names the weakness, its consequence and the remedy.
    pub(crate) fn new(variable: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { variable, message: message.into() }
    }

    /// A warning about the store, such as a file that other users may read.
    pub(crate) fn store(message: String) -> Self {
        Self::new("GATEWAY_STORE", message)
    }

    /// A warning if GoTrue's version (major and minor) is known and too old.
    pub(crate) fn old_gotrue(version: Option<(u32, u32)>) -> Option<Self> {
        let (major, minor) = version.filter(|version| *version < FIRST_SAFE_GOTRUE)?;
        let message = format!(
            "GoTrue {major}.{minor} is older than 2.150 and treats a second logout of one session as a logout of \
             all sessions of its user: update GoTrue"
        );
        Some(Self::new("GOTRUE_URL", message))
    }

    /// Logs the warning.
    pub(crate) fn log(&self) {
        tracing::warn!(variable = self.variable, "{}", self.message);
    }
}

impl Config {
    /// The warnings that need no connection to the store or to GoTrue.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        let weak = [
            self.weak_secret(),
            self.weak_previous_secret(),
            self.store_in_memory(),
            self.unencrypted_redis(),
            self.supabase.unencrypted_gotrue(),
            self.exposed_admin_listener(),
            self.open_socket(),
            self.http_origins(),
            self.insecure_cookies(),
            self.trusted_proxies_warning(),
            self.short_token_lifetime(),
            self.small_budget(),
            self.short_drain(),
        ];
        weak.into_iter().flatten().chain(self.public_suffixes()).collect()
    }

    fn weak_secret(&self) -> Option<Warning> {
        let message = match &self.secrets.current {
            None => {
                "not set: the gateway uses a random secret, so a restart invalidates every CSRF token, and other \
                 instances refuse the tokens of this one; set the same secret on every instance \
                 (openssl rand -base64 32)"
            }
            Some(secret) if !has_many_characters(secret) => {
                "it has fewer than 16 different characters: an attacker who guesses it can forge CSRF tokens and \
                 decrypt the queue; replace it with a random one (openssl rand -base64 32)"
            }
            Some(_) => return None,
        };
        Some(Warning::new("GATEWAY_SECRET", message))
    }

    fn weak_previous_secret(&self) -> Option<Warning> {
        let message = "it has fewer than 16 different characters: an attacker who guesses it can forge CSRF \
                        tokens while it is accepted; unset it once the CSRF tokens and queued logouts that were \
                        made with it are gone";
        let weak = self.secrets.previous.as_ref().is_some_and(|s| !has_many_characters(s));
        weak.then(|| Warning::new("GATEWAY_SECRET_PREVIOUS", message))
    }

    fn store_in_memory(&self) -> Option<Warning> {
        let message = "memory is lost at a restart: verify then accepts tokens of ended sessions again; and a \
                        logout fails while GoTrue does not answer, because there is no queue; use \
                        `file:<path>`, or a Redis for several instances";
        (!self.store.address.is_durable()).then(|| Warning::new("GATEWAY_STORE", message))
    }

    fn http_origins(&self) -> Option<Warning> {
        let plain: Vec<_> = self
            .csrf
            .allowed_origins
            .iter()
            .filter(|o| o.starts_with("http://"))
            .cloned()
            .collect();
        let weak = !plain.is_empty() && is_https(&self.supabase.project.url);
        weak.then(|| {
            let message = format!(
                "pages of {} may call the gateway although the project uses https: an attacker in the network can \
                 inject a script into such a page that logs users out; allow the https origin instead",
                plain.join(", ")
            );
            Warning::new("GATEWAY_ALLOWED_ORIGINS", message)
        })
    }

    fn insecure_cookies(&self) -> Option<Warning> {
        let weak =
            self.cookies.secure == CookieSecure::Never && is_https(&self.supabase.project.url);
        let message = "false although the project uses https: the gateway sets and deletes cookies without \
                        Secure; leave it at `auto`";
        weak.then(|| Warning::new("GATEWAY_COOKIE_SECURE", message))
    }

    fn short_token_lifetime(&self) -> Option<Warning> {
        let message = "less than a minute: after that time the gateway forgets a logout with the scope \
                        `global` or `others`, and verify accepts tokens of the ended sessions again until they \
                        expire; set the longest lifetime of your project's access tokens";
        let short = self.store.max_token_lifetime < A_MINUTE;
        short.then(|| Warning::new("GATEWAY_MAX_TOKEN_LIFETIME", message))
    }

    fn small_budget(&self) -> Option<Warning> {
        let (least, budget) = (self.cookies.least_set_cookie_bytes(), self.cookies.budget);
        (least > budget).then(|| {
            let message = format!(
                "{budget} bytes cannot hold the deletions of every logout, about {least} bytes for the configured \
                 domains and paths: after a logout some of the cookies remain in the browser; raise it"
            );
            Warning::new("GATEWAY_SET_COOKIE_BUDGET", message)
        })
    }

    fn short_drain(&self) -> Option<Warning> {
        let message = "shorter than GATEWAY_UPSTREAM_TIMEOUT: a stop aborts logouts that GoTrue answers \
                        slowly; raise it to that time or more";
        let short = self.server.drain_timeout < self.upstream.timeout;
        short.then(|| Warning::new("GATEWAY_DRAIN_TIMEOUT", message))
    }

    fn public_suffixes(&self) -> impl Iterator<Item = Warning> {
        let suffixes =
            self.cookies.domains.iter().filter(|domain| public_suffixes::contains(domain));
        suffixes.map(|domain| {
            let message = format!(
                "{domain} is a public suffix, under which strangers register domains: browsers ignore cookies for it \
                 (RFC 6265, section 5.3), so the gateway cannot delete any there; name your own domain"
            );
            Warning::new("GATEWAY_COOKIE_DOMAINS", message)
        })
    }
}

impl Supabase {
    /// A warning if GoTrue publishes another issuer than the gateway expects.
    pub(crate) fn issuer_warning(&self, published: Option<&str>) -> Option<Warning> {
        let Some(published) = published else {
            let is_needed = !self.issuers.is_empty() && !self.issuers.contains(&Issuer::Absent);
            let message = "GoTrue publishes no issuer, and the list does not have `none`: if the tokens of this GoTrue have \
                           no issuer, the gateway refuses them; add `none`, or unset the variable";
            return is_needed.then(|| Warning::new("GATEWAY_JWT_ISSUER", message));
        };
        if self.issuers.is_empty() {
            let is_default = self.project.default_issuers.iter().any(|issuer| issuer == published);
            let message = format!(
                "GoTrue's issuer is {published}, and SUPABASE_URL is another URL: the gateway accepts that issuer, but the \
                 browser's client may use that URL and name its cookie after it; set SUPABASE_URL to the URL that \
                 browsers use and GOTRUE_URL to the one that the gateway can reach, or set GATEWAY_COOKIE_NAME"
            );
            return (!is_default).then(|| Warning::new("SUPABASE_URL", message));
        }
        let is_listed = self.issuers.contains(&Issuer::Named(published.to_owned()));
        let message = format!(
            "GoTrue's issuer is {published}, which is not in the list: the gateway refuses the tokens that GoTrue \
             issues; add it, or unset the variable"
        );
        (!is_listed).then(|| Warning::new("GATEWAY_JWT_ISSUER", message))
    }

    /// A warning if `SUPABASE_JWT_SECRET` is set although the project has signing keys, or is missing although
    /// the project has none. `has_keys` says whether the project's key set has keys that can verify tokens. There
    /// is no warning if HS256 is not allowed, because the secret then has no effect.
    pub(crate) fn secret_warning(&self, has_keys: bool) -> Option<Warning> {
        if !self.allows(Algorithm::HS256) {
            return None;
        }
        let message = match (&self.jwt_secret, has_keys) {
            (Some(_), true) => {
                "set although the project publishes signing keys: an attacker who knows an old secret can make \
                 tokens that verify accepts; unset it once the project signs with its keys and the last token \
                 that was signed with the secret has expired"
            }
            (None, false) => {
                "not set although the project signs with HS256: the gateway asks GoTrue about every token, and \
                 while GoTrue does not answer, the gateway neither queues logouts nor adds them to the revocation \
                 list, and verify answers 503; set it"
            }
            _ => return None,
        };
        Some(Warning::new("SUPABASE_JWT_SECRET", message))
    }
}

/// A warning if the environment names an HTTP proxy (`HTTPS_PROXY`), which other programs use and the gateway
/// does not. There is no warning if `GATEWAY_EGRESS_PROXY` is set.
pub(crate) fn unused_proxies(config: &Config) -> Option<Warning> {
    let has_egress_proxy = config.upstream.egress_proxy.is_some();
    unused_proxies_of(|variable| env::var_os(variable)).filter(|_| !has_egress_proxy)
}

fn unused_proxies_of(value: impl Fn(&str) -> Option<OsString>) -> Option<Warning> {
    let set = ["HTTPS_PROXY", "https_proxy"]
        .into_iter()
        .find(|variable| value(variable).is_some_and(|proxy| !proxy.is_empty()))?;
    let message = "set, but the gateway does not use it and connects to GoTrue directly; if a proxy is the only way \
                    to GoTrue, set GATEWAY_EGRESS_PROXY";
    Some(Warning::new(set, message))
}

/// Whether a secret has enough different characters to be random: 32 random bytes have at least 16 different
/// characters in hexadecimal, and more in Base64.
fn has_many_characters(secret: &SecretString) -> bool {
    secret.expose_secret().chars().collect::<BTreeSet<_>>().len() >= LEAST_DIFFERENT_CHARACTERS
}

fn is_https(url: &Url) -> bool {
    url.scheme() == "https"
}

impl Cookies {
    /// The approximate size in bytes of the `Set-Cookie` lines that every logout sends: they delete the
    /// session cookie, its first chunk and the CSRF cookie at every configured domain and path.
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
