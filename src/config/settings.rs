//! The list of all settings, with the field, variable, rule, default and help text of each.
//!
//! The name of a setting's flag is made from its variable's name ([`Setting::arg`]). The tables of
//! `docs/configuration.md` are made from this list: `UPDATE=1 cargo test configuration_md` writes them.

use std::{num::NonZeroUsize, time::Duration};

use axum::http::HeaderValue;
use ipnet::IpNet;
use jsonwebtoken::Algorithm;
use secrecy::SecretString;
use tracing_subscriber::filter::{LevelFilter, Targets};
use url::Url;

use super::{
    choice::choice,
    cookies::{self, CookieSameSite, CookieSecure},
    csrf::{self, CsrfMode},
    define::{settings, source},
    egress_proxy::EgressProxy,
    error::ConfigErrors,
    flags::{Args, Setting, Source},
    limits,
    listen_address::{self, ListenAddress, SocketMode},
    log_value::LogValue as _,
    logout::{self, SessionNotFound},
    logs::{self, LogFormat},
    redirects::{self, AllowedRedirect, Destination},
    rules::{base_url, deadline, host_name, list, optional, secret, whole_number},
    server::{self, Hsts},
    store::{self, StoreAddress},
    supabase::{self, Issuer, Project},
};
use crate::outcome::Scope;

settings! {
    /// The Supabase project and the rules for its access tokens.
    supabase: Supabase under "Supabase" {
        /// The project's URL, `http://` or `https://`, as browsers use it; the name of the session cookie follows from
        /// it. Required
        project: Project = "SUPABASE_URL" <"URL">, Project::parse, else Project::placeholder()?;
        /// The project's publishable key, which the gateway sends to GoTrue as `apikey`; hosted Supabase and the
        /// self-hosted API gateway require it. Default: none
        publishable_key: Option<SecretString> = flag_or_file "SUPABASE_PUBLISHABLE_KEY" <"KEY">,
            optional(supabase::api_key), else None;
        /// The project's older anon key, sent as `apikey` if there is no publishable key. Default: none
        anon_key: Option<SecretString> = flag_or_file "SUPABASE_ANON_KEY" <"KEY">,
            optional(supabase::api_key), else None;
        /// Base URL of GoTrue itself, as the gateway can reach it. Default: `<SUPABASE_URL>/auth/v1`
        gotrue_url: Url = "GOTRUE_URL" <"URL">, base_url, else project.gotrue_url();
        /// The secret of projects that sign tokens with HS256, 32 bytes or more; without it the gateway asks GoTrue
        /// about such tokens. Default: none
        jwt_secret: Option<SecretString> = secret "SUPABASE_JWT_SECRET" <"SECRET">, optional(secret), else None;
        /// Algorithms that access tokens may be signed with, comma-separated: `ES256`, `RS256`, `EdDSA`, `HS256`.
        /// Leave out `HS256` once the project signs only with keys: otherwise any client can make the gateway ask
        /// GoTrue about forged HS256 tokens. Default: all four
        algorithms: Vec<Algorithm> = "GATEWAY_JWT_ALGORITHMS" <"ALGORITHMS">,
            list(choice), else supabase::ALGORITHMS.map(|(_, algorithm)| algorithm).to_vec();
        /// Expected issuers (`iss`) of access tokens, comma-separated; the word `none` admits a token without an
        /// issuer. Default: the issuer that GoTrue publishes, `<SUPABASE_URL>/auth/v1`, `<SUPABASE_URL>`, and
        /// none
        issuers: Vec<Issuer> = "GATEWAY_JWT_ISSUER" <"ISSUERS">, list(supabase::issuer), else Vec::new();
        /// Expected audiences (`aud`) of access tokens, comma-separated. Default: `authenticated`
        audiences: Vec<String> = "GATEWAY_JWT_AUDIENCE" <"AUDIENCES">,
            list(supabase::claim), else vec!["authenticated".to_owned()];
    }

    /// The listeners, their threads, the proxies in front of them, and how they stop.
    server: ServerConfig under "Server" {
        /// Address of the public listener; an IPv6 address in brackets; port 0 selects a free port, which the log line
        /// `listening` names. `unix:/run/logout-gateway/public.sock` listens on a unix socket. A socket named `public`
        /// that systemd passes replaces this address. Default: `127.0.0.1:8080`
        bind: ListenAddress = "GATEWAY_BIND" <"IP:PORT|unix:PATH">,
            listen_address::address, else server::default_address(port.flatten());
        /// Port of the public listener if `GATEWAY_BIND` is not set; the listener then accepts connections on
        /// all IPv4 addresses (`0.0.0.0`). Hosting platforms set this variable. No default
        port: Option<u16> = "PORT" <"PORT">, optional(server::port), else None;
        /// Address of the admin listener (metrics, status page, queue, failures, health), written like `GATEWAY_BIND`;
        /// `off` for none. Do not expose it to the internet. A socket named `admin` that systemd passes replaces this
        /// address. Default: `127.0.0.1:9090`
        admin_bind: Option<ListenAddress> = "GATEWAY_ADMIN_BIND" <"IP:PORT|unix:PATH|off">,
            listen_address::address_or_off, else Some(server::DEFAULT_ADMIN_ADDRESS);
        /// Permissions of the files of the unix sockets in `GATEWAY_BIND` and `GATEWAY_ADMIN_BIND`, in octal. The
        /// gateway trusts the `X-Forwarded-*` headers of every process that may connect. Default: `0660`
        socket_mode: SocketMode = "GATEWAY_SOCKET_MODE" <"MODE">,
            listen_address::socket_mode, else SocketMode::DEFAULT;
        /// Host names of the admin listener besides IP addresses and `localhost`, comma-separated, without scheme and
        /// port; a request with another host gets 421. Default: none
        admin_hosts: Vec<String> = "GATEWAY_ADMIN_HOSTS" <"HOSTS">, list(host_name), else Vec::new();
        /// Number of threads that serve the public listener, 1 to 1024. Default: one for each core of this process
        threads: NonZeroUsize = "GATEWAY_THREADS" <"NUMBER">, server::threads, else server::cores();
        /// Proxies whose `X-Forwarded-*` headers the gateway trusts, comma-separated CIDRs or IP addresses, besides all
        /// that connect by a unix socket. Default: none
        trusted_proxies: Vec<IpNet> = "GATEWAY_TRUSTED_PROXIES" <"CIDRS">,
            list(server::network), else Vec::new();
        /// Seconds of `Strict-Transport-Security` in responses over https, or `off` if your proxy sets that
        /// header. Default: `63072000`
        hsts: Hsts = "GATEWAY_HSTS" <"SECONDS|off">, server::hsts, else Hsts::DEFAULT;
        /// Time for requests in flight to end after SIGTERM or SIGINT, `0s` to `1h`. Default: `10s`
        drain_timeout: Duration = "GATEWAY_DRAIN_TIMEOUT" <"DURATION">,
            server::drain_timeout, else Duration::from_secs(10);
    }

    /// The secrets that the keys for CSRF tokens and for the queue are derived from.
    secrets: Secrets under "CSRF" {
        /// The secret that the keys for CSRF tokens and the queue are derived from, 32 bytes or more, the same on every
        /// instance. Default: random at start, with a warning
        current: Option<SecretString> = secret "GATEWAY_SECRET" <"SECRET">, optional(secret), else None;
        /// The previous secret, still accepted while it is being replaced, 32 bytes or more; requires
        /// `GATEWAY_SECRET`. Default: none
        previous: Option<SecretString> = secret "GATEWAY_SECRET_PREVIOUS" <"SECRET">, optional(secret), else None;
    }

    /// The check that the user, and not another site, caused a request.
    csrf: CsrfConfig under "CSRF" {
        /// Origins besides the gateway's own whose pages may call it, comma-separated, each as browsers write it:
        /// `https://app.example.com`, `capacitor://localhost`. Default: none
        allowed_origins: Vec<String> = "GATEWAY_ALLOWED_ORIGINS" <"ORIGINS">,
            list(csrf::origin), else Vec::new();
        /// `signed`: the gateway signs a token for the session. `double-submit`: the header must equal the cookie, for
        /// apps that make their own token. Default: `signed`
        mode: CsrfMode = "GATEWAY_CSRF_MODE" <"MODE">, choice, else CsrfMode::Signed;
    }

    /// The names, scopes and deletion of the auth cookies.
    cookies: Cookies under "Cookies" {
        /// Name of the session cookie, the storage key of @supabase/ssr.
        /// Default: `sb-<first label of SUPABASE_URL's host>-auth-token`
        name: String = "GATEWAY_COOKIE_NAME" <"NAME">,
            cookies::session_cookie_name, else cookies::default_name(&supabase.project.url);
        /// Domains at which cookies are deleted besides the host itself, comma-separated. Default: none
        domains: Vec<String> = "GATEWAY_COOKIE_DOMAINS" <"DOMAINS">,
            list(cookies::domain), else Vec::new();
        /// Paths at which cookies are deleted, comma-separated. Default: `/`
        paths: Vec<String> = "GATEWAY_COOKIE_PATHS" <"PATHS">, list(cookies::path), else vec!["/".to_owned()];
        /// Whether cookies are set and deleted with `Secure`: `auto` (if the request came over https), `true`, `false`.
        /// Default: `auto`
        secure: CookieSecure = "GATEWAY_COOKIE_SECURE" <"auto|true|false">, choice, else CookieSecure::Auto;
        /// Name of the cookie that holds the refresh token, if the cookie named by `GATEWAY_COOKIE_NAME` holds
        /// only an access token. Default: none
        refresh_name: Option<String> = "GATEWAY_REFRESH_COOKIE_NAME" <"NAME">,
            optional(cookies::session_cookie_name), else None;
        /// `SameSite` of the cookies that the gateway sets and deletes: `lax`, or `none` for apps in frames of other
        /// sites; `none` implies `Secure`. Default: `lax`
        same_site: CookieSameSite = "GATEWAY_COOKIE_SAMESITE" <"lax|none">, choice, else CookieSameSite::Lax;
        /// Whether partitioned cookies (CHIPS) are set and deleted too, for apps in frames of other sites: `true`,
        /// `false`. Default: `false`
        partitioned: bool = "GATEWAY_COOKIE_PARTITIONED" <"true|false">, choice, else false;
        /// Names of further cookies that a logout deletes, comma-separated; for a name that ends in `-auth-token`, also
        /// its chunks and the library's other cookies of that name. Default: none
        extra: Vec<String> = "GATEWAY_EXTRA_COOKIES" <"NAMES">, list(cookies::token), else Vec::new();
        /// Bytes of `Set-Cookie` lines in one response, 256 or more; keep it below the response header buffer of the
        /// proxy in front (nginx: `proxy_buffer_size`, 4 KiB). Default: `3072`
        budget: usize = "GATEWAY_SET_COOKIE_BUDGET" <"BYTES">, whole_number(256..=1024 * 1024), else 3072;
    }

    /// Which sessions a logout ends, and its response.
    logout: LogoutConfig under "Logout" {
        /// Sessions that a logout without a scope ends: `local` (this session), `others`, `global` (all).
        /// Default: `local`
        default_scope: Scope = "GATEWAY_DEFAULT_SCOPE" <"SCOPE">, logout::scope, else Scope::Local;
        /// Response to a logout of a session that has already ended: `success` or `unauthorized` (401).
        /// Default: `success`
        session_not_found: SessionNotFound = "GATEWAY_SESSION_NOT_FOUND" <"ANSWER">,
            choice, else SessionNotFound::Success;
        /// Data that browsers clear after a logout (`Clear-Site-Data`), comma-separated: `cache`, `storage`,
        /// `executionContexts`, `clientHints`. Default: none
        clear_site_data: Option<HeaderValue> = "GATEWAY_CLEAR_SITE_DATA" <"TYPES">,
            logout::clear_site_data, else None;
    }

    /// The store of the revocation list, the queue and the failure log.
    store: StoreConfig under "Logout" {
        /// Store of ended sessions, queued logouts and failures: `memory` (lost at a restart, no queue),
        /// `file:<path>` (durable, one process), or `redis://…` or `rediss://…` (shared by all instances; every
        /// key starts with the value of `?prefix=`). The latter two need `GATEWAY_SECRET`. A
        /// flag must not contain a user or a password. Default: `memory`
        address: StoreAddress = flag_or_file "GATEWAY_STORE" <"STORE">, StoreAddress::parse, else StoreAddress::Memory;
        /// The most bytes of queued logouts in the store: digits with `B`, `KiB`, `MiB` or `GiB`, from `1MiB` to
        /// `64GiB`. One user may take a 64th of them. A logout that finds no room is answered `failed`. Default:
        /// `256MiB`
        queue_max_bytes: u64 = "GATEWAY_QUEUE_MAX_BYTES" <"BYTES">, store::queue_size, else store::DEFAULT_QUEUE_SIZE;
        /// The longest lifetime of your project's access tokens; the revocation list holds a logout for that time.
        /// More than zero, at most `366d`. Default: `7d`
        max_token_lifetime: Duration = "GATEWAY_MAX_TOKEN_LIFETIME" <"DURATION">,
            store::token_lifetime, else store::DEFAULT_TOKEN_LIFETIME;
    }

    /// Requests to GoTrue.
    upstream: UpstreamConfig under "Logout" {
        /// Time for all requests of one logout to GoTrue, retries included: more than zero, at most `1h`.
        /// Default: `5s`
        timeout: Duration = "GATEWAY_UPSTREAM_TIMEOUT" <"DURATION">, deadline, else Duration::from_secs(5);
        /// Proxy for all requests to GoTrue, if no direct connection is possible: `http://proxy:3128`, with
        /// `user:password@` if the proxy requires it. The gateway does not use `HTTPS_PROXY`.
        /// A flag must not contain a user or a password. Default: none
        egress_proxy: Option<EgressProxy> = flag_or_file "GATEWAY_EGRESS_PROXY" <"URL">,
            optional(EgressProxy::parse), else None;
    }

    /// Where the logout of a form may redirect the browser.
    redirects: Redirects under "Forms" {
        /// URLs that a form's `redirect_to` may name besides paths of the gateway's origin, comma-separated, each
        /// an exact URL, or an origin and `/*`: `https://app.example.com/bye,https://www.example.com/*`. Default:
        /// none
        allowed: Vec<AllowedRedirect> = "GATEWAY_REDIRECT_URLS" <"URLS">, list(redirects::allowed_redirect), else Vec::new();
        /// Redirect of a form that names no allowed URL: a path, or a URL. Default: `/`
        default: Destination = "GATEWAY_REDIRECT_DEFAULT" <"URL">,
            redirects::default_destination, else redirects::path("/")?;
    }

    /// The limits of one process.
    limits: Limits under "Limits" {
        /// Logouts, and token checks at GoTrue, at once, 1 to 1000000; further requests are answered 503. Stale
        /// sessions may take half of these places, unproven ones an eighth. Default: `1024`
        in_flight: usize = "GATEWAY_MAX_IN_FLIGHT" <"NUMBER">, whole_number(1..=limits::MOST_AT_ONCE), else 1024;
        /// Connections open at once, 1 to 1000000; further ones wait until one closes. Default: `4096`
        connections: usize = "GATEWAY_MAX_CONNECTIONS" <"NUMBER">, whole_number(1..=limits::MOST_AT_ONCE), else 4096;
        /// Bytes of a request's head, 8192 to 16777216; a longer one is answered 431. Default: `131072`
        header_bytes: usize = "GATEWAY_MAX_HEADER_BYTES" <"BYTES">,
            whole_number(limits::LEAST_HEADER_BYTES..=limits::MOST_HEADER_BYTES), else 128 * 1024;
        /// Time for a request's head to arrive, the same for its body, and for a client that does not read its
        /// response: more than zero, at most `1h`. Default: `10s`
        header_timeout: Duration = "GATEWAY_HEADER_TIMEOUT" <"DURATION">, deadline, else Duration::from_secs(10);
    }

    /// Log lines and traces.
    logs: LogConfig under "Logs and traces" {
        /// Format of the log lines on standard error: `text` or `json`; `check` always writes text.
        /// Default: `text` on a terminal, else `json`
        format: LogFormat = "GATEWAY_LOG_FORMAT" <"FORMAT">, choice, else logs::default_format();
        /// Lines that are logged: comma-separated levels (`error`, `warn`, `info`, `debug`, `trace`, `off`), also by
        /// target: `info,audit=off` leaves out the line of each logout. Default: `info`
        filter: Targets = "RUST_LOG" <"FILTER">, logs::filter, else Targets::new().with_default(LevelFilter::INFO);
        /// Collector of traces, by OTLP over HTTP, such as `http://localhost:4318`. Default: none, and no traces
        otlp_endpoint: Option<Url> = "OTEL_EXPORTER_OTLP_ENDPOINT" <"URL">, optional(base_url), else None;
    }
}
