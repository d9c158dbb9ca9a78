//! Reading private keys from JWKs (RFC 7517, RFC 7518 section 6, RFC 8037), and making new ones.
//!
//! Everything becomes the DER that `jsonwebtoken` signs with, by way of aws-lc-rs, which refuses a
//! key whose parts do not fit together.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    error::{KeyRejected, Unspecified},
    rsa::{KeyPairComponents, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair,
        RsaPublicKeyComponents,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use serde::Deserialize;
use serde_json::Value;

use super::Algorithm;

/// A private key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JwkError {
    /// Not JSON.
    #[error("not JSON")]
    NotJson,
    /// Neither a set, nor a list, nor an object of keys.
    #[error("not a set of JWKs")]
    NotASet,
    /// A member that this kind of key needs is missing or not base64url.
    #[error("a {0} key lacks a usable `{1}`")]
    Member(Algorithm, &'static str),
    /// The parts do not make a key.
    #[error("a {0} key is not a valid private key")]
    Rejected(Algorithm),
    /// No key that signs with the algorithm.
    #[error("there is no {0} key")]
    NoKey(Algorithm),
}

/// The members of a private JWK that this reads; all of them are text.
#[derive(Deserialize)]
#[serde(default)]
pub(super) struct PrivateJwk {
    kty: String,
    crv: String,
    pub(super) kid: Option<String>,
    #[serde(flatten)]
    members: serde_json::Map<String, Value>,
}

impl Default for PrivateJwk {
    fn default() -> Self {
        Self { kty: String::new(), crv: String::new(), kid: None, members: serde_json::Map::new() }
    }
}

impl PrivateJwk {
    /// The keys of `{"keys":[…]}`, of a list (GoTrue's own form), of an object that names each key,
    /// or of a single key.
    pub(super) fn parse_set(json: &str) -> Result<Vec<Self>, JwkError> {
        let keys = match serde_json::from_str(json).map_err(|_| JwkError::NotJson)? {
            Value::Array(keys) => keys,
            Value::Object(mut set) => match set.remove("keys") {
                Some(Value::Array(keys)) => keys,
                Some(_) => return Err(JwkError::NotASet),
                None if set.contains_key("kty") => vec![Value::Object(set)],
                None => set.into_iter().map(|(_, key)| key).filter(Value::is_object).collect(),
            },
            _ => return Err(JwkError::NotASet),
        };
        keys.into_iter()
            .map(|key| serde_json::from_value(key).map_err(|_| JwkError::NotASet))
            .collect()
    }

    /// The algorithm this kind of key signs with, if the mock knows it.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        match (self.kty.as_str(), self.crv.as_str()) {
            ("EC", "P-256") => Some(Algorithm::Es256),
            ("OKP", "Ed25519") => Some(Algorithm::EdDsa),
            ("RSA", _) => Some(Algorithm::Rs256),
            ("oct", _) => Some(Algorithm::Hs256),
            _ => None,
        }
    }

    /// The octets of a shared secret.
    pub(super) fn secret(&self) -> Result<Vec<u8>, JwkError> {
        self.octets(Algorithm::Hs256, "k")
    }

    /// The key to sign with.
    pub(super) fn encoding_key(&self, algorithm: Algorithm) -> Result<EncodingKey, JwkError> {
        let octets = |name| self.octets(algorithm, name);
        let rejected = |_: KeyRejected| JwkError::Rejected(algorithm);
        let failed = |_: Unspecified| JwkError::Rejected(algorithm);
        match algorithm {
            Algorithm::Hs256 => Ok(EncodingKey::from_secret(&self.secret()?)),
            Algorithm::Es256 => {
                // SEC 1 section 2.3.3: an uncompressed point.
                let point = [vec![4], octets("x")?, octets("y")?].concat();
                EcdsaKeyPair::from_private_key_and_public_key(
                    &ECDSA_P256_SHA256_FIXED_SIGNING,
                    &octets("d")?,
                    &point,
                )
                .map_err(rejected)
                .and_then(|pair| from_ecdsa(&pair).map_err(failed))
            }
            Algorithm::EdDsa => {
                Ed25519KeyPair::from_seed_and_public_key(&octets("d")?, &octets("x")?)
                    .map_err(rejected)
                    .and_then(|pair| from_ed25519(&pair).map_err(failed))
            }
            Algorithm::Rs256 => {
                let components = KeyPairComponents {
                    public_key: RsaPublicKeyComponents { n: octets("n")?, e: octets("e")? },
                    d: octets("d")?,
                    p: octets("p")?,
                    q: octets("q")?,
                    dP: octets("dp")?,
                    dQ: octets("dq")?,
                    qInv: octets("qi")?,
                };
                RsaKeyPair::from_components(&components)
                    .map_err(rejected)
                    .and_then(|pair| from_rsa(&pair).map_err(failed))
            }
        }
    }

    fn octets(&self, algorithm: Algorithm, name: &'static str) -> Result<Vec<u8>, JwkError> {
        let member = self.members.get(name).and_then(Value::as_str);
        member
            .and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok())
            .filter(|octets| !octets.is_empty())
            .ok_or(JwkError::Member(algorithm, name))
    }
}

/// A new key of the algorithm.
pub(super) fn generate(algorithm: Algorithm) -> Result<EncodingKey, Unspecified> {
    match algorithm {
        Algorithm::Hs256 => {
            let mut secret = [0; 32];
            aws_lc_rs::rand::fill(&mut secret)?;
            Ok(EncodingKey::from_secret(&secret))
        }
        Algorithm::Es256 => from_ecdsa(&EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?),
        Algorithm::EdDsa => from_ed25519(&Ed25519KeyPair::generate()?),
        Algorithm::Rs256 => from_rsa(&RsaKeyPair::generate(KeySize::Rsa2048)?),
    }
}

fn from_ecdsa(pair: &EcdsaKeyPair) -> Result<EncodingKey, Unspecified> {
    Ok(EncodingKey::from_ec_der(pair.to_pkcs8v1()?.as_ref()))
}

fn from_ed25519(pair: &Ed25519KeyPair) -> Result<EncodingKey, Unspecified> {
    Ok(EncodingKey::from_ed_der(pair.to_pkcs8v1()?.as_ref()))
}

fn from_rsa(pair: &RsaKeyPair) -> Result<EncodingKey, Unspecified> {
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der()?;
    // jsonwebtoken signs with the RSAPrivateKey of RFC 8017; aws-lc-rs writes it only wrapped in the
    // PrivateKeyInfo of RFC 5208: SEQUENCE { version, algorithm, OCTET STRING { RSAPrivateKey } }.
    let (info, _) = der_value(pkcs8.as_ref()).ok_or(Unspecified)?;
    let (_version, rest) = der_value(info).ok_or(Unspecified)?;
    let (_algorithm, rest) = der_value(rest).ok_or(Unspecified)?;
    let (rsa_private_key, _) = der_value(rest).ok_or(Unspecified)?;
    Ok(EncodingKey::from_rsa_der(rsa_private_key))
}

/// The value of the first DER element, and what follows it.
fn der_value(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if first < 0x80 {
        return rest.split_at_checked(usize::from(first));
    }
    let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    let length = length.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
    rest.split_at_checked(length)
}
