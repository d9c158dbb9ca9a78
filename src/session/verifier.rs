//! Who judges a token's signature: the project's keys, the shared secret, or GoTrue.
//!
//! 1. The header's `alg` must equal the key's; an asymmetric token without `kid` is refused.
//! 2. HS256 without `SUPABASE_JWT_SECRET` is left to GoTrue: [`Standing::Unjudged`].
//! 3. A verified token is remembered by the token itself until it expires or the keys change: a
//!    forward-auth sees the same one again and again.

use std::sync::{Arc, Once};

use jsonwebtoken::{Algorithm, DecodingKey};
use quick_cache::{Weighter, sync::Cache};
use secrecy::ExposeSecret;

use super::{
    jwks::{Jwks, KeySet},
    token::{Claims, Rules, TokenFault, Unsigned},
};
use crate::config::Supabase;

/// Bytes of tokens remembered; one token may have 32 KiB.
const REMEMBERED_BYTES: u64 = 4 << 20;
const REMEMBERED_TOKENS: usize = 4096;

/// What is known of a token's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It verifies.
    Verified,
    /// Only GoTrue can tell.
    Unjudged,
    /// A key would tell, and there is no key set to look in.
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

/// Judges tokens for all threads.
#[derive(Debug)]
pub struct Verifier {
    rules: Rules,
    secret: Option<DecodingKey>,
    jwks: Arc<Jwks>,
    verified: Cache<Box<str>, Remembered, ByBytes>,
    warned_of_hs256: Once,
}

#[derive(Clone, Debug)]
struct Remembered {
    claims: Arc<Claims>,
    /// Of the key set it was verified with; `None` is the shared secret.
    epoch: Option<u64>,
}

/// Bounds what is remembered of tokens by their own bytes.
#[derive(Clone, Debug)]
pub(super) struct ByBytes;

impl<T> Weighter<Box<str>, T> for ByBytes {
    fn weight(&self, token: &Box<str>, _: &T) -> u64 {
        token.len() as u64
    }
}

impl Verifier {
    /// For the configured project; `jwks` is kept fresh by someone else.
    #[must_use]
    pub fn new(supabase: &Supabase, jwks: Arc<Jwks>) -> Self {
        let secret = supabase.jwt_secret.as_ref();
        Self {
            rules: Rules::new(supabase),
            secret: secret.map(|s| DecodingKey::from_secret(s.expose_secret().as_bytes())),
            jwks,
            verified: Cache::with_weighter(REMEMBERED_TOKENS, REMEMBERED_BYTES, ByBytes),
            warned_of_hs256: Once::new(),
        }
    }

    /// Whether any token can be judged here at all.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.secret.is_some() || self.jwks.current().is_some()
    }

    /// Judges `token` at `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// The rule that the token breaks. An expired token is not refused but [`Judged::expired`].
    pub async fn judge(&self, token: &str, now: i64) -> Result<Judged, TokenFault> {
        let (claims, standing) = match self.remembered(token) {
            Some(claims) => (claims, Standing::Verified),
            None => self.verify(token).await?,
        };
        claims.begun(now)?;
        Ok(Judged { expired: claims.expired(now), claims, standing })
    }

    fn remembered(&self, token: &str) -> Option<Arc<Claims>> {
        let Remembered { claims, epoch } = self.verified.get(token)?;
        let counts =
            epoch.is_none_or(|epoch| self.jwks.current().is_some_and(|s| s.epoch == epoch));
        counts.then_some(claims)
    }

    async fn verify(&self, token: &str) -> Result<(Arc<Claims>, Standing), TokenFault> {
        let unsigned = Unsigned::read(token, &self.rules)?;
        let epoch = if unsigned.algorithm == Algorithm::HS256 {
            let Some(secret) = &self.secret else {
                self.warned_of_hs256.call_once(warn_of_hs256);
                return Ok((Arc::new(unsigned.claims), Standing::Unjudged));
            };
            check(&unsigned, secret)?;
            None
        } else {
            let kid = unsigned.kid.as_deref().ok_or(TokenFault::UnknownKey)?;
            let Some(keys) = self.keys_with(kid).await else {
                return Ok((Arc::new(unsigned.claims), Standing::Unjudgeable));
            };
            check(&unsigned, keys.key(kid, unsigned.algorithm).ok_or(TokenFault::UnknownKey)?)?;
            Some(keys.epoch)
        };
        let claims = Arc::new(unsigned.claims);
        self.verified.insert(token.into(), Remembered { claims: claims.clone(), epoch });
        Ok((claims, Standing::Verified))
    }

    /// The key set, refetched once if it has no such key.
    async fn keys_with(&self, kid: &str) -> Option<Arc<KeySet>> {
        match self.jwks.current() {
            Some(keys) if keys.knows(kid) => Some(keys),
            _ => {
                self.jwks.refetch().await;
                self.jwks.current()
            }
        }
    }
}

fn warn_of_hs256() {
    tracing::warn!(
        variable = "SUPABASE_JWT_SECRET",
        "not set, and a token came that is signed with HS256: GoTrue is asked about each such token, \
         and while it does not answer, their logouts are not queued and verify is 503; set it if your \
         project signs with HS256"
    );
}

fn check(unsigned: &Unsigned<'_>, key: &DecodingKey) -> Result<(), TokenFault> {
    let Unsigned { message, signature, algorithm, .. } = *unsigned;
    match jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, algorithm) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(TokenFault::Signature),
    }
}
