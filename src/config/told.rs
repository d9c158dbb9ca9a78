//! The configuration in one line of the log: what a person asks first who looks into somebody's gateway.

use std::fmt;

use humantime::format_duration;
use secrecy::SecretString;

use super::{Config, StoreAddress};

impl Config {
    /// Says how the gateway is configured; of a secret, only whether it is set.
    pub fn tell(&self) {
        let Self { supabase, secrets, cookies, limits, .. } = self;
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            supabase_url = %supabase.url,
            gotrue_url = %supabase.gotrue_url,
            api_key = set(supabase.api_key.as_ref()),
            jwt_secret = set(supabase.jwt_secret.as_ref()),
            jwt_issuer = supabase.issuers.join(","),
            jwt_audience = supabase.audiences.join(","),
            secret = set(secrets.current.as_ref()),
            secret_previous = set(secrets.previous.as_ref()),
            allowed_origins = self.allowed_origins.join(","),
            csrf_mode = ?self.csrf_mode,
            cookie_name = cookies.name,
            cookie_domains = cookies.domains.join(","),
            cookie_paths = cookies.paths.join(","),
            default_scope = self.default_scope.as_str(),
            store = %self.store,
            upstream_timeout = %format_duration(self.upstream_timeout),
            drain_timeout = %format_duration(self.drain_timeout),
            max_in_flight = limits.in_flight,
            max_connections = limits.connections,
            trusted_proxies = self.trusted_proxies.len(),
            threads = self.threads,
            "starting"
        );
    }
}

fn set(secret: Option<&SecretString>) -> &'static str {
    if secret.is_some() { "set" } else { "not set" }
}

/// Which store, without where a Redis is: its address may hold a password.
impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Redis(address) => write!(f, "redis, prefix {}", address.prefix),
        }
    }
}
