//! The configuration in one line of the log: what a person asks first who looks into somebody's gateway.

use std::fmt;

use humantime::format_duration;
use secrecy::SecretString;

use super::{Config, StoreAddress};

impl Config {
    /// Says how the gateway is configured; of a secret, only whether it is set.
    pub fn tell(&self) {
        // All of them: a new setting is told, too.
        let Self {
            bind,
            admin_bind,
            admin_hosts,
            threads,
            supabase,
            secrets,
            allowed_origins,
            csrf_mode,
            cookies,
            default_scope,
            session_not_found,
            clear_site_data,
            redirects,
            store,
            queue_max_bytes,
            max_token_lifetime,
            upstream_timeout,
            drain_timeout,
            limits,
            trusted_proxies,
            log_format,
            log_filter,
            otlp_endpoint,
        } = self;
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            %bind,
            admin_bind = admin_bind.map(display),
            admin_hosts = admin_hosts.join(","),
            threads,
            supabase_url = %supabase.url,
            gotrue_url = %supabase.gotrue_url,
            api_key = set(supabase.api_key.as_ref()),
            jwt_secret = set(supabase.jwt_secret.as_ref()),
            jwt_algorithms = ?supabase.algorithms,
            jwt_issuer = supabase.issuers.join(","),
            jwt_audience = supabase.audiences.join(","),
            secret = set(secrets.current.as_ref()),
            secret_previous = set(secrets.previous.as_ref()),
            allowed_origins = allowed_origins.join(","),
            ?csrf_mode,
            ?cookies,
            default_scope = default_scope.as_str(),
            ?session_not_found,
            ?clear_site_data,
            %redirects,
            %store,
            queue_max_bytes,
            max_token_lifetime = %format_duration(*max_token_lifetime),
            upstream_timeout = %format_duration(*upstream_timeout),
            drain_timeout = %format_duration(*drain_timeout),
            ?limits,
            ?trusted_proxies,
            ?log_format,
            log_filter,
            otlp_endpoint = otlp_endpoint.as_ref().map(display),
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
