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

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{ACCESS_COOKIE, REFRESH_COOKIE, RequestCookies, chunk_suffix};
use crate::{
    config::Cookies,
    session::token::{TokenDigest, token_digest},
};

/// How many combinations of chunks the gateway tries to decode.
const MOST_TRIES: usize = 16;
/// The most refresh tokens of one session.
const MOST_REFRESH_TOKENS: usize = 32;

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
        let mut jar = Reader::default();
        let refresh_name = config.refresh_name.as_deref();
        self.read_whole_cookies(&config.name, refresh_name, &mut jar);
        self.read_chunks(&config.name, &mut jar);
        if config.name != ACCESS_COOKIE {
            self.read_pairs(ACCESS_COOKIE, Some(REFRESH_COOKIE), &mut jar);
        }
        jar.read
    }

    /// Reads the cookies named `key`, which are not chunked. If one of them holds only an access token, the
    /// refresh tokens are in cookies of another name.
    fn read_whole_cookies(&self, key: &str, refresh_name: Option<&str>, jar: &mut Reader) {
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

    /// Reads cookies whose value is an access token, each with all refresh tokens. The first is the one at the same place
    /// in the order of the request: a browser sends cookies of one domain and path in the same order.
    fn read_pairs(&self, access_name: &str, refresh_name: Option<&str>, jar: &mut Reader) {
        let refresh_tokens: Vec<_> = refresh_name
            .map_or_else(Vec::new, |name| self.values(name).filter(|t| !t.is_empty()).collect());
        let access_tokens = self.values(access_name).filter(|value| !value.is_empty());
        for (index, value) in access_tokens.enumerate() {
            let session = if is_bare_token(value) {
                let own = refresh_tokens.get(index).copied();
                let mut session = StoredSession::new(value, own);
                session.add_refresh_tokens(refresh_tokens.iter().map(|&token| token.into()));
                Some(session)
            } else {
                decode(value)
            };
            jar.add(session);
        }
    }

    fn read_chunks(&self, key: &str, jar: &mut Reader) {
        let chunks = self.chunks(key);
        let Some(longest) = chunks.iter().map(Vec::len).max() else { return };
        let had_undecodable = jar.read.has_undecodable;
        let mut is_read = false;
        for text in joined(&chunks).take(MOST_TRIES) {
            is_read |= jar.add(decode(&text));
            if is_read && longest == 1 {
                break;
            }
        }
        // If one combination is a session, the others do not mean that a session could not be decoded.
        jar.read.has_undecodable = had_undecodable || !is_read;
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

/// Joins one value of each index, the most likely combinations first, each once.
fn joined<'c>(chunks: &'c [Vec<&'c str>]) -> impl Iterator<Item = String> + 'c {
    // Where an index has fewer values than the one before, the session of one domain has ended.
    let drops = (1..).zip(chunks.windows(2)).filter_map(|(end, pair)| match pair {
        [before, next] if next.len() < before.len() => Some(end),
        _ => None,
    });
    let likely: Vec<usize> = std::iter::once(chunks.len()).chain(drops).take(MOST_TRIES).collect();
    // The chunks after the last one of a session can also be left over from a longer session.
    let others = (1..chunks.len()).rev().filter(|end| !likely.contains(end));
    let others = others.take(MOST_TRIES).collect();
    let mut seen = HashSet::new();
    // Cookies of one domain come in the same order at each index.
    let by_place = likely.clone().into_iter().flat_map(|end| by_place(chunks, end));
    [likely, others]
        .into_iter()
        .fold(Box::new(by_place) as Box<dyn Iterator<Item = Vec<usize>> + 'c>, |before, ends| {
            Box::new(before.chain(combinations(chunks, ends)))
        })
        .filter(move |choice| seen.insert(choice.clone()))
        .map(|choice| join(chunks, &choice))
}

/// The choices of the same place at each index before `end`.
fn by_place<'c>(chunks: &'c [Vec<&'c str>], end: usize) -> impl Iterator<Item = Vec<usize>> + 'c {
    let counts = chunks.iter().take(end).map(Vec::len);
    let places = counts.clone().max().unwrap_or_default();
    (0..places).map(move |place| counts.clone().map(|count| place.min(count - 1)).collect())
}

/// All choices up to each of the ends, in turn, so that no end uses up the tries of the others.
fn combinations<'c>(
    chunks: &'c [Vec<&'c str>],
    ends: Vec<usize>,
) -> impl Iterator<Item = Vec<usize>> + 'c {
    (0..MOST_TRIES).flat_map(move |number| {
        let choice = move |end: &usize| {
            let mut rest = number;
            let choice = chunks.iter().take(*end).map(|values| {
                let place = rest % values.len();
                rest /= values.len();
                place
            });
            let choice: Vec<_> = choice.collect();
            // Beyond the last combination.
            (rest == 0).then_some(choice)
        };
        ends.iter().filter_map(choice).collect::<Vec<_>>()
    })
}

/// Joins the values at these places.
fn join(chunks: &[Vec<&str>], places: &[usize]) -> String {
    chunks.iter().zip(places).filter_map(|(values, place)| values.get(*place)).copied().collect()
}

impl JarSessions {
    /// Whether the request has no session cookie at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && !self.has_undecodable
    }
}

/// Collects the sessions of a jar. A request may have thousands of cookies, so a known access token is found by its hash.
#[derive(Default)]
struct Reader {
    read: JarSessions,
    /// The index in `read` of each access token.
    places: HashMap<TokenDigest, usize>,
}

impl Reader {
    /// Returns whether there is a session.
    fn add(&mut self, session: Option<StoredSession>) -> bool {
        let Some(session) = session else {
            self.read.has_undecodable = true;
            return false;
        };
        let sessions = &mut self.read.sessions;
        let digest = token_digest(session.access_token.expose_secret());
        let known = self.places.get(&digest).and_then(|place| sessions.get_mut(*place));
        if let Some(known) = known {
            known.add_refresh_tokens(session.refresh_tokens);
        } else {
            self.places.insert(digest, sessions.len());
            sessions.push(session);
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

    /// Adds refresh tokens up to [`MOST_REFRESH_TOKENS`]: a request may have thousands of them for thousands of access
    /// tokens.
    fn add_refresh_tokens(&mut self, tokens: impl IntoIterator<Item = SecretString>) {
        for token in tokens {
            if self.refresh_tokens.len() == MOST_REFRESH_TOKENS {
                return;
            }
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
