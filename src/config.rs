//! Every flag and variable, read in one place and checked before anything binds.
//!
//! [`Args`] holds the raw words; [`Config::parse`] makes them values that cannot be wrong, or names
//! every fault at once. No fault ever repeats a value: it may be a secret.

use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};

use axum::http::HeaderValue;
use ipnet::IpNet;
use url::Url;

mod cookies;
mod csrf;
mod error;
mod limits;
mod logout;
mod logs;
mod redirects;
mod rules;
mod server;
mod store;
mod supabase;
#[cfg(test)]
pub(crate) mod tests;
mod told;
mod warnings;

pub use cookies::{CookieSecure, Cookies};
pub use csrf::{CsrfMode, Secrets};
pub use error::{ConfigError, ConfigErrors};
pub use limits::Limits;
pub use logout::SessionNotFound;
pub use logs::LogFormat;
pub use redirects::{Destination, Redirects};
pub use store::{RedisAddress, StoreAddress};
pub use supabase::Supabase;
pub use warnings::{Warning, unused_proxies};

use error::Noted;

use crate::outcome::Scope;

/// The raw words of every flag and variable, not judged yet; each flag goes before its variable.
///
/// To be flattened into the commands that need the configuration. It has no `Debug`: it holds secrets.
// clap takes any bytes, a leading hyphen too, so that it never judges a value, nor prints one.
#[derive(clap::Args)]
#[command(mut_args(|arg| arg.hide_env_values(true).allow_hyphen_values(true)))]
pub struct Args {
    #[command(flatten)]
    supabase: supabase::SupabaseArgs,
    #[command(flatten)]
    server: server::ServerArgs,
    #[command(flatten)]
    csrf: csrf::CsrfArgs,
    #[command(flatten)]
    cookies: cookies::CookieArgs,
    #[command(flatten)]
    logout: logout::LogoutArgs,
    #[command(flatten)]
    redirects: redirects::RedirectArgs,
    #[command(flatten)]
    limits: limits::LimitArgs,
    #[command(flatten)]
    logs: logs::LogArgs,
}

/// What the gateway runs with; nothing in it can be wrong.
#[derive(Clone, Debug)]
pub struct Config {
    /// `GATEWAY_BIND`, or `0.0.0.0:<PORT>`.
    pub bind: SocketAddr,
    /// `GATEWAY_ADMIN_BIND`; `None` is `off`.
    pub admin_bind: Option<SocketAddr>,
    /// `GATEWAY_ADMIN_HOSTS`, in lower case: names that the admin listener answers to, besides IP
    /// addresses and `localhost`.
    pub admin_hosts: Vec<String>,
    /// `GATEWAY_THREADS`: how many runtimes serve the public listener.
    pub threads: NonZeroUsize,
    /// The Supabase project.
    pub supabase: Supabase,
    /// `GATEWAY_SECRET` and `GATEWAY_SECRET_PREVIOUS`.
    pub secrets: Secrets,
    /// `GATEWAY_ALLOWED_ORIGINS`, each as a browser serialises it.
    pub allowed_origins: Vec<String>,
    /// `GATEWAY_CSRF_MODE`.
    pub csrf_mode: CsrfMode,
    /// How the auth cookies are named, scoped and deleted.
    pub cookies: Cookies,
    /// `GATEWAY_DEFAULT_SCOPE`.
    pub default_scope: Scope,
    /// `GATEWAY_SESSION_NOT_FOUND`.
    pub session_not_found: SessionNotFound,
    /// `GATEWAY_CLEAR_SITE_DATA` as the header's value: `"cache", "storage"`.
    pub clear_site_data: Option<HeaderValue>,
    /// `GATEWAY_REDIRECT_URLS` and `GATEWAY_REDIRECT_DEFAULT`.
    pub redirects: Redirects,
    /// `GATEWAY_STORE`; where it is durable, there is a `GATEWAY_SECRET`.
    pub store: StoreAddress,
    /// `GATEWAY_QUEUE_MAX_BYTES`.
    pub queue_max_bytes: u64,
    /// `GATEWAY_MAX_TOKEN_LIFETIME`.
    pub max_token_lifetime: Duration,
    /// `GATEWAY_UPSTREAM_TIMEOUT`: the whole budget of a logout at GoTrue.
    pub upstream_timeout: Duration,
    /// `GATEWAY_DRAIN_TIMEOUT`; may be zero.
    pub drain_timeout: Duration,
    /// What one process takes on at most.
    pub limits: Limits,
    /// `GATEWAY_TRUSTED_PROXIES`.
    pub trusted_proxies: Vec<IpNet>,
    /// `GATEWAY_LOG_FORMAT`.
    pub log_format: LogFormat,
    /// `RUST_LOG`, known to be a valid filter.
    pub log_filter: String,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: traces go below it, to `/v1/traces`.
    pub otlp_endpoint: Option<Url>,
}

impl Config {
    /// Judges the raw words.
    ///
    /// # Errors
    ///
    /// Every variable that breaks a rule, all at once, and never a value.
    pub fn parse(args: Args) -> Result<Self, ConfigErrors> {
        let mut faults = ConfigErrors::default();
        match Self::read(args, &mut faults) {
            Ok(config) if faults.is_empty() => Ok(config),
            _ => Err(faults),
        }
    }

    /// Every group is read before the first that failed ends it, so that no fault goes untold.
    fn read(mut args: Args, faults: &mut ConfigErrors) -> Result<Self, Noted> {
        let project = args.supabase.project(faults);
        let project = project.as_ref().map_err(|noted| *noted);
        let supabase = Supabase::read(args.supabase, project, faults);
        let server = server::Server::read(args.server, faults);
        let csrf = csrf::Csrf::read(args.csrf, faults);
        let project_url = project.map(|project| &project.url);
        let cookies = Cookies::read(args.cookies, project_url, faults);
        let logout = logout::Logout::read(args.logout, faults);
        let redirects = Redirects::read(args.redirects, faults);
        let limits = Limits::read(args.limits, faults);
        let logs = logs::Logs::read(args.logs, faults);
        if let (Ok(csrf), Ok(logout)) = (&csrf, &logout)
            && logout.store.is_durable()
            && csrf.secrets.current.is_none()
        {
            faults
                .note("GATEWAY_SECRET", "is required with this GATEWAY_STORE: it seals the queue");
        }
        let (server, csrf, logout, logs) = (server?, csrf?, logout?, logs?);
        Ok(Self {
            bind: server.bind,
            admin_bind: server.admin_bind,
            admin_hosts: server.admin_hosts,
            threads: server.threads,
            supabase: supabase?,
            secrets: csrf.secrets,
            allowed_origins: csrf.allowed_origins,
            csrf_mode: csrf.mode,
            cookies: cookies?,
            default_scope: logout.default_scope,
            session_not_found: logout.session_not_found,
            clear_site_data: logout.clear_site_data,
            redirects: redirects?,
            store: logout.store,
            queue_max_bytes: logout.queue_max_bytes,
            max_token_lifetime: logout.max_token_lifetime,
            upstream_timeout: logout.upstream_timeout,
            drain_timeout: server.drain_timeout,
            limits: limits?,
            trusted_proxies: server.trusted_proxies,
            log_format: logs.format,
            log_filter: logs.filter,
            otlp_endpoint: logs.otlp_endpoint,
        })
    }
}
