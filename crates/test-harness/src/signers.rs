//! Signs tokens with the project's keys or with foreign keys. The header and the claims can be any bytes.

use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    rsa::{KeyPairComponents, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gotrue_mock::{Algorithm, TEST_SECRET};
use serde_json::{Value, json};

/// A signing key with its key id. A shared secret has no key id.
pub struct Signer {
    pub algorithm: Algorithm,
    pub kid: Option<String>,
    key: Key,
}

enum Key {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Hs256(Vec<u8>),
}

impl Signer {
    /// The key with which the GoTrue mock signs tokens of this algorithm.
    pub fn project_key(algorithm: Algorithm) -> Self {
        const KEYS: &str = include_str!("../../../fixtures/gotrue/signing-keys.json");
        if algorithm == Algorithm::Hs256 {
            return Self::from_secret(TEST_SECRET);
        }
        let jwk = &serde_json::from_str::<Value>(KEYS).unwrap()[algorithm.to_string()];
        let octets =
            |name: &str| BASE64_URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        let key = match algorithm {
            Algorithm::Es256 => {
                let point = [vec![4], octets("x"), octets("y")].concat();
                let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let pair =
                    EcdsaKeyPair::from_private_key_and_public_key(signing, &octets("d"), &point);
                Key::Es256(pair.unwrap())
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_seed_and_public_key(&octets("d"), &octets("x"));
                Key::EdDsa(pair.unwrap())
            }
            _ => {
                let components = KeyPairComponents {
                    public_key: RsaPublicKeyComponents { n: octets("n"), e: octets("e") },
                    d: octets("d"),
                    p: octets("p"),
                    q: octets("q"),
                    dP: octets("dp"),
                    dQ: octets("dq"),
                    qInv: octets("qi"),
                };
                Key::Rs256(RsaKeyPair::from_components(&components).unwrap())
            }
        };
        Self { algorithm, kid: jwk["kid"].as_str().map(str::to_owned), key }
    }

    /// A signer that signs HS256 tokens with the shared secret `secret`.
    pub fn from_secret(secret: impl AsRef<[u8]>) -> Self {
        let key = Key::Hs256(secret.as_ref().to_owned());
        Self { algorithm: Algorithm::Hs256, kid: None, key }
    }

    /// A signer with a new, random key or secret, which the project does not have.
    pub fn generate(algorithm: Algorithm, kid: &str) -> Self {
        let key = match algorithm {
            Algorithm::Es256 => {
                Key::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
            }
            Algorithm::Rs256 => Key::Rs256(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
            Algorithm::EdDsa => Key::EdDsa(Ed25519KeyPair::generate().unwrap()),
            Algorithm::Hs256 => {
                let mut secret = vec![0; 32];
                aws_lc_rs::rand::fill(&mut secret).unwrap();
                Key::Hs256(secret)
            }
        };
        Self { algorithm, kid: Some(kid.to_owned()), key }
    }

    /// The JWS header of tokens that this key signs.
    pub fn header(&self) -> Value {
        let mut header = json!({"alg": self.algorithm.to_string(), "typ": "JWT"});
        if let Some(kid) = &self.kid {
            header["kid"] = json!(kid);
        }
        header
    }

    /// The signature of `message` as bytes, in the form of a JWS (RFC 7518, section 3).
    pub fn sign(&self, message: &str) -> Vec<u8> {
        match &self.key {
            Key::Rs256(_) => self.sign_rsa(&RSA_PKCS1_SHA256, message),
            Key::Es256(pair) => {
                pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec()
            }
            Key::EdDsa(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
            Key::Hs256(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
            }
        }
    }

    /// The RSA signature of `message` with the padding and hash of `scheme`, which need not be those of
    /// RS256.
    pub fn sign_rsa(&self, scheme: &'static dyn RsaEncoding, message: &str) -> Vec<u8> {
        let Key::Rs256(pair) = &self.key else { panic!("{} is not RSA", self.algorithm) };
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(scheme, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        signature
    }

    /// A compact JWS with exactly this header and these claims, which this key signs.
    pub fn token(&self, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        let [header, claims] =
            [header.as_ref(), claims.as_ref()].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
        self.sign_compact(&format!("{header}.{claims}"))
    }

    /// A compact JWS whose signed part is exactly `message`, even if `message` is not valid.
    pub fn sign_compact(&self, message: &str) -> String {
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(self.sign(message)))
    }

    /// The public key in DER, as `SubjectPublicKeyInfo` (RFC 5280, section 4.1).
    pub fn public_der(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match &self.key {
            Key::Es256(pair) => pair.public_key().as_der().unwrap(),
            Key::Rs256(pair) => pair.public_key().as_der().unwrap(),
            Key::EdDsa(pair) => pair.public_key().as_der().unwrap(),
            Key::Hs256(_) => panic!("a shared secret has no public key"),
        };
        der.as_ref().to_vec()
    }

    /// The public key as a JWK (RFC 7517).
    pub fn public_jwk(&self) -> Value {
        let mut jwk = match &self.key {
            Key::Es256(pair) => {
                let [_, point @ ..] = pair.public_key().as_ref() else {
                    panic!("not an uncompressed point")
                };
                let (x, y) = point.split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y)})
            }
            Key::Rs256(pair) => {
                // An RSA public key in DER is SEQUENCE { INTEGER n of a zero octet and 256 others, INTEGER
                // 65537 }.
                let [_, _, _, _, _, _, _, _, 0, key @ ..] = pair.public_key().as_ref() else {
                    panic!("not an RSA key of 2048 bits")
                };
                json!({"kty": "RSA", "n": base64url(&key[..256]), "e": "AQAB"})
            }
            Key::EdDsa(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key().as_ref())})
            }
            Key::Hs256(_) => panic!("a shared secret has no public key"),
        };
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.algorithm.to_string());
        jwk["use"] = json!("sig");
        jwk["key_ops"] = json!(["verify"]);
        jwk
    }
}

fn base64url(octets: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(octets)
}
