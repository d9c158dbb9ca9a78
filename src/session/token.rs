//! Access tokens: which claims are believed, apart from the signature.
//!
//! 1. `iss` and `aud` are present and among the configured ones: GoTrue checks neither
//!    (recording `logout-aud-and-iss-foreign`).
//! 2. `exp` is present; `nbf` and `iat`, where present, are at most 30 s ahead.
//! 3. `sub` and `session_id` are UUIDs, `session_id` not the nil one: GoTrue turns a local logout of
//!    a token without a session into a global one (recording `logout-local-without-session-id`).
//! 4. `crit`, `b64`, `enc` and two members of one name are refused, `sub` and `session_id` in whatever
//!    case GoTrue would read them. Keys or addresses of keys in the header are never looked at.
//! 5. Reading is in two steps, so that a signature can be checked before the claims are parsed: a
//!    forged token then costs no more than its signature. Header and claims have a bounded number of
//!    members.

use std::{borrow::Cow, collections::HashSet, fmt};

use aws_lc_rs::digest::{SHA256, digest};
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
    /// `alg` is not in `GATEWAY_JWT_ALGORITHMS`.
    #[error("the token's algorithm is not in GATEWAY_JWT_ALGORITHMS")]
    Algorithm,
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

/// SHA-256 of an access token.
pub type TokenDigest = [u8; 32];

/// The digest that stands for an access token where the token itself must not be kept.
#[must_use]
pub fn token_digest(token: &str) -> TokenDigest {
    let mut octets = TokenDigest::default();
    octets.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    octets
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
    algorithms: Vec<Algorithm>,
    issuers: Vec<String>,
    audiences: Vec<String>,
}

impl Rules {
    /// The rules of the configured project.
    #[must_use]
    pub fn new(supabase: &Supabase) -> Self {
        Self {
            algorithms: supabase.algorithms.clone(),
            issuers: supabase.issuers.clone(),
            audiences: supabase.audiences.clone(),
        }
    }

    /// Whether tokens of that algorithm count.
    #[must_use]
    pub fn allow(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }
}

/// Most members of the header and of the claims. GoTrue writes fifteen claims, a project's hook may add its
/// own; metadata of users is nested and does not count. To compare the names of any number of members costs
/// more than to check a signature.
const MOST_MEMBERS: usize = 1024;

/// A token of which the header alone was read.
#[derive(Debug)]
pub struct UnverifiedToken<'t> {
    /// The header's `alg`.
    pub algorithm: Algorithm,
    /// The header's `kid`.
    pub kid: Option<String>,
    /// What was signed: header and claims as they came.
    pub message: &'t str,
    /// The signature, base64url.
    pub signature: &'t str,
    payload: &'t str,
}

impl<'t> UnverifiedToken<'t> {
    /// Takes a compact JWS apart and reads its header. Whether its algorithm counts is not judged.
    ///
    /// # Errors
    /// The first rule that the header breaks.
    pub fn parse(token: &'t str) -> Result<Self, TokenFault> {
        let (message, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(TokenFault::Malformed)?;
        if payload.contains('.') {
            return Err(TokenFault::Malformed);
        }
        // Pass nothing but base64url on to GoTrue, which may have to judge the signature.
        URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenFault::Malformed)?;
        let header: Header = json(header)?;
        if header.crit.or(header.b64).or(header.enc).is_some() {
            return Err(TokenFault::Header);
        }
        let algorithm = algorithm(&header.alg)?;
        Ok(Self { algorithm, kid: header.kid, message, signature, payload })
    }

    /// Parses the claims and holds them against `rules`, all but the times.
    ///
    /// # Errors
    /// The first rule that the claims break.
    pub fn claims(&self, rules: &Rules) -> Result<Claims, TokenFault> {
        json::<Payload>(self.payload)?.believed(rules)
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
            if seen.len() > MOST_MEMBERS {
                return Err(A::Error::custom("too many members"));
            }
        }
        Ok(UniqueNames)
    }
}

/// The claims by which GoTrue finds user and session have any case to it, and the last one counts (Go,
/// `encoding/json`): it would end another session than the one that was judged here.
fn as_gotrue_reads(name: Cow<'_, str>) -> Cow<'_, str> {
    // Go folds by Unicode, one letter into one letter: `ſ` is an `s`.
    let letters = name.chars().take("session_id".len() + 1).count();
    let claim = ["sub", "session_id"].into_iter().find(|claim| letters == claim.len());
    match claim {
        Some(claim) if name.to_uppercase().eq_ignore_ascii_case(claim) => Cow::Borrowed(claim),
        _ => name,
    }
}

#[cfg(test)]
mod tests;
