//! Reads the sessions in the cookies of a request, its cookie jar. There may be several: after an application has
//! changed the domain of its cookies, browsers send the cookies of both domains.
//!
//! 1. Each cookie `K`, each complete series of chunks `K.0`, `K.1`, …, and each pair of `sb-access-token` and
//!    `sb-refresh-token` is a session of its own. The value of `K` may also be only an access token.
//! 2. Chunks of two domains come interleaved. The gateway tries some combinations of them (`chunks`), and uses each
//!    one that it can decode.
//! 3. An access token that is read more than once is one session, with every refresh token that came with it.
//! 4. A cookie that holds no session does not prevent reading a session from other cookies.

use std::{
    borrow::Cow,
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use memchr::{memchr, memchr_iter};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{ACCESS_COOKIE, REFRESH_COOKIE, RequestCookies, chunks};
use crate::{
    config::Cookies,
    session::{base64url::decode_cookie, refresh_tokens},
};

/// The tokens of a session in the cookies. They are not verified yet.
#[derive(Clone, Debug)]
pub struct StoredSession {
    /// The access token.
    pub access_token: Arc<SecretString>,
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

    /// Reads cookies whose value is an access token, each with all refresh tokens, because nothing in the request says
    /// which belong together. The one at the same place comes first: a browser sends the cookies of one domain and path
    /// in the same order.
    fn read_pairs(&self, access_name: &str, refresh_name: Option<&str>, jar: &mut Reader) {
        let tokens: Vec<_> = refresh_name
            .map_or_else(Vec::new, |name| self.values(name).filter(|t| !t.is_empty()).collect());
        let access_tokens = self.values(access_name).filter(|value| !value.is_empty());
        for (index, value) in access_tokens.enumerate() {
            let session = if is_bare_token(value) {
                let mut session = StoredSession::new(value, tokens.get(index).copied());
                let all = tokens.iter().map(|&token| token.into());
                refresh_tokens::add(&mut session.refresh_tokens, all);
                Some(session)
            } else {
                decode(value)
            };
            jar.add(session);
        }
    }

    fn read_chunks(&self, key: &str, jar: &mut Reader) {
        let chunks = self.chunks(key);
        let Some(most_values) = chunks.iter().map(Vec::len).max() else { return };
        let had_undecodable = jar.read.has_undecodable;
        let mut is_read = false;
        for text in chunks::joined(&chunks) {
            is_read |= jar.add(decode(&text));
            if is_read && most_values == 1 {
                break;
            }
        }
        // If one combination is a session, the others do not mean that a session could not be decoded.
        jar.read.has_undecodable = had_undecodable || !is_read;
    }
}

impl JarSessions {
    /// Whether the request has no session cookie at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && !self.has_undecodable
    }
}

/// Collects the sessions of a cookie jar. A request may have thousands of cookies, so an access token that was read
/// before is found by its hash. The hash has a random key, so a client cannot choose tokens of the same hash.
#[derive(Default)]
struct Reader {
    read: JarSessions,
    hasher: RandomState,
    /// The index in `read` of the first access token with each hash.
    places: HashMap<u64, usize>,
}

impl Reader {
    /// Adds a session, or records that a session cookie could not be decoded. Returns whether there is a session.
    fn add(&mut self, session: Option<StoredSession>) -> bool {
        let Some(session) = session else {
            self.read.has_undecodable = true;
            return false;
        };
        let sessions = &mut self.read.sessions;
        let token = session.access_token.expose_secret();
        let place = *self.places.entry(self.hasher.hash_one(token)).or_insert(sessions.len());
        let known = sessions.get_mut(place);
        if let Some(known) = known.filter(|known| known.access_token.expose_secret() == token) {
            refresh_tokens::add(&mut known.refresh_tokens, session.refresh_tokens);
        } else {
            sessions.push(session);
        }
        true
    }
}

impl StoredSession {
    fn new(access_token: &str, refresh_token: Option<&str>) -> Self {
        let refresh_token = refresh_token.filter(|token| !token.is_empty());
        Self {
            access_token: Arc::new(access_token.into()),
            refresh_tokens: refresh_token.map(Into::into).into_iter().collect(),
        }
    }
}

/// Whether the text has the form of a JWT: three parts of base64url. JSON and its percent-encoding do not.
fn is_bare_token(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    memchr_iter(b'.', text.as_bytes()).count() == 2 && text.split('.').all(is_part)
}

fn decode(text: &str) -> Option<StoredSession> {
    let is_coded = memchr(b'%', text.as_bytes()).is_some();
    let text: Cow<'_, [u8]> =
        if is_coded { percent_decode_str(text).into() } else { text.as_bytes().into() };
    let json = match text.strip_prefix(b"base64-".as_slice()) {
        Some(coded) => Cow::Owned(decode_cookie(coded).ok()?),
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
