//! Who judges a token's signature: the project's keys, the shared secret, or GoTrue.
//!
//! 1. The header's `alg` must equal the key's; an asymmetric token without `kid` is refused. Keys of
//!    algorithms that `GATEWAY_JWT_ALGORITHMS` leaves out count as no keys.
//! 2. HS256 without `SUPABASE_JWT_SECRET` is left to GoTrue: [`Standing::Unjudged`].
//! 3. The signature is checked before the claims are parsed, wherever there is a key to check it with.
//! 4. A verified token is remembered by the token itself until it expires or the keys change: a
//!    forward-auth sees the same one again and again.

use std::sync::{
    Arc, Once,
    atomic::{AtomicBool, Ordering},
};

use jsonwebtoken::{Algorithm, DecodingKey};
use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};
use secrecy::ExposeSecret;

use super::{
    jwks::Jwks,
    token::{Claims, Rules, TokenError, UnverifiedToken},
};
use crate::config::Supabase;

/// Bytes of tokens remembered; one token may have 32 KiB.
const REMEMBERED_BYTES: u64 = 4 << 20;
const REMEMBERED_TOKENS: usize = 4096;
/// The bytes are divided among the shards, and a token larger than a shard is never remembered: a
/// megabyte holds the largest request head several times.
const SHARDS: usize = 4;

/// What is known of a token's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It verifies.
    Verified,
    /// Only GoTrue can tell.
    Unjudged,
    /// A key would tell, and there is no key set, or none in which a key of the allowed algorithms stands.
    Unjudgeable,
}

/// A token whose claims are in order.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What it says.
    pub claims: Arc<Claims>,
    /// Whether that is proven.
    pub standing: Standing,
    /// Whether its time is over.
    pub expired: bool,
}

impl Judged {
    fn at(now: i64, claims: Arc<Claims>, standing: Standing) -> Result<Self, TokenError> {
        claims.begun(now)?;
        Ok(Self { expired: claims.expired(now), claims, standing })
    }
}

/// Judges tokens for all threads.
#[derive(Debug)]
pub struct Verifier {
    rules: Rules,
    needs_no_keys: bool,
    secret: Option<DecodingKey>,
    jwks: Arc<Jwks>,
    verified: Cache<Box<str>, Remembered, ByBytes>,
    warned_of_hs256: Once,
    /// An HS256 token came since [`Verifier::hs256_is_unused`] was asked.
    hs256_seen: AtomicBool,
}

#[derive(Clone, Debug)]
struct Remembered {
    claims: Arc<Claims>,
    /// Of the key set it was verified with; `None` is the shared secret.
    epoch: Option<u64>,
}

/// Bounds what is remembered of tokens by their own bytes.
#[derive(Clone, Debug)]
struct ByBytes;

impl<T> Weighter<Box<str>, T> for ByBytes {
    fn weight(&self, token: &Box<str>, _: &T) -> u64 {
        token.len() as u64
    }
}

impl Verifier {
    /// For the configured project; `jwks` is kept fresh by someone else.
    #[must_use]
    pub fn new(supabase: &Supabase, jwks: Arc<Jwks>) -> Self {
        let rules = Rules::new(supabase);
        let secret = supabase.jwt_secret.as_ref().filter(|_| rules.allow(Algorithm::HS256));
        Self {
            rules,
            needs_no_keys: supabase.needs_no_keys(),
            secret: secret.map(|s| DecodingKey::from_secret(s.expose_secret().as_bytes())),
            jwks,
            verified: token_cache(),
            warned_of_hs256: Once::new(),
            hs256_seen: AtomicBool::new(false),
        }
    }

    /// Whether HS256 is accepted beside keys that sign, and no such token came since this was asked the
    /// last time.
    #[must_use]
    pub fn hs256_is_unused(&self) -> bool {
        let unseen = !self.hs256_seen.swap(false, Ordering::Relaxed);
        unseen && self.has_keys() == Some(true) && self.rules.allow(Algorithm::HS256)
    }

    /// Whether the key set has keys of the algorithms that count; `None` while there is no key set.
    #[must_use]
    pub fn has_keys(&self) -> Option<bool> {
        Some(self.jwks.current()?.has_key_for(|algorithm| self.rules.allow(algorithm)))
    }

    /// Whether any token can be judged, here or by GoTrue. A project whose key set has no such key signs with
    /// HS256; one without a key set may sign with keys.
    #[must_use]
    pub fn ready(&self) -> bool {
        let hs256 = self.rules.allow(Algorithm::HS256);
        self.needs_no_keys || self.has_keys().is_some_and(|has_keys| has_keys || hs256)
    }

    /// Whether a project that answers 404 for its key set has no keys, rather than no key set for now.
    #[must_use]
    pub fn takes_no_key_set_for_empty(&self) -> bool {
        self.needs_no_keys && self.has_keys() != Some(true)
    }

    /// Judges `token` at `now`, in seconds since the Unix epoch. If the key set has no key of that `kid`, it
    /// is fetched again first.
    ///
    /// # Errors
    /// The rule that the token breaks. An expired token is not refused but [`Judged::expired`].
    pub async fn judge(&self, token: &str, now: i64) -> Result<Judged, TokenError> {
        if let Some(claims) = self.remembered(token) {
            return Judged::at(now, claims, Standing::Verified);
        }
        let unverified = UnverifiedToken::parse(token)?;
        if self.lacks_its_key(&unverified) {
            self.jwks.refetch().await;
        }
        self.verify(token, &unverified, now)
    }

    /// The same with the keys at hand: it never waits.
    ///
    /// # Errors
    /// The rule that the token breaks.
    pub fn judge_at_hand(&self, token: &str, now: i64) -> Result<Judged, TokenError> {
        match self.remembered(token) {
            Some(claims) => Judged::at(now, claims, Standing::Verified),
            None => self.verify(token, &UnverifiedToken::parse(token)?, now),
        }
    }

    fn remembered(&self, token: &str) -> Option<Arc<Claims>> {
        let Remembered { claims, epoch } = self.verified.get(token)?;
        let counts =
            epoch.is_none_or(|epoch| self.jwks.current().is_some_and(|s| s.epoch == epoch));
        counts.then_some(claims)
    }

    /// Whether another fetch of the key set may bring the key of this token.
    fn lacks_its_key(&self, unverified: &UnverifiedToken<'_>) -> bool {
        let knows = |kid: &str| self.jwks.current().is_some_and(|keys| keys.knows(kid));
        let algorithm = unverified.algorithm;
        algorithm != Algorithm::HS256
            && self.rules.allow(algorithm)
            && unverified.kid.as_deref().is_some_and(|kid| !knows(kid))
    }

    fn verify(
        &self,
        token: &str,
        unverified: &UnverifiedToken<'_>,
        now: i64,
    ) -> Result<Judged, TokenError> {
        let claims = || unverified.claims(&self.rules).map(Arc::new);
        if !self.rules.allow(unverified.algorithm) {
            // While no token at all can be judged, the settings are wrong and not this token.
            return if self.ready() {
                Err(TokenError::Algorithm)
            } else {
                Judged::at(now, claims()?, Standing::Unjudgeable)
            };
        }
        let epoch = if unverified.algorithm == Algorithm::HS256 {
            let Some(secret) = &self.secret else {
                self.hs256_seen.store(true, Ordering::Relaxed);
                self.warned_of_hs256.call_once(warn_of_hs256);
                return Judged::at(now, claims()?, Standing::Unjudged);
            };
            check(unverified, secret)?;
            self.hs256_seen.store(true, Ordering::Relaxed);
            None
        } else {
            let kid = unverified.kid.as_deref().ok_or(TokenError::UnknownKey)?;
            let Some(keys) = self.jwks.current().filter(|_| self.ready()) else {
                return Judged::at(now, claims()?, Standing::Unjudgeable);
            };
            let key = keys.key(kid, unverified.algorithm).ok_or(TokenError::UnknownKey)?;
            check(unverified, key)?;
            Some(keys.epoch)
        };
        let claims = claims()?;
        self.verified.insert(token.into(), Remembered { claims: claims.clone(), epoch });
        Judged::at(now, claims, Standing::Verified)
    }
}

fn warn_of_hs256() {
    tracing::warn!(
        variable = "SUPABASE_JWT_SECRET",
        "not set, and a token came that is signed with HS256: GoTrue is asked about each such token, \
         and while it does not answer, their logouts are not queued, the revocation list does not have \
         them, and verify is 503; set it if your project signs with HS256"
    );
}

fn token_cache() -> Cache<Box<str>, Remembered, ByBytes> {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(REMEMBERED_TOKENS)
        .weight_capacity(REMEMBERED_BYTES)
        .shards(SHARDS)
        .build();
    match options {
        Ok(options) => Cache::with_options(
            options,
            ByBytes,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        ),
        // It fails only where a capacity is missing.
        Err(_) => Cache::with_weighter(REMEMBERED_TOKENS, REMEMBERED_BYTES, ByBytes),
    }
}

fn check(unverified: &UnverifiedToken<'_>, key: &DecodingKey) -> Result<(), TokenError> {
    let UnverifiedToken { message, signature, algorithm, .. } = *unverified;
    match jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, algorithm) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(TokenError::Signature),
    }
}
