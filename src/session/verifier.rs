//! Verifies an access token's signature with the project's keys or the shared secret, or leaves it to GoTrue.
//!
//! 1. The `alg` in the token's header must equal the key's. A token of an asymmetric algorithm needs a `kid`.
//!    Keys of algorithms that are not in `GATEWAY_JWT_ALGORITHMS` are not used.
//! 2. Without `SUPABASE_JWT_SECRET` only GoTrue can verify an HS256 token: [`SignatureStatus::LeftToGoTrue`].
//! 3. The signature is checked before the claims are parsed, unless the gateway has no key to check it with.
//! 4. A verified token is cached until the keys or GoTrue's issuer change, because a proxy sends the same token to
//!    `/api/auth/verify` with each request. The token's times are checked each time.

mod token_cache;
mod warnings;

use std::sync::{
    Arc, Once,
    atomic::{AtomicBool, Ordering},
};

use jsonwebtoken::{Algorithm, DecodingKey};
use secrecy::ExposeSecret;

use self::{
    token_cache::{TokenCache, Wanted},
    warnings::{ClaimWarnings, warn_of_clock, warn_of_hs256},
};
use super::{
    jwks::Jwks,
    token::{
        ClaimMismatch, ClaimedProject, Claims, Rules, TokenError, UnverifiedToken, claimed_project,
        issuers::PublishedIssuer,
    },
};
use crate::config::Supabase;

/// The result of checking a token's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureStatus {
    /// The signature verifies.
    Verified,
    /// The token is signed with HS256 and the gateway has no secret: only GoTrue can verify it.
    LeftToGoTrue,
    /// The gateway has no key set at present, or a key set without a key of an allowed algorithm.
    Unverifiable,
}

/// A token whose claims follow the rules.
#[derive(Clone, Debug)]
pub struct CheckedToken {
    /// The claims, which follow the rules.
    pub claims: Arc<Claims>,
    /// Whether the signature was verified, or why it could not be checked.
    pub signature: SignatureStatus,
    /// Whether `exp` has passed.
    pub expired: bool,
}

impl CheckedToken {
    fn at(now: i64, claims: Arc<Claims>, signature: SignatureStatus) -> Result<Self, TokenError> {
        claims.check_not_before(now)?;
        // Do not warn of a token whose signature was not verified: the sender may have chosen its times.
        if signature == SignatureStatus::Verified && claims.is_issued_ahead(now) {
            warn_of_clock(&claims, now);
        }
        Ok(Self { expired: claims.expired(now), claims, signature })
    }
}

/// Verifies access tokens. Shared by all threads.
#[derive(Debug)]
pub struct Verifier {
    rules: Rules,
    needs_no_keys: bool,
    secret: Option<DecodingKey>,
    jwks: Arc<Jwks>,
    verified: TokenCache<CachedToken>,
    warned_of_hs256: Once,
    warned_of_claims: ClaimWarnings,
    /// Whether an HS256 token came since the last call of [`Verifier::hs256_is_unused`].
    hs256_seen: AtomicBool,
}

/// Like [`SignatureStatus`], with the key set that verified the signature.
enum Signature {
    /// `epoch` is that of the key set; `None` if the shared secret verified the signature.
    Verified {
        epoch: Option<u64>,
    },
    LeftToGoTrue,
    Unverifiable,
}

#[derive(Clone, Debug)]
struct CachedToken {
    claims: Arc<Claims>,
    /// The epoch of the key set that verified the token; `None` for the shared secret.
    epoch: Option<u64>,
    /// The issuer that GoTrue published when the token was checked.
    published_issuer: Arc<PublishedIssuer>,
}

impl Verifier {
    /// A verifier for the configured project. The caller runs [`Jwks::keep_fetching`].
    #[must_use]
    pub fn new(supabase: &Supabase, jwks: Arc<Jwks>) -> Self {
        let rules = Rules::new(supabase);
        let secret = supabase.jwt_secret.as_ref().filter(|_| rules.allow(Algorithm::HS256));
        Self {
            rules,
            needs_no_keys: supabase.needs_no_keys(),
            secret: secret.map(|s| DecodingKey::from_secret(s.expose_secret().as_bytes())),
            jwks,
            verified: token_cache::new(),
            warned_of_hs256: Once::new(),
            warned_of_claims: ClaimWarnings::default(),
            hs256_seen: AtomicBool::new(false),
        }
    }

    /// Whether the project has signing keys, HS256 is accepted beside them, and no HS256 token came since the
    /// last call.
    #[must_use]
    pub fn hs256_is_unused(&self) -> bool {
        let unseen = !self.hs256_seen.swap(false, Ordering::Relaxed);
        unseen && self.has_keys() == Some(true) && self.rules.allow(Algorithm::HS256)
    }

    /// Whether the key set has keys of an allowed algorithm; `None` while there is no key set.
    pub(crate) fn has_keys(&self) -> Option<bool> {
        Some(self.jwks.current()?.has_key_for(|algorithm| self.rules.allow(algorithm)))
    }

    /// Whether the gateway or GoTrue can verify any token at all. If the key set has no usable key, the
    /// project signs with HS256. While the gateway has no key set, the project may sign with keys that the
    /// gateway does not know.
    pub(crate) fn ready(&self) -> bool {
        let hs256 = self.rules.allow(Algorithm::HS256);
        self.needs_no_keys || self.has_keys().is_some_and(|has_keys| has_keys || hs256)
    }

    /// Whether a 404 for the key set means that the project has no keys. Otherwise a 404 is a failed fetch.
    pub(crate) fn reads_404_as_an_empty_key_set(&self) -> bool {
        self.needs_no_keys && self.has_keys() != Some(true)
    }

    /// Stores the issuer that GoTrue publishes.
    pub(crate) fn set_published_issuer(&self, issuer: Option<String>) {
        self.rules.issuers.set_published(issuer.into());
    }

    /// The issuer that GoTrue publishes.
    pub(crate) fn published_issuer(&self) -> Arc<PublishedIssuer> {
        self.rules.issuers.published()
    }

    /// Whether the text claims to be an access token of this project, by its issuer and session id. The signature
    /// is checked only if that depends on GoTrue's issuer and the gateway does not know it yet.
    pub(crate) fn is_of_project(&self, token: &str) -> bool {
        if self.cached(token).is_some() {
            return true;
        }
        match claimed_project(token, &self.rules) {
            ClaimedProject::This => true,
            ClaimedProject::Unknown => UnverifiedToken::parse(token).is_ok_and(|unverified| {
                matches!(self.check_signature(&unverified), Ok(Signature::Verified { .. }))
            }),
            ClaimedProject::Other => false,
        }
    }

    /// The claim for which a token is refused although its signature verifies, with a warning in the log. `None`
    /// if the signature does not verify.
    pub(crate) fn claim_mismatch(&self, token: &str) -> Option<ClaimMismatch> {
        let unverified = UnverifiedToken::parse(token).ok()?;
        match self.check_signature(&unverified) {
            Ok(Signature::Verified { .. }) => {}
            _ => return None,
        }
        let mismatch = unverified.claim_mismatch(&self.rules)?;
        self.warned_of_claims.warn(&mismatch);
        Some(mismatch)
    }

    /// Verifies `token` with the keys that the gateway has, so it never waits. `now` is in seconds since the Unix
    /// epoch.
    ///
    /// # Errors
    /// The rule that the token breaks. An expired token is no error: see [`CheckedToken::expired`].
    pub fn verify(&self, token: &str, now: i64) -> Result<CheckedToken, TokenError> {
        match self.cached(token) {
            Some(claims) => CheckedToken::at(now, claims, SignatureStatus::Verified),
            None => self.check(token, &UnverifiedToken::parse(token)?, now),
        }
    }

    /// Whether the gateway accepts the issuer that GoTrue publishes, which may change.
    pub(crate) fn accepts_published_issuer(&self) -> bool {
        self.rules.issuers.accept_published()
    }

    /// Fetches the key set and the issuer again, unless that was done a moment ago.
    pub(crate) async fn refetch_keys(&self) {
        self.jwks.refetch().await;
    }

    fn cached(&self, token: &str) -> Option<Arc<Claims>> {
        let CachedToken { claims, epoch, published_issuer } = self.verified.get(&Wanted(token))?;
        let is_current =
            epoch.is_none_or(|epoch| self.jwks.current().is_some_and(|s| s.epoch == epoch));
        (is_current && self.rules.issuers.is_published(&published_issuer)).then_some(claims)
    }

    fn check(
        &self,
        token: &str,
        unverified: &UnverifiedToken<'_>,
        now: i64,
    ) -> Result<CheckedToken, TokenError> {
        let signature = self.check_signature(unverified)?;
        // Read the issuer before the claims are checked. If another issuer is stored meanwhile, the cached token
        // must be outdated.
        let published_issuer = self.rules.issuers.published();
        let claims = Arc::new(unverified.claims(&self.rules)?);
        let status = match signature {
            Signature::LeftToGoTrue => SignatureStatus::LeftToGoTrue,
            Signature::Unverifiable => SignatureStatus::Unverifiable,
            Signature::Verified { epoch } => {
                let cached = CachedToken { claims: claims.clone(), epoch, published_issuer };
                self.verified.insert(token.into(), cached);
                SignatureStatus::Verified
            }
        };
        CheckedToken::at(now, claims, status)
    }

    fn check_signature(&self, unverified: &UnverifiedToken<'_>) -> Result<Signature, TokenError> {
        if !self.rules.allow(unverified.algorithm) {
            // While no token at all can be verified, the cause is the settings or a missing key set, and not
            // this token.
            return if self.ready() {
                Err(TokenError::Algorithm)
            } else {
                Ok(Signature::Unverifiable)
            };
        }
        if unverified.algorithm == Algorithm::HS256 {
            let Some(secret) = &self.secret else {
                self.hs256_seen.store(true, Ordering::Relaxed);
                self.warned_of_hs256.call_once(warn_of_hs256);
                return Ok(Signature::LeftToGoTrue);
            };
            check_signature(unverified, secret)?;
            self.hs256_seen.store(true, Ordering::Relaxed);
            return Ok(Signature::Verified { epoch: None });
        }
        let kid = unverified.kid.as_deref().ok_or(TokenError::NoKeyId)?;
        let Some(keys) = self.jwks.current().filter(|_| self.ready()) else {
            return Ok(Signature::Unverifiable);
        };
        let key = keys.key(kid, unverified.algorithm).ok_or_else(|| {
            if keys.knows(kid) { TokenError::KeyAlgorithm } else { TokenError::UnknownKey }
        })?;
        check_signature(unverified, key)?;
        Ok(Signature::Verified { epoch: Some(keys.epoch) })
    }
}

fn check_signature(unverified: &UnverifiedToken<'_>, key: &DecodingKey) -> Result<(), TokenError> {
    let UnverifiedToken { message, signature, algorithm, .. } = *unverified;
    match jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, algorithm) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(TokenError::Signature),
    }
}
