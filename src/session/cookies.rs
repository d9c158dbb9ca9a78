//! Reads the session cookies that `@supabase/ssr` ("the library") writes, and recognises the names of all
//! cookies of the library.
//!
//! 1. The session is in the cookie `K` (the storage key), or in chunks `K.0`, `K.1`, …, joined up to the first
//!    gap. It is percent-encoded JSON, or base64url after `base64-`. Older helpers of Supabase keep it in
//!    `sb-access-token` and `sb-refresh-token`. `reading` reads all sessions of a request.
//! 2. The library also writes `K-user`, `K-code-verifier`, `K-flows-code-verifier` and
//!    `K-flow-<id>-code-verifier`, and may split each into chunks.
//!
//! Names and formats were recorded from the library: `fixtures/gotrue/ssr-cookies.json`.

mod chunks;
pub mod deletion;
mod reading;

use std::{borrow::Cow, fmt, mem};

use axum::http::{HeaderMap, header};
use memchr::memchr_iter;

pub use self::reading::{JarSessions, StoredSession};
use crate::config::{CSRF_COOKIE, Cookies};

/// The cookies of a request that a logout reads or deletes, in the order of the request. All others are
/// skipped, because a request may carry thousands.
#[derive(Debug)]
pub struct RequestCookies<'r> {
    /// The names and values.
    ours: Vec<(Cow<'r, str>, Cow<'r, str>)>,
    /// The storage key of the first session cookie of another project.
    other_key: Option<String>,
}

/// A session cookie of another project, or of this one under another URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherProject {
    /// The storage key of the cookie in the request.
    pub(crate) found: String,
    /// The storage key that the gateway reads.
    pub(crate) expected: String,
}

impl fmt::Display for OtherProject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, expected } = self;
        write!(
            f,
            "the request has the cookie {found}, and the gateway reads {expected}: set SUPABASE_URL to the URL that the \
             browser's client uses (and GOTRUE_URL to the one that the gateway can reach), or set GATEWAY_COOKIE_NAME"
        )
    }
}

impl<'r> RequestCookies<'r> {
    /// Reads all `Cookie` headers. Pairs without `=` are skipped.
    #[must_use]
    pub fn of(headers: &'r HeaderMap, config: &Cookies) -> Self {
        let mut ours = Vec::new();
        let mut other = None;
        for value in headers.get_all(header::COOKIE) {
            // Keeps the cookies of this project, and remembers the first session cookie of another one.
            let mut keep = |(name, _): &(&str, &str)| {
                let keeps = is_ours(config, name);
                if !keeps && other.is_none() {
                    other = other_key(name);
                }
                keeps
            };
            if let Ok(text) = std::str::from_utf8(value.as_bytes()) {
                let pairs = pairs(text).filter(&mut keep);
                ours.extend(pairs.map(|(name, value)| (name.into(), value.into())));
            } else {
                // This header is not UTF-8. Replace the faulty octets: another application's cookie must not
                // hide the session.
                let text = String::from_utf8_lossy(value.as_bytes());
                let pairs = pairs(&text).filter(&mut keep);
                ours.extend(
                    pairs.map(|(name, value)| (name.to_owned().into(), value.to_owned().into())),
                );
            }
        }
        Self { ours, other_key: other }
    }

    /// The session cookie of another project, if the request has one.
    pub(crate) fn of_other_project(&self, config: &Cookies) -> Option<OtherProject> {
        let found = self.other_key.clone()?;
        Some(OtherProject { found, expected: config.name.clone() })
    }

    /// The values of all cookies with this name.
    pub fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.ours.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_ref())
    }

    /// Whether there is a cookie with this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// Whether the request has none of the cookies that a logout reads or deletes.
    pub(crate) fn is_empty(&self) -> bool {
        self.ours.is_empty()
    }

    /// The names of these cookies in the order of the request. A name may occur several times.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.ours.iter().map(|(name, _)| name.as_ref())
    }
}

/// Splits a `Cookie` header into names and values (RFC 6265bis, section 5.6). Only space and tab are trimmed:
/// to a browser, a name after any other white space is a different name, which the prefix `__Host-` does not
/// protect.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    // The search of `str::split` took, here and in `reading`, 8,500 instructions of a check by cookie, and memchr takes
    // 2,600: 4 % less for the check.
    let mut begin = 0;
    let ends = memchr_iter(b';', text.as_bytes()).chain([text.len()]);
    let pairs = ends.filter_map(move |end| text.get(mem::replace(&mut begin, end + 1)..end));
    let pairs = pairs.filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim_matches([' ', '\t']), value.trim_matches([' ', '\t'])))
}

/// The most digits of a chunk's number; the library writes far fewer. Without a bound, an attacker could
/// plant a cookie whose name has 4,000 digits, and no response would have room for its deletion.
const MAX_INDEX_DIGITS: usize = 64;

/// The digits of the suffix of a chunk's name: `.` and a decimal number without leading zeros.
fn chunk_suffix(suffix: &str) -> Option<&str> {
    let digits = suffix.strip_prefix('.')?;
    let decimal = (1..=MAX_INDEX_DIGITS).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit());
    (decimal && (digits == "0" || !digits.starts_with('0'))).then_some(digits)
}

/// The library's use of a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The session, or a chunk of it.
    Session,
    /// Other data beside the session: the user, or a code verifier of PKCE.
    Companion,
}

/// The cookie in which older helpers of Supabase keep the access token.
const ACCESS_COOKIE: &str = "sb-access-token";
/// The cookie in which older helpers of Supabase keep the refresh token.
const REFRESH_COOKIE: &str = "sb-refresh-token";

/// Whether a logout reads or deletes a cookie with this name.
fn is_ours(config: &Cookies, name: &str) -> bool {
    let is_extra = |extra: &String| {
        extra == name || (extra.ends_with(KEY_SUFFIX) && role(extra, name).is_some())
    };
    matches!(name, CSRF_COOKIE | ACCESS_COOKIE | REFRESH_COOKIE)
        || role(&config.name, name).is_some()
        || config.refresh_name.as_deref() == Some(name)
        || config.extra.iter().any(is_extra)
}

/// The end of every storage key that @supabase/supabase-js makes from a project's URL.
const KEY_SUFFIX: &str = "-auth-token";
/// The most bytes of a cookie's name in the log. Clients choose the names of the cookies of other projects.
const MAX_LOGGED_NAME: usize = 128;

/// The storage key of the cookie `name`, if it looks like a session cookie of another project and may be logged.
fn other_key(name: &str) -> Option<String> {
    if !name.starts_with("sb-") || name.len() > MAX_LOGGED_NAME {
        return None;
    }
    let (whole, suffix) = name.rfind('.').map_or((name, ""), |dot| name.split_at(dot));
    let key = if chunk_suffix(suffix).is_some() { whole } else { name };
    let is_loggable = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (key.ends_with(KEY_SUFFIX) && key.bytes().all(is_loggable)).then(|| key.to_owned())
}

/// The library's use of a cookie with this name, if its storage key is `key`. `None` if the cookie is not the
/// library's.
fn role(key: &str, name: &str) -> Option<Role> {
    let suffix = name.strip_prefix(key)?;
    if suffix.is_empty() || chunk_suffix(suffix).is_some() {
        return Some(Role::Session);
    }
    let whole = match suffix.rfind('.').and_then(|dot| suffix.split_at_checked(dot)) {
        Some((whole, chunk)) if chunk_suffix(chunk).is_some() => whole,
        _ => suffix,
    };
    let companion = matches!(whole, "-user" | "-code-verifier" | "-flows-code-verifier")
        || whole
            .strip_prefix("-flow-")
            .and_then(|s| s.strip_suffix("-code-verifier"))
            .is_some_and(is_flow_id);
    companion.then_some(Role::Companion)
}

fn is_flow_id(id: &str) -> bool {
    (8..=64).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests;
