//! The keys that the mock signs and verifies with, as GoTrue does: by `kid`, and HS256 tokens by the
//! old shared secret even where an asymmetric key signs (recorded:
//! `logout-hs256-token-at-es256-server`).

use std::{fmt, sync::Arc};

use jsonwebtoken::{
    DecodingKey, EncodingKey, Header, Validation,
    jwk::{Jwk, JwkSet, KeyOperations, PublicKeyUse},
};
use serde::{Serialize, de::DeserializeOwned};

use super::jwk::{self, JwkError, PrivateJwk};

/// The test keys, one of each algorithm: anybody can mint tokens with them.
const TEST_KEYS: &str = include_str!("../../fixtures/gotrue/signing-keys.json");

/// The shared secret of the recordings, and of every local Supabase project.
pub const TEST_SECRET: &str = "super-secret-jwt-token-with-at-least-32-characters-long";

/// What the tokens are signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Algorithm {
    /// ECDSA with P-256.
    #[value(name = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5.
    #[value(name = "RS256")]
    Rs256,
    /// Ed25519.
    #[value(name = "EdDSA")]
    EdDsa,
    /// HMAC with the shared secret; the key set is empty then.
    #[value(name = "HS256")]
    Hs256,
}

impl Algorithm {
    fn jws(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        })
    }
}

/// Private keys, each known to be usable. The first one of the chosen algorithm signs.
#[derive(Clone)]
pub struct SigningKeys {
    keys: Vec<Arc<SigningKey>>,
    secret: Arc<SigningKey>,
}

impl SigningKeys {
    /// The test keys of `fixtures/`.
    ///
    /// # Panics
    ///
    /// Never: the keys are compiled in, and a test reads them.
    #[must_use]
    pub fn test_keys() -> Self {
        Self::from_json(TEST_KEYS).expect("the keys that are compiled in are usable")
    }

    /// Reads `{"keys":[…]}`, a list of JWKs, or an object that names each. Keys of other kinds are
    /// passed over; without one of kind `oct` the shared secret is [`TEST_SECRET`].
    ///
    /// # Errors
    ///
    /// When it is not JSON of such a shape, or a key is broken.
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

    /// The keys of a server that signs with `algorithm`; `None` without a key for it.
    pub(super) fn ring(&self, algorithm: Algorithm) -> Option<KeyRing> {
        let signing = match algorithm {
            Algorithm::Hs256 => &self.secret,
            _ => self.keys.iter().find(|key| key.algorithm == algorithm)?,
        };
        let (signing, secret) = (Arc::clone(signing), Arc::clone(&self.secret));
        Some(KeyRing { signing, kept: Vec::new(), secret })
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.kid)).finish()
    }
}

/// One private key, and its public half as the key set shows it.
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

/// The keys of one server: what signs, and what verifies.
#[derive(Clone)]
pub(super) struct KeyRing {
    signing: Arc<SigningKey>,
    /// Keys that signed before, the newest first.
    kept: Vec<Arc<SigningKey>>,
    secret: Arc<SigningKey>,
}

impl KeyRing {
    /// The same server with a new key. What older ones signed verifies no longer, unless they are kept;
    /// a shared secret has no name to be found by, so of those there is but one.
    pub(super) fn rotated(&self, kid: String, keep_old: bool) -> Result<Self, JwkError> {
        let algorithm = self.signing.algorithm;
        let encoding = jwk::generate(algorithm).map_err(|_| JwkError::Rejected(algorithm))?;
        let signing = Arc::new(SigningKey::new(algorithm, kid, encoding)?);
        let secret = match algorithm {
            Algorithm::Hs256 => Arc::clone(&signing),
            _ => Arc::clone(&self.secret),
        };
        let kept = self.published().filter(|_| keep_old).cloned().collect();
        Ok(Self { signing, kept, secret })
    }

    /// The key set; a shared secret is never in it.
    pub(super) fn jwks(&self) -> JwkSet {
        match self.signing.algorithm {
            Algorithm::Hs256 => JwkSet { keys: Vec::new() },
            _ => JwkSet { keys: self.published().map(|key| key.public.clone()).collect() },
        }
    }

    fn published(&self) -> impl Iterator<Item = &Arc<SigningKey>> {
        std::iter::once(&self.signing).chain(&self.kept)
    }

    /// A signed JWT.
    pub(super) fn sign(&self, claims: &impl Serialize) -> jsonwebtoken::errors::Result<String> {
        let mut header = Header::new(self.signing.algorithm.jws());
        header.kid = (self.signing.algorithm != Algorithm::Hs256).then(|| self.signing.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.signing.encoding)
    }

    /// The claims of a token whose signature holds; no claim is judged.
    pub(super) fn verify<T: DeserializeOwned>(&self, token: &str) -> Result<T, Unverified> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Unverified::Malformed)?;
        let named = self.published().find(|key| header.kid.as_deref() == Some(&key.kid));
        let key = if let Some(key) = named {
            key
        } else if header.alg == jsonwebtoken::Algorithm::HS256 {
            &self.secret
        } else {
            return Err(Unverified::UnknownKey);
        };
        let mut validation = Validation::new(key.algorithm.jws());
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        jsonwebtoken::decode(token, &key.decoding, &validation).map(|token| token.claims).map_err(
            |error| match error.kind() {
                jsonwebtoken::errors::ErrorKind::InvalidSignature => {
                    Unverified::Signature(key.algorithm)
                }
                jsonwebtoken::errors::ErrorKind::InvalidAlgorithm => Unverified::UnknownKey,
                _ => Unverified::Malformed,
            },
        )
    }
}

/// Why a token does not verify, in the words of GoTrue's JWT library.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum Unverified {
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
