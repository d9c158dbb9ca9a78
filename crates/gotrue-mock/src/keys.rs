//! The keys that sign and verify access tokens.
//!
//! As in GoTrue, a token's `kid` chooses the key that verifies it. An HS256 token without a known
//! `kid` is verified with the shared secret even where an asymmetric key signs (recorded:
//! `logout-hs256-token-at-es256-server`).

use std::{fmt, sync::Arc};

use jsonwebtoken::{
    DecodingKey, EncodingKey, Header, Validation,
    jwk::{Jwk, JwkSet, KeyOperations, PublicKeyUse},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    algorithm::Algorithm,
    jwk::{self, JwkError, PrivateJwk},
};

/// Private keys, one of each algorithm. They are public: every reader of this repository can sign tokens with them.
const TEST_KEYS: &str = include_str!("../../../fixtures/gotrue/signing-keys.json");

/// The default shared secret, in the recordings and in every local Supabase project. It is public.
pub const TEST_SECRET: &str = "super-secret-jwt-token-with-at-least-32-characters-long";

/// Valid private keys. The mock signs with the first key for its algorithm.
#[derive(Clone)]
pub struct SigningKeys {
    keys: Vec<Arc<SigningKey>>,
    secret: Arc<SigningKey>,
}

impl SigningKeys {
    /// The keys of `fixtures/gotrue/signing-keys.json`, one of each algorithm. They are public.
    ///
    /// # Panics
    ///
    /// Never: the keys are compiled in.
    #[must_use]
    pub fn test_keys() -> Self {
        Self::from_json(TEST_KEYS).expect("the keys that are compiled in are usable")
    }

    /// Reads private JWKs: a JWK set (`{"keys":[…]}`), a list, an object with a JWK as the value of
    /// each name, or one JWK. Each JWK needs a `kid`. Keys for algorithms that the mock does not
    /// support are ignored. The first key of type `oct` is the shared secret; the default is
    /// [`TEST_SECRET`].
    ///
    /// # Errors
    ///
    /// The text is not JSON of such a shape, or a key is invalid.
    pub fn from_json(json: &str) -> Result<Self, JwkError> {
        let mut keys = Vec::new();
        for jwk in PrivateJwk::parse_set(json)? {
            let Some(algorithm) = jwk.algorithm() else {
                continue;
            };
            let kid = jwk.kid.clone().ok_or(JwkError::Member(algorithm, "kid"))?;
            let key = SigningKey::new(algorithm, kid, jwk.encoding_key(algorithm)?)?;
            keys.push(Arc::new(key));
        }
        let secret = match keys.iter().find(|key| key.algorithm == Algorithm::Hs256) {
            Some(secret) => Arc::clone(secret),
            None => Arc::new(SigningKey::new(
                Algorithm::Hs256,
                String::new(),
                EncodingKey::from_secret(TEST_SECRET.as_bytes()),
            )?),
        };
        Ok(Self { keys, secret })
    }

    /// Whether one of the keys signs with `algorithm`. Always true for HS256, because there is a
    /// default secret.
    #[must_use]
    pub fn has_key_for(&self, algorithm: Algorithm) -> bool {
        self.signing_key(algorithm).is_some()
    }

    /// The keys of a mock that signs with `algorithm`; `None` if there is no key for it.
    pub(crate) fn key_ring(&self, algorithm: Algorithm) -> Option<KeyRing> {
        let signing = Arc::clone(self.signing_key(algorithm)?);
        Some(KeyRing { signing, previous: Vec::new(), secret: Arc::clone(&self.secret) })
    }

    fn signing_key(&self, algorithm: Algorithm) -> Option<&Arc<SigningKey>> {
        match algorithm {
            Algorithm::Hs256 => Some(&self.secret),
            _ => self.keys.iter().find(|key| key.algorithm == algorithm),
        }
    }
}

/// Shows the `kid`s only.
impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.kid)).finish()
    }
}

/// One private key, and its public JWK as the key set shows it.
struct SigningKey {
    algorithm: Algorithm,
    kid: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    public: Jwk,
}

impl SigningKey {
    fn new(algorithm: Algorithm, kid: String, encoding: EncodingKey) -> Result<Self, JwkError> {
        let rejected = |_| JwkError::Rejected(algorithm);
        let mut public = Jwk::from_encoding_key(&encoding, algorithm.jws()).map_err(rejected)?;
        public.common.key_id = Some(kid.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        public.common.key_operations = Some(vec![KeyOperations::Verify]);
        let decoding = DecodingKey::from_jwk(&public).map_err(rejected)?;
        Ok(Self { algorithm, kid, encoding, decoding, public })
    }
}

/// The keys of one mock.
#[derive(Clone)]
pub(crate) struct KeyRing {
    signing: Arc<SigningKey>,
    /// Former signing keys that the key set still has, newest first.
    previous: Vec<Arc<SigningKey>>,
    secret: Arc<SigningKey>,
}

impl KeyRing {
    /// Returns the key ring with a new signing key. Tokens of older keys are refused from then on,
    /// unless `keep_old` is set. An HS256 token names no key, so a new shared secret always
    /// replaces the old one.
    pub(crate) fn rotated(&self, kid: String, keep_old: bool) -> Result<Self, JwkError> {
        let algorithm = self.signing.algorithm;
        let encoding = jwk::generate(algorithm).map_err(|_| JwkError::Rejected(algorithm))?;
        let signing = Arc::new(SigningKey::new(algorithm, kid, encoding)?);
        let secret = match algorithm {
            Algorithm::Hs256 => Arc::clone(&signing),
            _ => Arc::clone(&self.secret),
        };
        let previous = self.published().filter(|_| keep_old).cloned().collect();
        Ok(Self { signing, previous, secret })
    }

    /// The public key set. It is empty if the mock signs with a shared secret.
    pub(crate) fn jwks(&self) -> JwkSet {
        match self.signing.algorithm {
            Algorithm::Hs256 => JwkSet { keys: Vec::new() },
            _ => JwkSet { keys: self.published().map(|key| key.public.clone()).collect() },
        }
    }

    fn published(&self) -> impl Iterator<Item = &Arc<SigningKey>> {
        std::iter::once(&self.signing).chain(&self.previous)
    }

    /// Signs a JWT. Its header has a `kid`, except for HS256.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> jsonwebtoken::errors::Result<String> {
        let mut header = Header::new(self.signing.algorithm.jws());
        header.kid = (self.signing.algorithm != Algorithm::Hs256).then(|| self.signing.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.signing.encoding)
    }

    /// Signs a JWT with the shared secret, whatever signs access tokens.
    pub(crate) fn sign_with_secret(
        &self,
        claims: &impl Serialize,
    ) -> jsonwebtoken::errors::Result<String> {
        let header = Header::new(jsonwebtoken::Algorithm::HS256);
        jsonwebtoken::encode(&header, claims, &self.secret.encoding)
    }

    /// Verifies a token's signature and returns its claims, without checking the claims.
    pub(crate) fn verify<T: DeserializeOwned>(&self, token: &str) -> Result<T, VerifyError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| VerifyError::Malformed)?;
        let named = self.published().find(|key| header.kid.as_deref() == Some(&key.kid));
        let key = if let Some(key) = named {
            key
        } else if header.alg == jsonwebtoken::Algorithm::HS256 {
            &self.secret
        } else {
            return Err(VerifyError::UnknownKey);
        };
        let mut validation = Validation::new(key.algorithm.jws());
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        jsonwebtoken::decode(token, &key.decoding, &validation).map(|token| token.claims).map_err(
            |error| match error.kind() {
                jsonwebtoken::errors::ErrorKind::InvalidSignature => {
                    VerifyError::Signature(key.algorithm)
                }
                jsonwebtoken::errors::ErrorKind::InvalidAlgorithm => VerifyError::UnknownKey,
                _ => VerifyError::Malformed,
            },
        )
    }
}

/// Why a token is refused, with the messages of GoTrue's JWT library.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error("token is malformed: token contains an invalid number of segments")]
    Malformed,
    #[error("token is unverifiable: error while executing keyfunc: unrecognized JWT kid")]
    UnknownKey,
    #[error("token signature is invalid: {}", signature_error(*.0))]
    Signature(Algorithm),
}

fn signature_error(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Es256 => "crypto/ecdsa: verification error",
        Algorithm::Rs256 => "crypto/rsa: verification error",
        Algorithm::EdDsa => "ed25519: verification error",
        Algorithm::Hs256 => "signature is invalid",
    }
}
