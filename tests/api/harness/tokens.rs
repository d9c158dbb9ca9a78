//! Tokens of a test's own making.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto};
use logout_gateway::mock::TEST_SECRET;
use serde_json::Value;

/// The claims of a token, whoever signed it.
pub(crate) fn claims_of(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// A compact JWS of exactly this header and these claims, with a signature of nobody.
pub(crate) fn forged(header: &str, claims: &str) -> String {
    let [header, claims] = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{claims}.{}", BASE64_URL_SAFE_NO_PAD.encode([7; 64]))
}

/// A compact JWS of exactly this header and these claims, signed with the shared test secret.
pub(crate) fn sign_with(header: &str, claims: &str) -> String {
    let [header, claims] = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let message = format!("{header}.{claims}");
    let key = EncodingKey::from_secret(TEST_SECRET.as_bytes());
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

/// A token of the shared secret, as projects had them before they had keys.
pub(crate) fn hs256(claims: &Value, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

/// A compact JWS of exactly this header and these claims, signed with the test key for ES256.
pub(crate) fn es256(header: &str, claims: &str) -> String {
    const KEYS: &str = include_str!("../../../fixtures/gotrue/signing-keys.json");
    let jwk = &serde_json::from_str::<Value>(KEYS).unwrap()["ES256"];
    let octets = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let point = [vec![4], octets("x"), octets("y")].concat();
    let pair = EcdsaKeyPair::from_private_key_and_public_key(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        &octets("d"),
        &point,
    );
    let key = EncodingKey::from_ec_der(pair.unwrap().to_pkcs8v1().unwrap().as_ref());
    let [header, claims] = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let message = format!("{header}.{claims}");
    format!("{message}.{}", crypto::sign(message.as_bytes(), &key, Algorithm::ES256).unwrap())
}
