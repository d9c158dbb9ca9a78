//! The plan of what to delete, so that a browser forgets the session wherever it is kept.
//!
//! 1. Only names of the library's own, the CSRF cookie and those configured are touched; no byte of
//!    a value is echoed.
//! 2. Every name goes at every scope: host-only first, then each configured domain, each at every
//!    configured path, as the library itself deletes (recorded: `sign_out_set_cookie`).
//! 3. `K`, `K.0` and the CSRF cookie come first: without them the library reads no session. Then the
//!    other chunks, then the rest, each whole or not at all: a request shows no copy at another path,
//!    so what is cut off is cut off between names.
//! 4. A response stays within the budget; what did not fit goes with the next call. Where the scopes
//!    are so many that the first names alone exceed it, they are cut off between scopes, and at some
//!    of them cookies stay: a weak setting that is warned of at start.

use std::{collections::HashSet, fmt::Write};

use axum::http::HeaderValue;
use cookie::{Cookie, SameSite, time::Duration};

use super::{RequestCookies, Role, role};
use crate::config::{CSRF_COOKIE, CookieSecure, Cookies};

/// The library's own: the longest that a browser keeps a cookie.
const CSRF_MAX_AGE: Duration = Duration::days(400);
/// Longer than most.
const LINE_LENGTH: usize = 160;

/// How the request came, as far as its cookies care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// By https, as seen by the browser.
    pub https: bool,
    /// From a page of another site.
    pub cross_site: bool,
}

/// What one response deletes.
#[derive(Debug, Default)]
pub struct Deletions {
    /// The `Set-Cookie` values.
    pub set_cookies: Vec<HeaderValue>,
    /// How many names did not fit.
    pub names_left: usize,
}

/// What a response to this request deletes, in `room` octets of its head.
#[must_use]
pub fn plan(
    config: &Cookies,
    room: usize,
    cookies: &RequestCookies<'_>,
    transport: Transport,
) -> Deletions {
    let (first, then) = targets(config, room, cookies);
    let mut budget = Budget { left: room, deletions: Deletions::default() };
    let lines = |target: &Target| lines(config, target, transport);

    // With very many scopes the first names alone may fill every response: once the request shows
    // none of them any more, one of the others takes precedence, or it would never go.
    let mut then = then.into_iter().peekable();
    let first_is_gone = !first.iter().any(|target| cookies.has(&target.name));
    let crowded_out = |target: &Target| {
        let together = first.iter().chain([target]).flat_map(lines);
        together.map(|line| cost(&line)).sum::<usize>() > room
    };
    if first_is_gone && let Some(target) = then.next_if(crowded_out) {
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
    /// The request does not show it, so it can only be at a path other than `/`.
    elsewhere: bool,
}

impl Target {
    fn here(name: &str) -> Self {
        Self { name: name.to_owned(), elsewhere: false }
    }
}

/// What to delete: the names that go first, and the others.
fn targets(
    config: &Cookies,
    room: usize,
    cookies: &RequestCookies<'_>,
) -> (Vec<Target>, Vec<Target>) {
    let key = &config.name;
    let first_chunk = format!("{key}.0");
    let mut first = vec![Target::here(key)];
    if cookies.has(&first_chunk) {
        first.push(Target::here(&first_chunk));
    } else if config.paths.iter().any(|path| path != "/") && Prefix::of(key) != Prefix::Host {
        first.push(Target { name: first_chunk, elsewhere: true });
    }
    first.push(Target::here(CSRF_COOKIE));
    if config.least_set_cookie_bytes() > room {
        // Only some of them will fit: what the browser shows goes before what it may not even have,
        // or every call would begin, and end, with the same.
        first.sort_by_key(|target| !cookies.has(&target.name));
    }

    let mut seen: HashSet<&str> = first.iter().map(|target| target.name.as_str()).collect();
    let (chunks, rest): (Vec<&str>, Vec<&str>) = cookies
        .names()
        .filter(|name| seen.insert(name))
        .partition(|name| role(key, name) == Some(Role::Session));
    let others = chunks.into_iter().chain(rest).map(Target::here).collect();
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
                // What follows is less important, however short.
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

/// Bytes of the header line.
fn cost(value: &HeaderValue) -> usize {
    "Set-Cookie: \r\n".len() + value.len()
}

/// RFC 6265bis, section 4.1.3; user agents match the prefixes without regard to case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefix {
    /// `Path=/`, no `Domain`, `Secure`.
    Host,
    /// `Secure`.
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

/// The deletions of one name at all its scopes.
fn lines(config: &Cookies, target: &Target, transport: Transport) -> Vec<HeaderValue> {
    let deletion = Cookie::build((target.name.as_str(), "")).max_age(Duration::ZERO);
    let prefix = Prefix::of(&target.name);
    let paths =
        config.paths.iter().map(String::as_str).filter(|path| !target.elsewhere || *path != "/");
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
        lines.extend(in_all_forms(config, cookie, prefix != Prefix::None, transport));
    }
    lines
}

/// The CSRF cookie with this value, by the rules of the deletions.
#[must_use]
pub fn csrf_cookie(config: &Cookies, value: &str, transport: Transport) -> Vec<HeaderValue> {
    let cookie = Cookie::build((CSRF_COOKIE, value)).max_age(CSRF_MAX_AGE).path("/").build();
    in_all_forms(config, cookie, false, transport).collect()
}

/// Once as the transport asks, and once more partitioned where that is configured.
fn in_all_forms(
    config: &Cookies,
    mut plain: Cookie<'_>,
    must_be_secure: bool,
    transport: Transport,
) -> impl Iterator<Item = HeaderValue> {
    let secure = must_be_secure
        // Browsers ignore a `Lax` cookie that a page of another site asks for.
        || transport.cross_site
        || match config.secure {
            CookieSecure::Auto => transport.https,
            CookieSecure::Always => true,
            CookieSecure::Never => false,
        };
    plain.set_same_site(if transport.cross_site { SameSite::None } else { SameSite::Lax });
    plain.set_secure(secure.then_some(true));
    let partitioned = config.partitioned.then(|| {
        let mut partitioned = plain.clone();
        partitioned.set_secure(true);
        partitioned.set_partitioned(true);
        written(&partitioned)
    });
    std::iter::once(written(&plain)).chain(partitioned).flatten()
}

/// Names and values are RFC 6265 tokens here, so there always is one.
fn written(cookie: &Cookie<'_>) -> Option<HeaderValue> {
    let mut line = String::with_capacity(LINE_LENGTH);
    write!(line, "{cookie}").ok()?;
    HeaderValue::try_from(line).ok()
}
