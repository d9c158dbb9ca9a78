//! Signs tokens with keys of the project or with foreign keys.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use logout_gateway::internals::session::token::UnverifiedToken;
use seeds::recorded::{JWT_SECRET, SIGNING_KEYS};
use serde_json::Value;

/// The project's signing keys, without the RS256 key, because an RS256 signature takes a millisecond.
pub struct Signers {
    es256: EncodingKey,
    ed_dsa: EncodingKey,
    hs256: EncodingKey,
    /// The public ES256 key, used as an HS256 secret for the attack of algorithm confusion.
    confused: EncodingKey,
}

/// A signing key of the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProjectKey {
    /// The `alg` of the tokens that this key signs.
    pub algorithm: Algorithm,
    /// The `kid` of the tokens that this key signs; `None` for the shared secret.
    pub kid: Option<&'static str>,
}

impl ProjectKey {
    /// Returns whether the token's header names this key. Any header with HS256 names the shared secret.
    #[must_use]
    pub fn matches(self, token: &UnverifiedToken<'_>) -> bool {
        token.algorithm == self.algorithm
            && self.kid.is_none_or(|kid| token.kid.as_deref() == Some(kid))
    }
}

impl Signers {
    /// Makes signers with the recorded keys of the project.
    #[must_use]
    pub fn recorded() -> Self {
        let keys: Value = serde_json::from_str(SIGNING_KEYS).expect("the keys are JSON");
        let octets = |key: &str, member: &str| {
            let text = keys[key][member].as_str().expect("a member is text");
            BASE64_URL_SAFE_NO_PAD.decode(text).expect("a member is base64url")
        };
        let point = [vec![4], octets("ES256", "x"), octets("ES256", "y")].concat();
        let ec = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &octets("ES256", "d"),
            &point,
        );
        let (seed, x) = (octets("EdDSA", "d"), octets("EdDSA", "x"));
        let ed = Ed25519KeyPair::from_seed_and_public_key(&seed, &x);
        let ec = ec.and_then(|pair| Ok(pair.to_pkcs8v1()?)).expect("the key is one of P-256");
        let ed = ed.and_then(|pair| Ok(pair.to_pkcs8v1()?)).expect("the key is one of Ed25519");
        Self {
            es256: EncodingKey::from_ec_der(ec.as_ref()),
            ed_dsa: EncodingKey::from_ed_der(ed.as_ref()),
            hs256: EncodingKey::from_secret(JWT_SECRET.as_bytes()),
            confused: EncodingKey::from_secret(&point),
        }
    }

    /// The signature of `message` by `signer` in base64url, and the project's key if that key made the
    /// signature.
    #[must_use]
    pub fn sign(&self, signer: &[u8], message: &str) -> (String, Option<ProjectKey>) {
        let (key, algorithm, kid, genuine) = match signer {
            b"ES256" => (&self.es256, Algorithm::ES256, Some("es256-test-key"), true),
            b"EdDSA" => (&self.ed_dsa, Algorithm::EdDSA, Some("eddsa-test-key"), true),
            b"HS256" => (&self.hs256, Algorithm::HS256, None, true),
            b"confused" => (&self.confused, Algorithm::HS256, None, false),
            _ => return (BASE64_URL_SAFE_NO_PAD.encode([7; 64]), None),
        };
        let signature = crypto::sign(message.as_bytes(), key, algorithm).expect("keys can sign");
        (signature, genuine.then_some(ProjectKey { algorithm, kid }))
    }
}
