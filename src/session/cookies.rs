//! What @supabase/ssr writes into cookies: reading it, and telling which names are its own.
//!
//! 1. The session is at the storage key `K`, or in chunks `K.0`, `K.1`, … joined up to the first
//!    gap; percent-encoded JSON, or `base64-` and base64url.
//! 2. Beside it the library keeps `K-user`, `K-code-verifier`, `K-flows-code-verifier` and
//!    `K-flow-<id>-code-verifier`, each of which may be chunked too.
//! 3. Reading never fails louder than [`Stored::Undecodable`], whatever the bytes.
//!
//! Recorded: `fixtures/gotrue/ssr-cookies.json`.

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

/// The cookies of a request that a logout has to do with, in the order in which they came. All others
/// are passed over at once: a request may carry thousands.
#[derive(Debug)]
pub struct RequestCookies<'r>(Vec<(Cow<'r, str>, Cow<'r, str>)>);

/// The tokens that a session cookie holds.
#[derive(Clone, Debug)]
pub struct StoredSession {
    /// Not judged yet.
    pub access_token: SecretString,
    /// Never empty.
    pub refresh_token: Option<SecretString>,
}

/// What is at the storage key.
#[derive(Debug)]
pub enum Stored {
    /// No cookie, or no first chunk.
    Absent,
    /// Something that is no session.
    Undecodable,
    /// A session.
    Session(StoredSession),
}

impl<'r> RequestCookies<'r> {
    /// Reads every `Cookie` header; pairs without a name or without `=` are passed over.
    #[must_use]
    pub fn of(headers: &'r HeaderMap, config: &Cookies) -> Self {
        let mut ours = Vec::new();
        for value in headers.get_all(header::COOKIE) {
            let is_ours = |(name, _): &(&str, &str)| is_ours(config, name);
            if let Ok(text) = std::str::from_utf8(value.as_bytes()) {
                let pairs = pairs(text).filter(is_ours);
                ours.extend(pairs.map(|(name, value)| (name.into(), value.into())));
            } else {
                // A foreign cookie in another encoding hides none of ours.
                let text = String::from_utf8_lossy(value.as_bytes());
                let pairs = pairs(&text).filter(is_ours);
                ours.extend(
                    pairs.map(|(name, value)| (name.to_owned().into(), value.to_owned().into())),
                );
            }
        }
        Self(ours)
    }

    /// Every value of that name.
    pub fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_ref())
    }

    /// Whether there is a cookie of that name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// Whether there is none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every name, as often as it came.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    /// The session at the storage key `key`.
    #[must_use]
    pub fn session(&self, key: &str) -> Stored {
        let whole = self.values(key).find(|value| !value.is_empty());
        let text = match whole {
            Some(value) => Cow::Borrowed(value),
            None => match self.joined_chunks(key) {
                Some(text) => Cow::Owned(text),
                None if self.has(key) => return Stored::Undecodable,
                None => return Stored::Absent,
            },
        };
        decode(&text).map_or(Stored::Undecodable, Stored::Session)
    }

    fn joined_chunks(&self, key: &str) -> Option<String> {
        let mut chunks = BTreeMap::new();
        for (name, value) in &self.0 {
            // An empty one is as good as none, like an empty whole.
            if !value.is_empty()
                && let Some(suffix) = name.strip_prefix(key)
                && let Some(index) =
                    chunk_suffix(suffix).and_then(|index| index.parse::<u32>().ok())
            {
                // A browser sends the cookie of the longer path first, and the library takes it.
                chunks.entry(index).or_insert(value.as_ref());
            }
        }
        let up_to_gap = (0..).zip(&chunks).take_while(|(i, (index, _))| i == *index);
        let text: String = up_to_gap.map(|(_, (_, value))| *value).collect();
        (!text.is_empty()).then_some(text)
    }
}

/// Names and values (RFC 6265bis, section 5.6). White space is space and tab alone: to a browser a name
/// after any other is another name, whose prefix `__Host-` protects nobody.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim_matches([' ', '\t']), value.trim_matches([' ', '\t'])))
}

/// Many more than the library could count to. Without a bound whoever plants a name of 4,000 of them
/// makes the line that deletes it outgrow every budget.
const MOST_DIGITS: usize = 64;

/// `.n` with a decimal number without leading zeros; answers the digits.
fn chunk_suffix(suffix: &str) -> Option<&str> {
    let digits = suffix.strip_prefix('.')?;
    let decimal =
        (1..=MOST_DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    (decimal && (digits == "0" || !digits.starts_with('0'))).then_some(digits)
}

/// What a cookie is to the library that owns the storage key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// `K` or one of its chunks.
    Session,
    /// What the library keeps beside the session.
    Companion,
}

/// Whether a logout deletes a cookie of that name.
fn is_ours(config: &Cookies, name: &str) -> bool {
    name == CSRF_COOKIE
        || role(&config.name, name).is_some()
        || config.extra.iter().any(|extra| extra == name)
}

/// Whether the library writes a cookie of that name for the storage key `key`.
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
            .is_some_and(flow_id);
    companion.then_some(Role::Companion)
}

fn flow_id(id: &str) -> bool {
    (8..=64).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// As lenient about padding and trailing bits as the library itself.
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
        b'[' => older(&json),
        _ => current(&json),
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

/// An object of many members, of which two count.
fn current(json: &[u8]) -> Option<StoredSession> {
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

/// The array of earlier versions: access token, refresh token and more.
fn older(json: &[u8]) -> Option<StoredSession> {
    let members: Vec<serde_json::Value> = serde_json::from_slice(json).ok()?;
    let refresh_token = members.get(1).and_then(serde_json::Value::as_str);
    Some(StoredSession::new(members.first()?.as_str()?, refresh_token))
}

#[cfg(test)]
mod tests;
