//! Reads the session cookies that `@supabase/ssr` ("the library") writes, and recognises the names of all
//! cookies of the library.
//!
//! 1. The session is in the cookie `K` (the storage key), or in chunks `K.0`, `K.1`, …, joined up to the
//!    first gap. It is percent-encoded JSON, or base64url after `base64-`.
//! 2. The library also writes `K-user`, `K-code-verifier`, `K-flows-code-verifier` and
//!    `K-flow-<id>-code-verifier`, and may split each into chunks.
//! 3. A cookie that holds no session yields [`SessionCookie::Undecodable`]. Reading never panics, whatever octets
//!    the cookies have.
//!
//! Names and formats were recorded from the library: `fixtures/gotrue/ssr-cookies.json`.

pub mod deletion;

use std::{borrow::Cow, collections::BTreeMap};

use axum::http::{HeaderMap, header};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use serde::Deserialize;

use crate::config::{CSRF_COOKIE, Cookies};

/// The cookies of a request that a logout reads or deletes, in the order of the request. All others are
/// skipped, because a request may carry thousands.
#[derive(Debug)]
pub struct RequestCookies<'r>(Vec<(Cow<'r, str>, Cow<'r, str>)>);

/// The tokens in a session cookie.
#[derive(Clone, Debug)]
pub struct StoredSession {
    /// The access token, not yet verified.
    pub access_token: SecretString,
    /// The refresh token; never empty.
    pub refresh_token: Option<SecretString>,
}

/// The content of the session cookie or of its chunks.
#[derive(Debug)]
pub enum SessionCookie {
    /// The request has no session cookie, and no first chunk of one.
    Absent,
    /// The cookie exists, but holds no session.
    Undecodable,
    /// A session.
    Session(StoredSession),
}

impl<'r> RequestCookies<'r> {
    /// Reads all `Cookie` headers. Pairs without `=` are skipped.
    #[must_use]
    pub fn of(headers: &'r HeaderMap, config: &Cookies) -> Self {
        let mut ours = Vec::new();
        for value in headers.get_all(header::COOKIE) {
            let is_ours = |(name, _): &(&str, &str)| is_ours(config, name);
            if let Ok(text) = std::str::from_utf8(value.as_bytes()) {
                let pairs = pairs(text).filter(is_ours);
                ours.extend(pairs.map(|(name, value)| (name.into(), value.into())));
            } else {
                // This header is not UTF-8. Replace the faulty octets: another application's cookie must not
                // hide the session.
                let text = String::from_utf8_lossy(value.as_bytes());
                let pairs = pairs(&text).filter(is_ours);
                ours.extend(
                    pairs.map(|(name, value)| (name.to_owned().into(), value.to_owned().into())),
                );
            }
        }
        Self(ours)
    }

    /// The values of all cookies with this name.
    pub fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_ref())
    }

    /// Whether there is a cookie with this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// Whether the request has none of the cookies that a logout reads or deletes.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of these cookies in the order of the request. A name may occur several times.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    /// The session in the cookie with the name `key`, or in its chunks.
    #[must_use]
    pub fn session(&self, key: &str) -> SessionCookie {
        let whole = self.values(key).find(|value| !value.is_empty());
        let text = match whole {
            Some(value) => Cow::Borrowed(value),
            None => match self.joined_chunks(key) {
                Some(text) => Cow::Owned(text),
                None if self.has(key) => return SessionCookie::Undecodable,
                None => return SessionCookie::Absent,
            },
        };
        decode(&text).map_or(SessionCookie::Undecodable, SessionCookie::Session)
    }

    fn joined_chunks(&self, key: &str) -> Option<String> {
        let mut chunks = BTreeMap::new();
        for (name, value) in &self.0 {
            // The library treats an empty chunk as absent, like an empty session cookie.
            if !value.is_empty()
                && let Some(suffix) = name.strip_prefix(key)
                && let Some(index) =
                    chunk_suffix(suffix).and_then(|index| index.parse::<u32>().ok())
            {
                // Of cookies with the same name, browsers send the one with the longer path first, and the
                // library reads the first one.
                chunks.entry(index).or_insert(value.as_ref());
            }
        }
        let up_to_gap = (0..).zip(&chunks).take_while(|(i, (index, _))| i == *index);
        let text: String = up_to_gap.map(|(_, (_, value))| *value).collect();
        (!text.is_empty()).then_some(text)
    }
}

/// Splits a `Cookie` header into names and values (RFC 6265bis, section 5.6). Only space and tab are trimmed:
/// to a browser, a name after any other white space is a different name, which the prefix `__Host-` does not
/// protect.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
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

/// Whether a logout reads or deletes a cookie with this name.
fn is_ours(config: &Cookies, name: &str) -> bool {
    name == CSRF_COOKIE
        || role(&config.name, name).is_some()
        || config.extra.iter().any(|extra| extra == name)
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

/// Decodes as the library does: padding may be missing, and trailing bits are ignored.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

fn decode(text: &str) -> Option<StoredSession> {
    let coded = text.contains('%');
    let text: Cow<'_, [u8]> =
        if coded { percent_decode_str(text).into() } else { text.as_bytes().into() };
    let json = match text.strip_prefix(b"base64-".as_slice()) {
        Some(coded) => Cow::Owned(BASE64URL.decode(coded).ok()?),
        None => text,
    };
    match json.trim_ascii_start().first()? {
        b'[' => decode_array(&json),
        _ => decode_object(&json),
    }
}

impl StoredSession {
    fn new(access_token: &str, refresh_token: Option<&str>) -> Self {
        Self {
            access_token: access_token.into(),
            refresh_token: refresh_token.filter(|token| !token.is_empty()).map(Into::into),
        }
    }
}

/// Reads the format that the library writes today: an object of many members, of which the gateway needs two.
fn decode_object(json: &[u8]) -> Option<StoredSession> {
    #[derive(Deserialize)]
    struct Session<'j> {
        #[serde(borrow)]
        access_token: Cow<'j, str>,
        #[serde(borrow)]
        refresh_token: Option<Cow<'j, str>>,
    }
    let Session { access_token, refresh_token } = serde_json::from_slice(json).ok()?;
    Some(StoredSession::new(&access_token, refresh_token.as_deref()))
}

/// Reads the format of earlier versions of the library: an array of access token, refresh token and more.
fn decode_array(json: &[u8]) -> Option<StoredSession> {
    let members: Vec<serde_json::Value> = serde_json::from_slice(json).ok()?;
    let refresh_token = members.get(1).and_then(serde_json::Value::as_str);
    Some(StoredSession::new(members.first()?.as_str()?, refresh_token))
}

#[cfg(test)]
mod tests;
