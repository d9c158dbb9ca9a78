//! Plans which cookies a response deletes, so that no copy of the session stays in the browser.
//!
//! 1. A response deletes only the library's cookies, the CSRF cookie and the configured ones. It repeats no
//!    part of a cookie's value.
//! 2. A scope is a domain and a path. Each name is deleted at every scope: without a domain and with each
//!    configured domain, each time at every configured path. The library does the same (recording
//!    `sign_out_set_cookie`).
//! 3. The session cookie, its first chunk and the CSRF cookie come first: without the session cookie and the
//!    first chunk the library reads no session. The other chunks follow, then all other names. Each name is
//!    deleted at all its scopes or at none: a request does not show at which paths cookies are left, so a
//!    later response could not know which deletions are missing.
//! 4. The deletions of a response stay within `GATEWAY_SET_COOKIE_BUDGET`. The next logout deletes the names
//!    that do not fit. If so many scopes are configured that the names of rule 3 alone exceed the budget,
//!    some of their scopes are left out and cookies may stay there: the gateway warns of such settings at its
//!    start.

use std::{collections::HashSet, fmt::Write};

use axum::http::HeaderValue;
use cookie::{Cookie, SameSite, time::Duration};

use super::{RequestCookies, Role, role};
use crate::config::{CSRF_COOKIE, CookieSameSite, CookieSecure, Cookies};

/// The longest time for which a browser keeps a cookie. The library uses it too.
const CSRF_MAX_AGE: Duration = Duration::days(400);
/// The initial capacity of a `Set-Cookie` value in bytes; most values fit.
const LINE_LENGTH: usize = 160;

/// The facts about a request that decide the attributes of its cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSite {
    /// Whether the browser reached the gateway by https.
    pub is_https: bool,
    /// Whether a page of another site sent the request.
    pub is_cross_site: bool,
}

/// The deletions of one response.
#[derive(Debug, Default)]
pub struct Deletions {
    /// The `Set-Cookie` values.
    pub set_cookies: Vec<HeaderValue>,
    /// The number of names that did not fit into the response; the next logout deletes them.
    pub names_left: usize,
}

/// Plans the deletions of the response to a request with these cookies. Their header lines may take `room`
/// octets of the response's head.
#[must_use]
pub fn plan(
    config: &Cookies,
    room: usize,
    cookies: &RequestCookies<'_>,
    request: RequestSite,
) -> Deletions {
    let (first, then) = targets(config, room, cookies);
    let mut budget = Budget { left: room, deletions: Deletions::default() };
    let lines = |target: &Target| lines(config, target, request);

    // With very many scopes the first names alone may fill every response. Once a request has no cookie with
    // one of these names, delete one of the other names before them: otherwise it would never be deleted.
    let mut then = then.into_iter().peekable();
    let first_is_gone = !first.iter().any(|target| cookies.has(&target.name));
    let fills_the_room = |target: &Target| {
        let together = first.iter().chain([target]).flat_map(lines);
        together.map(|line| cost(&line)).sum::<usize>() > room
    };
    if first_is_gone && let Some(target) = then.next_if(fills_the_room) {
        budget.take_all(lines(&target));
    }
    for target in first {
        budget.take_what_fits(lines(&target));
    }
    while let Some(target) = then.next_if(|target| budget.fits(&lines(target))) {
        budget.take_all(lines(&target));
    }
    budget.deletions.names_left += then.count();
    budget.deletions
}

/// A name to delete.
struct Target {
    name: String,
    /// The request does not have the cookie, so it can exist only at a path other than `/`.
    is_below_root: bool,
}

impl Target {
    fn at_all_paths(name: &str) -> Self {
        Self { name: name.to_owned(), is_below_root: false }
    }
}

/// The names to delete first, and the names to delete after them.
fn targets(
    config: &Cookies,
    room: usize,
    cookies: &RequestCookies<'_>,
) -> (Vec<Target>, Vec<Target>) {
    let key = &config.name;
    let first_chunk = format!("{key}.0");
    let mut first = vec![Target::at_all_paths(key)];
    if cookies.has(&first_chunk) {
        first.push(Target::at_all_paths(&first_chunk));
    } else if config.paths.iter().any(|path| path != "/") && Prefix::of(key) != Prefix::Host {
        first.push(Target { name: first_chunk, is_below_root: true });
    }
    first.push(Target::at_all_paths(CSRF_COOKIE));
    if config.least_set_cookie_bytes() > room {
        // Only some of these names fit. Those that the request has come first: otherwise every response would
        // delete the same names and never reach the others.
        first.sort_by_key(|target| !cookies.has(&target.name));
    }

    let mut seen: HashSet<&str> = first.iter().map(|target| target.name.as_str()).collect();
    let (chunks, rest): (Vec<&str>, Vec<&str>) = cookies
        .names()
        .filter(|name| seen.insert(name))
        .partition(|name| role(key, name) == Some(Role::Session));
    let others = chunks.into_iter().chain(rest).map(Target::at_all_paths).collect();
    (first, others)
}

struct Budget {
    left: usize,
    deletions: Deletions,
}

impl Budget {
    fn fits(&self, lines: &[HeaderValue]) -> bool {
        lines.iter().map(cost).sum::<usize>() <= self.left
    }

    fn take_all(&mut self, lines: Vec<HeaderValue>) {
        self.left = self.left.saturating_sub(lines.iter().map(cost).sum());
        self.deletions.set_cookies.extend(lines);
    }

    fn take_what_fits(&mut self, lines: Vec<HeaderValue>) {
        let wanted = lines.len();
        let before = self.deletions.set_cookies.len();
        for line in lines {
            if cost(&line) > self.left {
                // All lines that follow are left out, even shorter ones, because they are less important.
                self.left = 0;
                break;
            }
            self.take_all(vec![line]);
        }
        if self.deletions.set_cookies.len() - before < wanted {
            self.deletions.names_left += 1;
        }
    }
}

/// The length of the `Set-Cookie` header line in octets.
fn cost(value: &HeaderValue) -> usize {
    "Set-Cookie: \r\n".len() + value.len()
}

/// A prefix of a cookie's name that requires certain attributes (RFC 6265bis, section 4.1.3). Browsers ignore
/// its case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefix {
    /// `__Host-` requires `Path=/`, `Secure` and no `Domain`.
    Host,
    /// `__Secure-` requires `Secure`.
    Secure,
    None,
}

impl Prefix {
    fn of(name: &str) -> Self {
        let starts =
            |prefix: &str| name.get(..prefix.len()).is_some_and(|n| n.eq_ignore_ascii_case(prefix));
        if starts("__Host-") {
            Self::Host
        } else if starts("__Secure-") {
            Self::Secure
        } else {
            Self::None
        }
    }
}

/// The `Set-Cookie` values that delete one name at all its scopes.
fn lines(config: &Cookies, target: &Target, request: RequestSite) -> Vec<HeaderValue> {
    let deletion = Cookie::build((target.name.as_str(), "")).max_age(Duration::ZERO);
    let prefix = Prefix::of(&target.name);
    let paths = config
        .paths
        .iter()
        .map(String::as_str)
        .filter(|path| !target.is_below_root || *path != "/");
    let scopes: Vec<(Option<&str>, &str)> = if prefix == Prefix::Host {
        vec![(None, "/")]
    } else {
        let domains = std::iter::once(None).chain(config.domains.iter().map(|d| Some(d.as_str())));
        domains.flat_map(|domain| paths.clone().map(move |path| (domain, path))).collect()
    };
    let mut lines = Vec::with_capacity(scopes.len() * 2);
    for (domain, path) in scopes {
        let mut cookie = deletion.clone().path(path).build();
        if let Some(domain) = domain {
            cookie.set_domain(domain);
        }
        lines.extend(with_partitioned(config, cookie, prefix != Prefix::None, request));
    }
    lines
}

/// The `Set-Cookie` values that set the CSRF cookie. Its attributes are those of its deletion.
#[must_use]
pub fn csrf_cookie(config: &Cookies, value: &str, request: RequestSite) -> Vec<HeaderValue> {
    let cookie = Cookie::build((CSRF_COOKIE, value)).max_age(CSRF_MAX_AGE).path("/").build();
    with_partitioned(config, cookie, false, request).collect()
}

/// The `Set-Cookie` value of a cookie, and a second one with `Partitioned` where that is configured.
fn with_partitioned(
    config: &Cookies,
    mut plain: Cookie<'_>,
    must_be_secure: bool,
    request: RequestSite,
) -> impl Iterator<Item = HeaderValue> {
    // Browsers ignore a `Lax` cookie in a response to a page of another site.
    let is_none = request.is_cross_site || config.same_site == CookieSameSite::None;
    let secure = must_be_secure
        // Browsers require `Secure` for `SameSite=None`.
        || is_none
        || match config.secure {
            CookieSecure::Auto => request.is_https,
            CookieSecure::Always => true,
            CookieSecure::Never => false,
        };
    plain.set_same_site(if is_none { SameSite::None } else { SameSite::Lax });
    plain.set_secure(secure.then_some(true));
    let partitioned = config.partitioned.then(|| {
        // A partitioned cookie is only used in frames of other sites, where browsers ignore `Lax` ones.
        let mut partitioned = plain.clone();
        partitioned.set_same_site(SameSite::None);
        partitioned.set_secure(true);
        partitioned.set_partitioned(true);
        header_value(&partitioned)
    });
    std::iter::once(header_value(&plain)).chain(partitioned).flatten()
}

/// The `Set-Cookie` value of a cookie. It is never `None`, because these names and values are valid (RFC
/// 6265).
fn header_value(cookie: &Cookie<'_>) -> Option<HeaderValue> {
    let mut line = String::with_capacity(LINE_LENGTH);
    write!(line, "{cookie}").ok()?;
    HeaderValue::try_from(line).ok()
}
