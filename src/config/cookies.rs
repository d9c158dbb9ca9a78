//! The rules for the names, domains and paths of the auth cookies.

use url::Url;

use super::{choice::Choice, error::Rule, rules::host_name};

/// The name of the cookie with the CSRF token. The gateway sets it, and the application's scripts read it and
/// send its value in a header.
pub const CSRF_COOKIE: &str = "sb-csrf-token";

/// Whether the gateway sets and deletes cookies with `Secure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieSecure {
    /// With `Secure` if the client's request came over https.
    Auto,
    /// Always with `Secure`.
    Always,
    /// Without `Secure`, unless the cookie's name has a prefix that requires it, such as `__Host-` (RFC
    /// 6265bis, section 4.1.3).
    Never,
}

impl Choice for CookieSecure {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("true", Self::Always), ("false", Self::Never)];
}

/// `SameSite` of the cookies that the gateway sets and deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieSameSite {
    /// `SameSite=Lax`, as @supabase/ssr sets its cookies by default.
    Lax,
    /// `SameSite=None`, for applications that set their cookies so. In a frame of another site, browsers ignore
    /// all other cookies.
    None,
}

impl Choice for CookieSameSite {
    const CHOICES: &'static [(&'static str, Self)] = &[("lax", Self::Lax), ("none", Self::None)];
}

/// The name that @supabase/supabase-js gives the session cookie. If the project's host is an IPv6 address, the
/// result is not a valid cookie name.
pub(super) fn default_name(project: &Url) -> String {
    let host = project.host_str().unwrap_or_default();
    let label = host.split('.').next().unwrap_or_default();
    format!("sb-{label}-auth-token")
}

pub(super) fn session_cookie_name(text: &str) -> Result<String, Rule> {
    match token(text)? {
        name if name == CSRF_COOKIE => Err("must not be the CSRF cookie's name".into()),
        name => Ok(name),
    }
}

/// The rule for a cookie's name: it must be a `token` (RFC 6265, section 4.1.1; RFC 2616, section 2.2).
pub(super) fn token(text: &str) -> Result<String, Rule> {
    let token_char = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if text.is_empty() || !text.chars().all(token_char) {
        return Err("must be a cookie name: letters, digits and !#$%&'*+-.^_`|~".into());
    }
    Ok(text.to_owned())
}

/// The rule for a cookie's domain. A leading dot is removed, because browsers ignore it (RFC 6265, section
/// 5.2.3).
pub(super) fn domain(entry: &str) -> Result<String, Rule> {
    host_name(entry.strip_prefix('.').unwrap_or(entry))
}

pub(super) fn path(entry: &str) -> Result<String, Rule> {
    let path_byte = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && byte != b';';
    if !entry.starts_with('/') || !entry.bytes().all(path_byte) {
        return Err("must be paths that start with `/`, in ASCII, without `;`".into());
    }
    Ok(entry.to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::tests::{errors_of, parse};

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
        assert_eq!(errors_of(&[ipv6]), [format!("GATEWAY_COOKIE_NAME: {rule}")]);
        let other = ("GATEWAY_CSRF_MODE", "none");
        assert_eq!(
            errors_of(&[ipv6, other]).len(),
            2,
            "the rule is checked even if another setting has an error"
        );
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
    #[case("GATEWAY_EXTRA_COOKIES", "a=b")]
    #[case("GATEWAY_EXTRA_COOKIES", "a b")]
    #[case("GATEWAY_COOKIE_NAME", "a,b")]
    #[case("GATEWAY_COOKIE_SECURE", "True")]
    #[case("GATEWAY_COOKIE_SAMESITE", "None")]
    #[case("GATEWAY_REFRESH_COOKIE_NAME", "a b")]
    #[case("GATEWAY_SET_COOKIE_BUDGET", "255")]
    fn a_value_that_would_break_a_set_cookie_line_is_refused(
        #[case] variable: &str,
        #[case] value: &str,
    ) {
        assert_eq!(errors_of(&[(variable, value)]).len(), 1);
    }

    #[test]
    fn paths_and_extra_cookies_are_lists() {
        let given = [("GATEWAY_COOKIE_PATHS", "/, /app,/"), ("GATEWAY_EXTRA_COOKIES", "a,b")];
        let cookies = parse(&given).cookies;
        assert_eq!(cookies.paths, ["/", "/app"]);
        assert_eq!(cookies.extra, ["a", "b"]);
    }
}
