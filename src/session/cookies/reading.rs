//! Reads the sessions in the cookies of a request, its cookie jar. There may be several: after an application has
//! changed the domain of its cookies, browsers send the cookies of both domains.
//!
//! 1. Each cookie `K`, each complete series of chunks `K.0`, `K.1`, …, and each pair of `sb-access-token` and
//!    `sb-refresh-token` is a session of its own. The value of `K` may also be only an access token.
//! 2. Chunks of two domains come interleaved. The gateway tries combinations of them, [`MOST_TRIES`] at most, and
//!    uses each one that it can decode.
//! 3. An access token that is read more than once is one session, with every refresh token that came with it.
//! 4. A cookie that holds no session does not prevent reading a session from other cookies, unless the chunks
//!    have more than [`MOST_TRIES`] combinations.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{ACCESS_COOKIE, REFRESH_COOKIE, RequestCookies, chunk_suffix};
use crate::config::Cookies;

/// How many combinations of chunks the gateway tries to decode.
const MOST_TRIES: usize = 16;

/// The tokens of a session in the cookies. They are not verified yet.
#[derive(Clone, Debug)]
pub struct StoredSession {
    /// The access token.
    pub access_token: SecretString,
    /// The refresh tokens that came with it, none of them empty.
    pub refresh_tokens: Vec<SecretString>,
}

/// The sessions in the cookies of a request, in the order of the request.
#[derive(Clone, Debug, Default)]
pub struct JarSessions {
    /// The sessions that could be decoded, each access token once.
    pub sessions: Vec<StoredSession>,
    /// Whether a session cookie could not be decoded.
    pub has_undecodable: bool,
}

impl RequestCookies<'_> {
    /// Reads the sessions in the cookies.
    #[must_use]
    pub fn sessions(&self, config: &Cookies) -> JarSessions {
        let mut jar = JarSessions::default();
        let refresh_name = config.refresh_name.as_deref();
        self.read_whole_cookies(&config.name, refresh_name, &mut jar);
        self.read_chunks(&config.name, &mut jar);
        if config.name != ACCESS_COOKIE {
            self.read_pairs(ACCESS_COOKIE, Some(REFRESH_COOKIE), &mut jar);
        }
        jar
    }

    /// Reads the cookies named `key`, which are not chunked. If one of them holds only an access token, the
    /// refresh tokens are in cookies of another name.
    fn read_whole_cookies(&self, key: &str, refresh_name: Option<&str>, jar: &mut JarSessions) {
        if self.values(key).any(is_bare_token) {
            return self.read_pairs(key, refresh_name.or(Some(REFRESH_COOKIE)), jar);
        }
        for value in self.values(key) {
            // The library treats an empty cookie as absent.
            if !value.is_empty() {
                jar.add(decode(value));
            }
        }
    }

    /// Reads cookies whose value is an access token, and pairs the n-th of them with the n-th refresh token: for
    /// both names, a browser sends the cookies of several domains and paths in the same order.
    fn read_pairs(&self, access_name: &str, refresh_name: Option<&str>, jar: &mut JarSessions) {
        let refresh_tokens: Vec<_> =
            refresh_name.map_or_else(Vec::new, |name| self.values(name).collect());
        for (index, value) in self.values(access_name).enumerate() {
            if value.is_empty() {
                continue;
            }
            let session = if is_bare_token(value) {
                Some(StoredSession::new(value, refresh_tokens.get(index).copied()))
            } else {
                decode(value)
            };
            jar.add(session);
        }
    }

    fn read_chunks(&self, key: &str, jar: &mut JarSessions) {
        let chunks = self.chunks(key);
        let Some(longest) = chunks.iter().map(Vec::len).max() else { return };
        let had_undecodable = jar.has_undecodable;
        let mut is_read = false;
        for text in joined(&chunks).take(MOST_TRIES) {
            is_read |= jar.add(decode(&text));
            if is_read && longest == 1 {
                break;
            }
        }
        // If one combination is a session, the others do not mean that a session could not be decoded.
        jar.has_undecodable = had_undecodable || !is_read;
    }

    /// The values of the chunks up to the first gap, by index. An index has several values if there are several
    /// cookies of its name.
    fn chunks(&self, key: &str) -> Vec<Vec<&str>> {
        let mut chunks: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
        for (name, value) in &self.ours {
            // The library treats an empty chunk as absent.
            if !value.is_empty()
                && let Some(suffix) = name.strip_prefix(key)
                && let Some(index) = chunk_suffix(suffix).and_then(|index| index.parse().ok())
            {
                chunks.entry(index).or_default().push(value.as_ref());
            }
        }
        let up_to_gap = (0..).zip(chunks).take_while(|(i, (index, _))| i == index);
        up_to_gap.map(|(_, (_, values))| values).collect()
    }
}

/// Joins one value of each index, the most likely combinations first.
fn joined<'c>(chunks: &'c [Vec<&'c str>]) -> impl Iterator<Item = String> + 'c {
    let up_to = |end| chunks.get(..end).unwrap_or_default();
    // First combine the values at the same place of each index, because the cookies of each domain come in the
    // same order at every index. If an index has fewer values than the index before, one domain has no more
    // chunks: also try the chunks up to there.
    let ends = (1..).zip(chunks.windows(2)).filter_map(|(end, pair)| match pair {
        [before, next] if next.len() < before.len() => Some(end),
        _ => None,
    });
    let by_place = std::iter::once(chunks.len()).chain(ends).map(up_to).flat_map(|chunks| {
        let places = chunks.iter().map(Vec::len).max().unwrap_or_default();
        (0..places).map(|place| join(chunks, |count| place.min(count - 1)))
    });
    // Then try all combinations. Leave out the last chunks too, because they may be left over from an earlier,
    // longer session.
    let all = (1..=chunks.len()).rev().map(up_to).flat_map(|chunks| {
        let count = chunks.iter().map(Vec::len).fold(1, usize::saturating_mul);
        (0..count).map(|mut combination| {
            join(chunks, |count| {
                let choice = combination % count;
                combination /= count;
                choice
            })
        })
    });
    by_place.chain(all)
}

/// Joins the value that `choose` selects at each index. `choose` gets the number of values there, at least 1, and
/// returns the position of one of them.
fn join(chunks: &[Vec<&str>], mut choose: impl FnMut(usize) -> usize) -> String {
    chunks.iter().filter_map(|values| values.get(choose(values.len()))).copied().collect()
}

impl JarSessions {
    /// Whether the request has no session cookie at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && !self.has_undecodable
    }

    /// Adds a session, or records that a session cookie could not be decoded. Returns whether there is a session.
    fn add(&mut self, session: Option<StoredSession>) -> bool {
        let Some(session) = session else {
            self.has_undecodable = true;
            return false;
        };
        let is_same = |known: &&mut StoredSession| {
            known.access_token.expose_secret() == session.access_token.expose_secret()
        };
        if let Some(known) = self.sessions.iter_mut().find(is_same) {
            known.add_refresh_tokens(session.refresh_tokens);
        } else {
            self.sessions.push(session);
        }
        true
    }
}

impl StoredSession {
    fn new(access_token: &str, refresh_token: Option<&str>) -> Self {
        let refresh_token = refresh_token.filter(|token| !token.is_empty());
        Self {
            access_token: access_token.into(),
            refresh_tokens: refresh_token.map(Into::into).into_iter().collect(),
        }
    }

    fn add_refresh_tokens(&mut self, tokens: Vec<SecretString>) {
        for token in tokens {
            let is_known = self
                .refresh_tokens
                .iter()
                .any(|known| known.expose_secret() == token.expose_secret());
            if !is_known {
                self.refresh_tokens.push(token);
            }
        }
    }
}

/// Whether the text has the form of a JWT: three parts of base64url. JSON and its percent-encoding do not.
fn is_bare_token(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.split('.').count() == 3 && text.split('.').all(is_part)
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
