//! Access tokens: which claims are believed, apart from the signature.
//!
//! 1. `iss` and `aud` are present and among the configured ones: GoTrue checks neither
//!    (recording `logout-aud-and-iss-foreign`).
//! 2. `exp` is present; `nbf` and `iat`, where present, are at most 30 s ahead.
//! 3. `sub` and `session_id` are UUIDs, `session_id` not the nil one: GoTrue turns a local logout of
//!    a token without a session into a global one (recording `logout-local-without-session-id`). Nor is it
//!    of version 14 or 15, which the revocation list keeps for its facts about sessions.
//! 4. `crit`, `b64`, `enc` and two members of one name are refused, `sub` and `session_id` in whatever
//!    case GoTrue would read them. Keys or addresses of keys in the header are never looked at.
//! 5. Reading is in two steps, so that a signature can be checked before the claims are parsed: a
//!    forged token then costs no more than its signature. Header and claims have a bounded number of
//!    members.

mod claims;
mod unique_names;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use uuid::Uuid;

pub use self::claims::{Claims, Validity};
use self::{claims::Payload, unique_names::object};
use crate::config::Supabase;

/// Why a token is not believed; never holds any part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
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
    /// No `sub`, no `session_id`, the nil one, or one of a version that GoTrue does not give.
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

/// Most members of the header. The registered ones are a dozen (RFC 7515, section 4.1), and the header is
/// read before the signature is checked.
const MOST_HEADER_MEMBERS: usize = 32;
/// Most members of the claims. GoTrue writes fifteen, a project's hook may add its own; metadata of users is
/// nested and does not count. To compare the names of any number of members costs more than to check a
/// signature.
const MOST_CLAIMS: usize = 1024;

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
    pub fn parse(token: &'t str) -> Result<Self, TokenError> {
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(TokenError::Malformed)?;
        if payload.contains('.') {
            return Err(TokenError::Malformed);
        }
        // Pass nothing but base64url on to GoTrue, which may have to judge the signature.
        URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenError::Malformed)?;
        let header: Header = object(header, MOST_HEADER_MEMBERS)?;
        if header.crit.or(header.b64).or(header.enc).is_some() {
            return Err(TokenError::Header);
        }
        let algorithm = algorithm(&header.alg)?;
        Ok(Self { algorithm, kid: header.kid, message, signature, payload })
    }

    /// Parses the claims and holds them against `rules`, all but the times.
    ///
    /// # Errors
    /// The first rule that the claims break.
    pub fn claims(&self, rules: &Rules) -> Result<Claims, TokenError> {
        object::<Payload>(self.payload, MOST_CLAIMS)?.believed(rules)
    }
}

/// The session that a token just received from GoTrue itself belongs to. Its times and its signature
/// are not judged: GoTrue's clock may be ahead of ours and its keys newer than those we know.
#[must_use]
pub fn session_of(token: &str) -> Option<(Uuid, Uuid)> {
    let payload: Payload = object(token.split('.').nth(1)?, MOST_CLAIMS).ok()?;
    Some((payload.sub?, payload.session_id?))
}

/// From when to when a token just received from GoTrue itself is valid.
#[must_use]
pub fn validity_of(token: &str) -> Option<Validity> {
    let payload: Payload = object(token.split('.').nth(1)?, MOST_CLAIMS).ok()?;
    Some(payload.validity())
}

fn algorithm(alg: &str) -> Result<Algorithm, TokenError> {
    match alg {
        "ES256" => Ok(Algorithm::ES256),
        "RS256" => Ok(Algorithm::RS256),
        "EdDSA" => Ok(Algorithm::EdDSA),
        "HS256" => Ok(Algorithm::HS256),
        _ => Err(TokenError::Header),
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

/// Any value counts, `null` included.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<()>, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| Some(()))
}

#[cfg(test)]
mod tests;
