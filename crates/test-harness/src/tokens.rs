//! Access tokens that a test makes or reads without GoTrue.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::Value;

/// The claims of a token, read without verifying its signature.
pub fn claims_of(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// A compact JWS with exactly this header and these claims, and with 64 constant bytes as its signature.
pub fn forged_token(header: &str, claims: &str) -> String {
    let [header, claims] = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{claims}.{}", BASE64_URL_SAFE_NO_PAD.encode([7; 64]))
}

/// A token signed with a shared secret (HS256), as in Supabase projects without asymmetric signing keys.
pub fn hs256_token(claims: &Value, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}
