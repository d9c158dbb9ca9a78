//! How the auth cookies are named, scoped and deleted.

use std::ffi::OsString;

use clap::Args;
use url::Url;

use crate::session::cookies::CSRF_COOKIE;

use super::{
    error::{ConfigErrors, Noted, Rule},
    rules::{host_name, list, list_or_none, one_of, whole_number},
};

const LEAST_BUDGET: usize = 256;
const DEFAULT_BUDGET: usize = 3072;
const MOST_BUDGET: usize = 1024 * 1024;

/// How the auth cookies are named, scoped and deleted.
#[derive(Clone, Debug)]
pub struct Cookies {
    /// The storage key of @supabase/ssr, `sb-<project>-auth-token` or `GATEWAY_COOKIE_NAME`.
    pub name: String,
    /// `GATEWAY_COOKIE_DOMAINS`, without leading dots, in lower case.
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

#[derive(Args)]
#[command(next_help_heading = "Cookies")]
pub(super) struct CookieArgs {
    /// Name of the session cookie, the storage key of @supabase/ssr.
    /// Default: `sb-<first label of SUPABASE_URL's host>-auth-token`
    #[arg(long, env = "GATEWAY_COOKIE_NAME", value_name = "NAME")]
    cookie_name: Option<OsString>,
    /// Domains at which cookies are deleted besides the host itself, comma-separated. Default: none
    #[arg(long, env = "GATEWAY_COOKIE_DOMAINS", value_name = "DOMAINS")]
    cookie_domains: Option<OsString>,
    /// Paths at which cookies are deleted, comma-separated. Default: `/`
    #[arg(long, env = "GATEWAY_COOKIE_PATHS", value_name = "PATHS")]
    cookie_paths: Option<OsString>,
    /// Whether deletions carry `Secure`: `auto` (when the request came by https), `true`, `false`.
    /// Default: `auto`
    #[arg(long, env = "GATEWAY_COOKIE_SECURE", value_name = "auto|true|false")]
    cookie_secure: Option<OsString>,
    /// Whether partitioned cookies (CHIPS) are deleted too: `true`, `false`. Default: `false`
    #[arg(long, env = "GATEWAY_COOKIE_PARTITIONED", value_name = "true|false")]
    cookie_partitioned: Option<OsString>,
    /// Names of further cookies that a logout deletes, comma-separated. Default: none
    #[arg(long, env = "GATEWAY_EXTRA_COOKIES", value_name = "NAMES")]
    extra_cookies: Option<OsString>,
    /// Bytes of `Set-Cookie` lines in one response, 256 or more; keep it below the response header
    /// buffer of the proxy in front. Default: `3072`
    #[arg(long, env = "GATEWAY_SET_COOKIE_BUDGET", value_name = "BYTES")]
    set_cookie_budget: Option<OsString>,
}

impl Cookies {
    pub(super) fn read(
        args: CookieArgs,
        project: Result<&Url, Noted>,
        faults: &mut ConfigErrors,
    ) -> Result<Self, Noted> {
        let name = faults
            .optional("GATEWAY_COOKIE_NAME", args.cookie_name, session_cookie_name)
            .and_then(|given| given.map_or_else(|| storage_key(project?, faults), Ok));
        let domains = list_or_none(cookie_domain);
        let domains = faults.or("GATEWAY_COOKIE_DOMAINS", args.cookie_domains, Vec::new(), domains);
        let root = vec!["/".to_owned()];
        let paths = faults.or("GATEWAY_COOKIE_PATHS", args.cookie_paths, root, list(path));
        let secure = one_of(&[
            ("auto", CookieSecure::Auto),
            ("true", CookieSecure::Always),
            ("false", CookieSecure::Never),
        ]);
        let auto = CookieSecure::Auto;
        let secure = faults.or("GATEWAY_COOKIE_SECURE", args.cookie_secure, auto, secure);
        let partitioned = one_of(&[("true", true), ("false", false)]);
        let partitioned =
            faults.or("GATEWAY_COOKIE_PARTITIONED", args.cookie_partitioned, false, partitioned);
        let extra = list_or_none(token);
        let extra = faults.or("GATEWAY_EXTRA_COOKIES", args.extra_cookies, Vec::new(), extra);
        let budget = whole_number(LEAST_BUDGET..=MOST_BUDGET);
        let budget =
            faults.or("GATEWAY_SET_COOKIE_BUDGET", args.set_cookie_budget, DEFAULT_BUDGET, budget);
        Ok(Self {
            name: name?,
            domains: domains?,
            paths: paths?,
            secure: secure?,
            partitioned: partitioned?,
            extra: extra?,
            budget: budget?,
        })
    }
}

/// The name that @supabase/supabase-js gives the session's cookie.
fn storage_key(project: &Url, faults: &mut ConfigErrors) -> Result<String, Noted> {
    let host = project.host_str().unwrap_or_default();
    let label = host.split('.').next().unwrap_or_default();
    token(&format!("sb-{label}-auth-token")).map_err(|_| {
        let rule = "is required: the host of SUPABASE_URL gives no valid cookie name";
        faults.note("GATEWAY_COOKIE_NAME", rule)
    })
}

/// Any cookie's name but the one that the gateway itself writes.
fn session_cookie_name(text: &str) -> Result<String, Rule> {
    match token(text)? {
        name if name == CSRF_COOKIE => Err("must not be the CSRF cookie's name".into()),
        name => Ok(name),
    }
}

/// A cookie's name: a `token` (RFC 6265, section 4.1.1; RFC 2616, section 2.2).
fn token(text: &str) -> Result<String, Rule> {
    let token_char = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if text.is_empty() || !text.chars().all(token_char) {
        return Err("must be a cookie name: letters, digits and !#$%&'*+-.^_`|~".into());
    }
    Ok(text.to_owned())
}

/// A cookie's domain, without the leading dot that browsers ignore (RFC 6265, section 5.2.3).
/// Browsers ignore the leading dot of a `Domain` attribute (RFC 6265, section 5.2.3).
fn cookie_domain(entry: &str) -> Result<String, Rule> {
    host_name(entry.strip_prefix('.').unwrap_or(entry))
}

fn path(entry: &str) -> Result<String, Rule> {
    let path_byte = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && byte != b';';
    if !entry.starts_with('/') || !entry.bytes().all(path_byte) {
        return Err("must be paths that start with `/`, in ASCII, without `;`".into());
    }
    Ok(entry.to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::tests::{faults_of, parse};

    #[rstest]
    #[case("https://abc.supabase.co", "sb-abc-auth-token")]
    #[case("http://127.0.0.1:54321", "sb-127-auth-token")]
    #[case("http://localhost", "sb-localhost-auth-token")]
    fn the_name_comes_from_the_project(#[case] url: &str, #[case] name: &str) {
        assert_eq!(parse(&[("SUPABASE_URL", url)]).cookies.name, name);
    }

    #[test]
    fn an_ipv6_project_needs_a_name() {
        let ipv6 = ("SUPABASE_URL", "http://[::1]:54321");
        let rule = "is required: the host of SUPABASE_URL gives no valid cookie name";
        assert_eq!(faults_of(&[ipv6]), [format!("GATEWAY_COOKIE_NAME: {rule}")]);
        let other = ("GATEWAY_JWT_AUDIENCE", "");
        assert_eq!(faults_of(&[ipv6, other]).len(), 2, "whatever else is wrong");
        assert_eq!(parse(&[ipv6, ("GATEWAY_COOKIE_NAME", "sb")]).cookies.name, "sb");
    }

    #[test]
    fn domains_lose_dots_and_duplicates() {
        let cookies = parse(&[("GATEWAY_COOKIE_DOMAINS", ".Example.com, example.com,a.b")]).cookies;
        assert_eq!(cookies.domains, ["example.com", "a.b"]);
    }

    #[rstest]
    #[case("GATEWAY_COOKIE_DOMAINS", "..example.com")]
    #[case("GATEWAY_COOKIE_DOMAINS", "example.com.")]
    #[case("GATEWAY_COOKIE_DOMAINS", "example.com:80")]
    #[case("GATEWAY_COOKIE_DOMAINS", "example.com; Path=/")]
    #[case("GATEWAY_COOKIE_DOMAINS", "bücher.example")]
    #[case("GATEWAY_COOKIE_DOMAINS", "a,,b")]
    #[case("GATEWAY_COOKIE_PATHS", "app")]
    #[case("GATEWAY_COOKIE_PATHS", "/a;b")]
    #[case("GATEWAY_COOKIE_PATHS", "/a\r\nb")]
    #[case("GATEWAY_COOKIE_PATHS", "/ä")]
    #[case("GATEWAY_COOKIE_PATHS", "")]
    #[case("GATEWAY_EXTRA_COOKIES", "a=b")]
    #[case("GATEWAY_EXTRA_COOKIES", "a b")]
    #[case("GATEWAY_COOKIE_NAME", "a,b")]
    #[case("GATEWAY_COOKIE_NAME", "")]
    #[case("GATEWAY_COOKIE_SECURE", "True")]
    #[case("GATEWAY_COOKIE_SECURE", "")]
    #[case("GATEWAY_SET_COOKIE_BUDGET", "255")]
    fn what_would_break_a_set_cookie_line_is_refused(#[case] variable: &str, #[case] value: &str) {
        assert_eq!(faults_of(&[(variable, value)]).len(), 1);
    }

    #[test]
    fn paths_and_extra_cookies_are_lists() {
        let given = [("GATEWAY_COOKIE_PATHS", "/, /app,/"), ("GATEWAY_EXTRA_COOKIES", "a,b")];
        let cookies = parse(&given).cookies;
        assert_eq!(cookies.paths, ["/", "/app"]);
        assert_eq!(cookies.extra, ["a", "b"]);
    }
}
