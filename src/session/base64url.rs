//! Decodes the base64url (RFC 4648, section 5) of tokens and of session cookies.
//!
//! The engines use vector instructions where the processor has them (AVX2, NEON). A session cookie has some 2,600
//! octets: one by one they took a fifth of the instructions of a check by cookie.

use std::sync::LazyLock;

use base64::{
    DecodeError, Engine as _,
    engine::{
        GeneralPurposeConfig,
        general_purpose::{NO_PAD, PAD_INDIFFERENT},
    },
};

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use base64::engine::Simd as Decoder;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
use base64::engine::GeneralPurpose as Decoder;

static OF_TOKENS: LazyLock<Decoder> = LazyLock::new(|| decoder(NO_PAD));

static OF_COOKIES: LazyLock<Decoder> = LazyLock::new(|| decoder(AS_SUPABASE_SSR));

/// Decodes as @supabase/ssr does: padding may be missing, and trailing bits are ignored.
const AS_SUPABASE_SSR: GeneralPurposeConfig = PAD_INDIFFERENT.with_decode_allow_trailing_bits(true);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn decoder(config: GeneralPurposeConfig) -> Decoder {
    Decoder::url_safe(config)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn decoder(config: GeneralPurposeConfig) -> Decoder {
    Decoder::new(&base64::alphabet::URL_SAFE, config)
}

/// Decodes a part of a token (RFC 7515, section 2): without padding, and the trailing bits are zero.
///
/// # Errors
/// [`DecodeError`]: an octet that is not allowed, trailing bits, padding, or a length that base64 cannot have.
pub(super) fn decode_token_part(text: &str) -> Result<Vec<u8>, DecodeError> {
    OF_TOKENS.decode(text)
}

/// Decodes the value of a session cookie, as @supabase/ssr does.
///
/// # Errors
/// [`DecodeError`]: an octet that is not allowed, wrong padding, or a length that base64 cannot have.
pub(super) fn decode_cookie(text: &[u8]) -> Result<Vec<u8>, DecodeError> {
    OF_COOKIES.decode(text)
}

#[cfg(test)]
mod tests {
    use base64::{alphabet::URL_SAFE, engine::GeneralPurpose};
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        /// AVX2 takes 32 octets at a time and begins at 64, so the texts are longer, and few octets are wrong.
        #[test]
        fn all_engines_decode_alike(
            octets in vec(any::<u8>(), 0..300),
            padding in 0..4_usize,
            wrong in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let one_by_one = |config| GeneralPurpose::new(&URL_SAFE, config);
            let mut text = one_by_one(NO_PAD).encode(octets).into_bytes();
            text.extend(vec![b'='; padding]);
            for (at, octet) in wrong {
                if !text.is_empty() {
                    let at = at.index(text.len());
                    text[at] = octet;
                }
            }
            prop_assert_eq!(decode_cookie(&text), one_by_one(AS_SUPABASE_SSR).decode(&text));
            if let Ok(text) = std::str::from_utf8(&text) {
                prop_assert_eq!(decode_token_part(text), one_by_one(NO_PAD).decode(text));
            }
        }
    }
}
