//! Reads private keys from JWKs (RFC 7517, RFC 7518 section 6, RFC 8037), and generates new ones.
//!
//! aws-lc-rs converts each key to the DER that `jsonwebtoken` signs with, and refuses a key whose
//! members contradict each other.

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

use crate::algorithm::Algorithm;

/// Why private keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JwkError {
    /// The text of the private keys does not parse as JSON.
    #[error("the signing keys are not JSON")]
    NotJson,
    /// The JSON is neither a JWK set, nor a list or an object of JWKs, nor one JWK.
    #[error("the signing keys are not a JWK set, a list or an object of JWKs, or one JWK")]
    NotASet,
    /// A member that a key of this algorithm needs is missing, or is not base64url.
    #[error("a signing key for {0} has no valid member `{1}`")]
    Member(Algorithm, &'static str),
    /// The members do not form a valid private key, or a key cannot be generated.
    #[error("a {0} key is not a valid private key")]
    Rejected(Algorithm),
    /// None of the keys signs with the algorithm.
    #[error("there is no signing key for {0}")]
    NoKey(Algorithm),
}

/// A private JWK. `members` has the members that belong to its key type, `kty`.
#[derive(Deserialize)]
#[serde(default)]
pub(crate) struct PrivateJwk {
    kty: String,
    crv: String,
    pub(crate) kid: Option<String>,
    #[serde(flatten)]
    members: serde_json::Map<String, Value>,
}

impl Default for PrivateJwk {
    fn default() -> Self {
        Self { kty: String::new(), crv: String::new(), kid: None, members: serde_json::Map::new() }
    }
}

impl PrivateJwk {
    /// Reads private JWKs in one of four forms: a JWK set (`{"keys":[…]}`), a list of JWKs (as in
    /// GoTrue's configuration), an object with a JWK as the value of each name, or one JWK.
    pub(crate) fn parse_set(json: &str) -> Result<Vec<Self>, JwkError> {
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

    /// The algorithm that signs with this kind of key, if the mock supports it.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        match (self.kty.as_str(), self.crv.as_str()) {
            ("EC", "P-256") => Some(Algorithm::Es256),
            ("OKP", "Ed25519") => Some(Algorithm::EdDsa),
            ("RSA", _) => Some(Algorithm::Rs256),
            ("oct", _) => Some(Algorithm::Hs256),
            _ => None,
        }
    }

    /// The bytes of a shared secret.
    pub(crate) fn secret(&self) -> Result<Vec<u8>, JwkError> {
        self.member(Algorithm::Hs256, "k")
    }

    /// Converts the JWK to a key that signs with `algorithm`.
    pub(crate) fn encoding_key(&self, algorithm: Algorithm) -> Result<EncodingKey, JwkError> {
        let member = |name| self.member(algorithm, name);
        let rejected = |_: KeyRejected| JwkError::Rejected(algorithm);
        let failed = |_: Unspecified| JwkError::Rejected(algorithm);
        match algorithm {
            Algorithm::Hs256 => Ok(EncodingKey::from_secret(&self.secret()?)),
            Algorithm::Es256 => {
                // An uncompressed point: the byte 4, then `x` and `y` (SEC 1, section 2.3.3).
                let point = [vec![4], member("x")?, member("y")?].concat();
                EcdsaKeyPair::from_private_key_and_public_key(
                    &ECDSA_P256_SHA256_FIXED_SIGNING,
                    &member("d")?,
                    &point,
                )
                .map_err(rejected)
                .and_then(|pair| from_ecdsa(&pair).map_err(failed))
            }
            Algorithm::EdDsa => {
                Ed25519KeyPair::from_seed_and_public_key(&member("d")?, &member("x")?)
                    .map_err(rejected)
                    .and_then(|pair| from_ed25519(&pair).map_err(failed))
            }
            Algorithm::Rs256 => {
                let components = KeyPairComponents {
                    public_key: RsaPublicKeyComponents { n: member("n")?, e: member("e")? },
                    d: member("d")?,
                    p: member("p")?,
                    q: member("q")?,
                    dP: member("dp")?,
                    dQ: member("dq")?,
                    qInv: member("qi")?,
                };
                RsaKeyPair::from_components(&components)
                    .map_err(rejected)
                    .and_then(|pair| from_rsa(&pair).map_err(failed))
            }
        }
    }

    /// Decodes a base64url member.
    fn member(&self, algorithm: Algorithm, name: &'static str) -> Result<Vec<u8>, JwkError> {
        let text = self.members.get(name).and_then(Value::as_str);
        text.and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok())
            .filter(|bytes| !bytes.is_empty())
            .ok_or(JwkError::Member(algorithm, name))
    }
}

/// Generates a key for the algorithm.
pub(crate) fn generate(algorithm: Algorithm) -> Result<EncodingKey, Unspecified> {
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
    // jsonwebtoken signs with the RSAPrivateKey of RFC 8017. aws-lc-rs exports it only inside the
    // PrivateKeyInfo of RFC 5208: SEQUENCE { version, algorithm, OCTET STRING { RSAPrivateKey } }.
    let (info, _) = der_value(pkcs8.as_ref()).ok_or(Unspecified)?;
    let (_version, rest) = der_value(info).ok_or(Unspecified)?;
    let (_algorithm, rest) = der_value(rest).ok_or(Unspecified)?;
    let (rsa_private_key, _) = der_value(rest).ok_or(Unspecified)?;
    Ok(EncodingKey::from_rsa_der(rsa_private_key))
}

/// Splits DER after its first element. Returns the value of the element, and the rest.
fn der_value(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if first < 0x80 {
        return rest.split_at_checked(usize::from(first));
    }
    let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}
