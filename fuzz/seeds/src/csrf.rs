//! CSRF tokens as section 5 of the contract defines them, implemented independently with another library.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The CSRF token that a gateway with `secret` issues with these random bytes. `bound_to` is the id of a
/// session or the SHA-256 of an access token.
#[must_use]
pub fn minted(secret: &str, bound_to: &[u8], random: &[u8]) -> String {
    // The key is derived with HKDF (RFC 5869), whose output here is one block.
    let pseudo_random_key = mac(b"logout-gateway", &[secret.as_bytes()]);
    let key = mac(&pseudo_random_key, &[b"csrf", &[1]]);
    let length = |part: &[u8]| (part.len() as u64).to_be_bytes();
    let signature = mac(&key, &[&length(bound_to), bound_to, &length(random), random]);
    let [random, signature] = [random, &signature].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    format!("{random}.{signature}")
}

fn mac(key: &[u8], message: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    for part in message {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
