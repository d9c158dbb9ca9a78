//! Every flag and variable, read in one place and checked before anything binds.
//!
//! [`Args`] holds the raw words; [`Config::parse`] makes them values that cannot be wrong, or names
//! every fault at once. No fault ever repeats a value: it may be a secret.

use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};

use axum::http::HeaderValue;
use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

/// What the gateway runs with; nothing in it can be wrong.
#[derive(Clone, Debug)]
pub struct Config {
    /// `GATEWAY_BIND`, or `0.0.0.0:<PORT>`.
    pub bind: SocketAddr,
    /// `GATEWAY_ADMIN_BIND`; `None` is `off`.
    pub admin_bind: Option<SocketAddr>,
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
    /// `GATEWAY_MAX_TOKEN_LIFETIME`.
    pub max_token_lifetime: Duration,
    /// `GATEWAY_UPSTREAM_TIMEOUT`: the whole budget of a logout at GoTrue.
    pub upstream_timeout: Duration,
    /// `GATEWAY_DRAIN_TIMEOUT`.
    pub drain_timeout: Duration,
    /// What one process takes on at most.
    pub limits: Limits,
    /// `GATEWAY_TRUSTED_PROXIES`.
    pub trusted_proxies: Vec<IpNet>,
    /// `GATEWAY_LOG_FORMAT`.
    pub log_format: LogFormat,
    /// `RUST_LOG`, known to be a valid filter.
    pub log_filter: String,
}

/// The Supabase project and how its tokens are judged.
#[derive(Clone, Debug)]
pub struct Supabase {
    /// `SUPABASE_URL`, without a trailing slash in its path.
    pub url: Url,
    /// `GOTRUE_URL`, default `<SUPABASE_URL>/auth/v1`; without a trailing slash in its path.
    pub gotrue_url: Url,
    /// `SUPABASE_PUBLISHABLE_KEY`, else `SUPABASE_ANON_KEY`: sent as `apikey`.
    pub api_key: Option<SecretString>,
    /// `SUPABASE_JWT_SECRET`, 32 bytes or more.
    pub jwt_secret: Option<SecretString>,
    /// `GATEWAY_JWT_ISSUER`; never empty.
    pub issuers: Vec<String>,
    /// `GATEWAY_JWT_AUDIENCE`; never empty.
    pub audiences: Vec<String>,
}

/// What the CSRF keys are derived from.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// `GATEWAY_SECRET`; `None` means a random one for the life of the process.
    pub current: Option<SecretString>,
    /// `GATEWAY_SECRET_PREVIOUS`: still accepted, never used to mint.
    pub previous: Option<SecretString>,
}

/// How the auth cookies are named, scoped and deleted.
#[derive(Clone, Debug)]
pub struct Cookies {
    /// The storage key of @supabase/ssr, `sb-<project>-auth-token` or `GATEWAY_COOKIE_NAME`.
    pub name: String,
    /// `GATEWAY_COOKIE_DOMAINS`, without leading dots.
    pub domains: Vec<String>,
    /// `GATEWAY_COOKIE_PATHS`; never empty.
    pub paths: Vec<String>,
    /// `GATEWAY_COOKIE_SECURE`.
    pub secure: CookieSecure,
    /// `GATEWAY_COOKIE_PARTITIONED`.
    pub partitioned: bool,
    /// `GATEWAY_EXTRA_COOKIES`.
    pub extra: Vec<String>,
    /// `GATEWAY_SET_COOKIE_BUDGET`: bytes of `Set-Cookie` lines one response may have.
    pub budget: usize,
}

/// What one process takes on at most.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `GATEWAY_MAX_IN_FLIGHT`.
    pub in_flight: usize,
    /// `GATEWAY_MAX_CONNECTIONS`.
    pub connections: usize,
    /// `GATEWAY_MAX_HEADER_BYTES`.
    pub header_bytes: usize,
    /// `GATEWAY_HEADER_TIMEOUT`.
    pub header_timeout: Duration,
}

/// Which of the user's sessions a logout ends, in GoTrue's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This session.
    Local,
    /// Every other session of the user.
    Others,
    /// Every session of the user.
    Global,
}

/// How the CSRF token is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsrfMode {
    /// Signed by the gateway and bound to the session.
    Signed,
    /// Header equals cookie, for apps that mint their own token.
    DoubleSubmit,
}

/// Whether deletions carry `Secure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieSecure {
    /// When the request came by https.
    Auto,
    /// Always.
    Always,
    /// Never, but where a cookie's prefix asks for it.
    Never,
}

/// What a logout of a session that GoTrue no longer knows answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionNotFound {
    /// The route's success.
    Success,
    /// 401 `not_found`.
    Unauthorized,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
