//! Keys derived from `GATEWAY_SECRET`, one for each purpose: the secret itself is never a key
//! (RFC 5869).

use aws_lc_rs::{error::Unspecified, hkdf};
use secrecy::{ExposeSecret, SecretString};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// The key of that purpose.
///
/// # Errors
/// [`Unspecified`], which HKDF never is for this length.
pub fn derived(secret: &SecretString, purpose: &[u8]) -> Result<[u8; KEY_BYTES], Unspecified> {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"logout-gateway");
    let pseudo_random_key = salt.extract(secret.expose_secret().as_bytes());
    let mut key = [0; KEY_BYTES];
    pseudo_random_key.expand(&[purpose], hkdf::HKDF_SHA256)?.fill(&mut key)?;
    Ok(key)
}
