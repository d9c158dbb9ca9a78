//! Access tokens: which claims are believed, before and apart from the signature.
//!
//! 1. `iss` and `aud` are present and among the configured ones: GoTrue checks neither
//!    (recording `logout-aud-and-iss-foreign`).
//! 2. `exp` is present; `nbf` and `iat`, where present, are at most 30 s ahead.
//! 3. `sub` and `session_id` are UUIDs, `session_id` not the nil one: GoTrue turns a local logout of
//!    a token without a session into a global one (recording `logout-local-without-session-id`).
//! 4. `crit`, `b64`, `enc` and two members of one name are refused, `sub` and `session_id` in whatever
//!    case GoTrue would read them. Keys or addresses of keys in the header are never looked at.

use std::{borrow::Cow, collections::HashSet, fmt};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, IgnoredAny, MapAccess, Visitor},
};
use uuid::Uuid;

use crate::config::Supabase;

/// How far the clock of the issuer may be ahead of ours.
pub const CLOCK_AHEAD_SECONDS: i64 = 30;

/// Why a token is not believed; never holds any part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Not three parts of base64url-coded JSON with the claims needed.
    #[error("the token is malformed")]
    Malformed,
    /// The cookie cannot be decoded into a session.
    #[error("the session cookie cannot be decoded")]
    Undecodable,
    /// `crit`, `b64`, `enc`, or an algorithm that no Supabase project uses.
    #[error("the token's header asks for what is not supported")]
    Header,
    /// No key of that `kid` and `alg`.
    #[error("the token is signed with a key that is not the project's")]
    UnknownKey,
    /// The signature is not the key's, or GoTrue says so.
    #[error("the token's signature does not verify")]
    Signature,
    /// `iss` is not configured.
    #[error("the token's issuer is not in GATEWAY_JWT_ISSUER")]
    Issuer,
    /// `aud` is not configured.
    #[error("the token's audience is not in GATEWAY_JWT_AUDIENCE")]
    Audience,
    /// `nbf` or `iat` is ahead.
    #[error("the token is of the future: compare the clocks")]
    Future,
    /// No `sub`, no `session_id`, or the nil one.
    #[error("the token belongs to no session: is it an API key?")]
    NoSession,
    /// GoTrue has banned the user.
    #[error("GoTrue has banned the token's user")]
    Banned,
    /// GoTrue refreshed into a token of another session.
    #[error("the refresh token belongs to another session")]
    ForeignRefresh,
}

/// What the gateway reads of an access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The user's id.
    pub sub: Uuid,
    /// The session's id, never nil.
    pub session_id: Uuid,
    /// Seconds since the Unix epoch.
    pub exp: i64,
    /// Seconds since the Unix epoch.
    pub iat: Option<i64>,
    /// Seconds since the Unix epoch.
    pub nbf: Option<i64>,
    /// The database role.
    pub role: Option<String>,
    /// The authenticator assurance level.
    pub aal: Option<String>,
}

impl Claims {
    /// GoTrue gives no leeway, so neither do we.
    #[must_use]
    pub fn expired(&self, now: i64) -> bool {
        self.exp <= now
    }

    /// Whether `nbf` and `iat` are not ahead of `now`.
    ///
    /// # Errors
    /// [`TokenFault::Future`] when one is.
    pub fn begun(&self, now: i64) -> Result<(), TokenFault> {
        let latest = self.nbf.into_iter().chain(self.iat).max();
        match latest {
            Some(start) if start > now.saturating_add(CLOCK_AHEAD_SECONDS) => {
                Err(TokenFault::Future)
            }
            _ => Ok(()),
        }
    }
}

/// Who must have issued a token, and for whom.
#[derive(Clone, Debug)]
pub struct Rules {
    issuers: Vec<String>,
    audiences: Vec<String>,
}

impl Rules {
    /// The rules of the configured project.
    #[must_use]
    pub fn new(supabase: &Supabase) -> Self {
        Self { issuers: supabase.issuers.clone(), audiences: supabase.audiences.clone() }
    }
}

/// A token whose claims are in order and whose signature nobody has looked at.
#[derive(Debug)]
pub struct Unsigned<'t> {
    /// What it says.
    pub claims: Claims,
    /// The header's `alg`.
    pub algorithm: Algorithm,
    /// The header's `kid`.
    pub kid: Option<String>,
    /// What was signed: header and claims as they came.
    pub message: &'t str,
    /// The signature, base64url.
    pub signature: &'t str,
}

impl<'t> Unsigned<'t> {
    /// Reads a compact JWS and holds its claims against `rules`, all but the times.
    ///
    /// # Errors
    /// The first rule that the token breaks.
    pub fn read(token: &'t str, rules: &Rules) -> Result<Self, TokenFault> {
        let (message, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(TokenFault::Malformed)?;
        if payload.contains('.') {
            return Err(TokenFault::Malformed);
        }
        // Whoever judges it, GoTrue perhaps, gets nothing but base64url.
        URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenFault::Malformed)?;
        let header: Header = json(header)?;
        if header.crit.or(header.b64).or(header.enc).is_some() {
            return Err(TokenFault::Header);
        }
        let payload: Payload = json(payload)?;
        Ok(Self {
            claims: payload.believed(rules)?,
            algorithm: algorithm(&header.alg)?,
            kid: header.kid,
            message,
            signature,
        })
    }
}

/// The session that a token just received from GoTrue itself belongs to. Its times and its signature
/// are not judged: GoTrue's clock may be ahead of ours and its keys newer than those we know.
#[must_use]
pub fn session_of(token: &str) -> Option<(Uuid, Uuid)> {
    let payload: Payload = json(token.split('.').nth(1)?).ok()?;
    Some((payload.sub?, payload.session_id?))
}

fn algorithm(alg: &str) -> Result<Algorithm, TokenFault> {
    match alg {
        "ES256" => Ok(Algorithm::ES256),
        "RS256" => Ok(Algorithm::RS256),
        "EdDSA" => Ok(Algorithm::EdDSA),
        "HS256" => Ok(Algorithm::HS256),
        _ => Err(TokenFault::Header),
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<()>,
    /// RFC 7797: what is signed would be something else than what is read.
    #[serde(default, deserialize_with = "present")]
    b64: Option<()>,
    /// RFC 7516, section 9: it is no JWS.
    #[serde(default, deserialize_with = "present")]
    enc: Option<()>,
}

#[derive(Deserialize)]
struct Payload {
    iss: Option<String>,
    aud: Option<Audience>,
    exp: i64,
    iat: Option<i64>,
    nbf: Option<i64>,
    sub: Option<Uuid>,
    session_id: Option<Uuid>,
    role: Option<String>,
    aal: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Payload {
    fn believed(self, rules: &Rules) -> Result<Claims, TokenFault> {
        if !self.iss.is_some_and(|iss| rules.issuers.contains(&iss)) {
            return Err(TokenFault::Issuer);
        }
        let meant_for_us = |aud: &String| rules.audiences.contains(aud);
        match &self.aud {
            Some(Audience::One(aud)) if meant_for_us(aud) => {}
            Some(Audience::Many(many)) if many.iter().any(meant_for_us) => {}
            _ => return Err(TokenFault::Audience),
        }
        let (Some(sub), Some(session_id)) = (self.sub, self.session_id) else {
            return Err(TokenFault::NoSession);
        };
        if session_id.is_nil() {
            return Err(TokenFault::NoSession);
        }
        let Self { exp, iat, nbf, role, aal, .. } = self;
        Ok(Claims { sub, session_id, exp, iat, nbf, role, aal })
    }
}

fn json<T: DeserializeOwned>(part: &str) -> Result<T, TokenFault> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Malformed)?;
    // The parser itself does not look into the texts that it passes over (RFC 8259, section 8.1).
    let text = std::str::from_utf8(&bytes).map_err(|_| TokenFault::Malformed)?;
    serde_json::from_str::<UniqueNames>(text).map_err(|_| TokenFault::Malformed)?;
    serde_json::from_str(text).map_err(|_| TokenFault::Malformed)
}

/// Any value counts, `null` included.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<()>, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| Some(()))
}

/// An object with no two members of one name: parsers disagree about which of them counts
/// (RFC 7519, section 4).
struct UniqueNames;

impl<'de> Deserialize<'de> for UniqueNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueNamesVisitor)
    }
}

struct UniqueNamesVisitor;

impl<'de> Visitor<'de> for UniqueNamesVisitor {
    type Value = UniqueNames;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object without duplicate names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UniqueNames, A::Error> {
        let mut seen = HashSet::new();
        while let Some((name, IgnoredAny)) = map.next_entry::<Cow<'de, str>, IgnoredAny>()? {
            if !seen.insert(as_gotrue_reads(name)) {
                return Err(A::Error::custom("duplicate name"));
            }
        }
        Ok(UniqueNames)
    }
}

/// The claims by which GoTrue finds user and session have any case to it, and the last one counts (Go,
/// `encoding/json`): it would end another session than the one that was judged here.
fn as_gotrue_reads(name: Cow<'_, str>) -> String {
    // Go folds by Unicode: `ſ` is an `s`.
    let upper = name.to_uppercase();
    match ["sub", "session_id"].iter().find(|claim| upper.eq_ignore_ascii_case(claim)) {
        Some(claim) => (*claim).to_owned(),
        None => name.into_owned(),
    }
}

#[cfg(test)]
mod tests;
