//! Derives keys from `GATEWAY_SECRET` by HKDF-SHA256 (RFC 5869), one key for each purpose. The secret itself
//! is never used as a key.

use aws_lc_rs::{error::Unspecified, hkdf};
use secrecy::{ExposeSecret, SecretString};

/// The length of a derived key in bytes.
pub(crate) const KEY_BYTES: usize = 32;

/// Derives the key for `purpose` (the `info` of RFC 5869) from `secret`. The same arguments always give the
/// same key.
///
/// # Errors
/// [`Unspecified`] if HKDF fails, which it never does for keys of this length.
pub fn derive(secret: &SecretString, purpose: &[u8]) -> Result<[u8; KEY_BYTES], Unspecified> {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"logout-gateway");
    let pseudo_random_key = salt.extract(secret.expose_secret().as_bytes());
    let mut key = [0; KEY_BYTES];
    pseudo_random_key.expand(&[purpose], hkdf::HKDF_SHA256)?.fill(&mut key)?;
    Ok(key)
}
