//! The rules for access tokens, apart from the signature.
//!
//! 1. `iss` is accepted (`issuers`), and `aud` is present and among the configured ones: GoTrue checks neither
//!    (recording `logout-aud-and-iss-foreign`), so the gateway must.
//! 2. `exp` is present. `nbf`, if present, is at most 30 s ahead of the gateway's clock. A token is not refused
//!    for its `iat`: a computer that wakes up may have a wrong clock, and GoTrue accepts such tokens.
//! 3. `sub` and `session_id` are UUIDs. `session_id` is not the nil UUID: GoTrue turns a local logout of a
//!    token without a session into a global one (recording `logout-local-without-session-id`). Nor has it
//!    version 14 or 15: the revocation list stores its facts about a session
//!    (`store::list::SessionFact`) under ids of these versions.
//! 4. A header with `crit`, `b64` or `enc` is refused. A header or claims with two members of the same name
//!    are refused as well; names that differ from `sub` or `session_id` only in case count as the same,
//!    because GoTrue ignores the case too. Keys in the header (`jwk`, `x5c`) and addresses of keys (`jku`,
//!    `x5u`) are never used.
//! 5. The header is read first, and the claims only after the signature was checked: a forged token costs no
//!    more than the check of its signature. The number of members of header and claims is bounded.

mod claimed_project;
mod claims;
pub(crate) mod issuers;
mod mismatch;
mod unique_names;

use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::Algorithm;
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use uuid::Uuid;

pub use self::claims::{Claims, Validity};
pub(crate) use self::{
    claimed_project::{ClaimedProject, claimed_project},
    mismatch::{Claim, ClaimMismatch},
};
use self::{claims::Payload, issuers::AcceptedIssuers, unique_names::object};
use super::base64url::decode_token_part;
use crate::config::Supabase;

/// Why a token is refused. No variant holds a part of the token, so the error may be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The token is not three parts of base64url-coded JSON with the claims that the gateway needs.
    #[error("the token is malformed")]
    Malformed,
    /// The cookie cannot be decoded into a session.
    #[error("the session cookie cannot be decoded")]
    Undecodable,
    /// The header has `crit`, `b64` or `enc`, or an `alg` that no Supabase project uses.
    #[error(
        "the token's header has an algorithm or an extension that the gateway does not support"
    )]
    Header,
    /// `alg` is not in `GATEWAY_JWT_ALGORITHMS`.
    #[error("the token's algorithm is not in GATEWAY_JWT_ALGORITHMS")]
    Algorithm,
    /// The token is signed with an asymmetric key, but its header does not name the key.
    #[error("the token's header names no key (kid)")]
    NoKeyId,
    /// The key of that `kid` is of another algorithm.
    #[error("the token's algorithm is not that of its key")]
    KeyAlgorithm,
    /// The key set has no key of that `kid`.
    #[error("the token is signed with a key that is not the project's")]
    UnknownKey,
    /// The signature does not verify, here or at GoTrue.
    #[error("the token's signature does not verify")]
    Signature,
    /// `iss` is not accepted.
    #[error("the token's issuer is not accepted: see GATEWAY_JWT_ISSUER")]
    Issuer,
    /// `aud` is not among the configured audiences.
    #[error("the token's audience is not in GATEWAY_JWT_AUDIENCE")]
    Audience,
    /// `nbf` is too far ahead of the gateway's clock.
    #[error(
        "the token is not valid yet, by its claim nbf: compare the clocks of GoTrue and the gateway"
    )]
    Future,
    /// The token has no `sub` or no `session_id`, or a `session_id` that GoTrue never issues.
    #[error("the token names no session: it may be an API key")]
    NoSession,
    /// GoTrue has banned the user.
    #[error("GoTrue has banned the token's user")]
    Banned,
    /// GoTrue returned a token of another session for the refresh token.
    #[error("the refresh token belongs to another session")]
    ForeignRefresh,
}

/// SHA-256 of an access token.
pub type TokenDigest = [u8; 32];

/// Hashes an access token, for caches and CSRF tokens, which must not hold the token itself.
#[must_use]
pub fn token_digest(token: &str) -> TokenDigest {
    let mut octets = TokenDigest::default();
    octets.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    octets
}

/// The algorithms, issuers and audiences that the gateway accepts.
#[derive(Clone, Debug)]
pub struct Rules {
    algorithms: Vec<Algorithm>,
    pub(crate) issuers: AcceptedIssuers,
    audiences: Vec<String>,
}

impl Rules {
    /// The rules of the configured project.
    #[must_use]
    pub fn new(supabase: &Supabase) -> Self {
        Self {
            algorithms: supabase.algorithms.clone(),
            issuers: AcceptedIssuers::new(supabase),
            audiences: supabase.audiences.clone(),
        }
    }

    /// Whether the gateway accepts tokens that are signed with `algorithm`.
    pub(crate) fn allow(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }
}

/// The most members of a token's header; RFC 7515, section 4.1, defines eleven. The bound is low because the
/// header is read before the signature is checked.
const MOST_HEADER_MEMBERS: usize = 32;
/// The most claims of a token. GoTrue writes fifteen, and a project's hook may add more; the user metadata is
/// one nested claim. Without a bound, the search for duplicate names would cost more than the check of a
/// signature.
const MOST_CLAIMS: usize = 1024;

/// An access token whose header was read; signature and claims are not checked yet.
#[derive(Debug)]
pub struct UnverifiedToken<'t> {
    /// The header's `alg`: the algorithm of the signature.
    pub algorithm: Algorithm,
    /// The header's `kid`: the id of the key that signed the token.
    pub kid: Option<String>,
    /// The signed text: header and claims in base64url, as the token has them.
    pub message: &'t str,
    /// The signature in base64url.
    pub signature: &'t str,
    payload: &'t str,
}

impl<'t> UnverifiedToken<'t> {
    /// Splits a compact JWS and reads its header. It does not check whether the algorithm is allowed.
    ///
    /// # Errors
    /// The first rule that the header breaks.
    pub fn parse(token: &'t str) -> Result<Self, TokenError> {
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(TokenError::Malformed)?;
        if payload.contains('.') {
            return Err(TokenError::Malformed);
        }
        // A token that only GoTrue can verify is sent to GoTrue in a header: accept nothing but base64url.
        decode_token_part(signature).map_err(|_| TokenError::Malformed)?;
        let header: Header = object(header, MOST_HEADER_MEMBERS)?;
        if header.crit.or(header.b64).or(header.enc).is_some() {
            return Err(TokenError::Header);
        }
        let algorithm = algorithm(&header.alg)?;
        Ok(Self { algorithm, kid: header.kid, message, signature, payload })
    }

    /// Parses the claims and checks them against `rules`, except for the times.
    ///
    /// # Errors
    /// The first rule that the claims break.
    pub fn claims(&self, rules: &Rules) -> Result<Claims, TokenError> {
        object::<Payload>(self.payload, MOST_CLAIMS)?.check(rules)
    }

    /// The claim that [`claims`](Self::claims) refuses as [`TokenError::Issuer`] or [`TokenError::Audience`].
    pub(crate) fn claim_mismatch(&self, rules: &Rules) -> Option<ClaimMismatch> {
        object::<Payload>(self.payload, MOST_CLAIMS).ok()?.mismatch(rules)
    }
}

/// Reads the ids of user and session from a token without checking its signature and its times. Meant for a
/// token that GoTrue itself just returned: GoTrue's clock may be ahead of the gateway's, and its keys newer
/// than the gateway's key set. Use it for another token only if forged ids do no harm.
#[must_use]
pub fn session_of(token: &str) -> Option<(Uuid, Uuid)> {
    let payload: Payload = object(token.split('.').nth(1)?, MOST_CLAIMS).ok()?;
    Some((payload.sub?, payload.session_id?))
}

/// Reads the times of a token that GoTrue itself just returned, without checking its signature.
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
    /// RFC 7797, section 3: `b64` can change which text is signed, and the gateway supports only the usual
    /// one.
    #[serde(default, deserialize_with = "present")]
    b64: Option<()>,
    /// RFC 7516, section 9: the token is encrypted, not signed.
    #[serde(default, deserialize_with = "present")]
    enc: Option<()>,
}

/// Reads a member as `Some` whatever its value is: a header with `"crit": null` is refused too.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<()>, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| Some(()))
}

#[cfg(test)]
mod tests;
