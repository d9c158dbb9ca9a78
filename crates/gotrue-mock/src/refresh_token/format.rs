//! The formats of refresh tokens that GoTrue accepts.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// The length of a token of the first version.
const FIRST_LENGTH: usize = 12;

const VERSION_LENGTH: usize = 1;
const SESSION_ID_LENGTH: usize = 16;
const SIGNATURE_LENGTH: usize = 16;
const CHECKSUM_LENGTH: usize = 4;

/// The shortest counter is one byte.
const MIN_LENGTH: usize =
    VERSION_LENGTH + SESSION_ID_LENGTH + 1 + SIGNATURE_LENGTH + CHECKSUM_LENGTH;

/// Go's `base64.RawURLEncoding`: without padding, and the last bits may have any value.
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Whether GoTrue looks for this token at all: GoTrue's `RefreshTokenGrantParams.Validate`. The mock issues tokens of
/// the first version, as GoTrue does by default.
pub(crate) fn is_well_formed(token: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    match token.len() {
        FIRST_LENGTH => token.bytes().all(is_allowed),
        length => length > FIRST_LENGTH && is_second_version(token).is_some(),
    }
}

/// GoTrue's `crypto.ParseRefreshToken`: the version 0, the id of the session, a counter, a signature and a checksum.
fn is_second_version(token: &str) -> Option<()> {
    let bytes = BASE64_URL.decode(token.replace(['\r', '\n'], "")).ok()?;
    let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_LENGTH)?)?;
    let hash = digest(&SHA256, content);
    let is_valid = bytes.len() >= MIN_LENGTH
        && content.first() == Some(&0)
        && hash.as_ref().starts_with(checksum);
    let counter = content.get(VERSION_LENGTH + SESSION_ID_LENGTH..)?;
    let signature = counter.get(counter_length(counter)?..)?;
    (is_valid && signature.len() == SIGNATURE_LENGTH).then_some(())
}

/// The length of a number in Go's `binary.Uvarint`. `None` if it does not end, or is over 64 bits.
fn counter_length(bytes: &[u8]) -> Option<usize> {
    let last = bytes.iter().take(10).position(|byte| *byte < 0x80)?;
    let is_overflow = last == 9 && bytes.get(last).is_some_and(|byte| *byte > 1);
    (!is_overflow).then_some(last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token of the second version with a right checksum.
    fn token(version: u8, counter: &[u8], signature_length: usize) -> String {
        let mut bytes = vec![version];
        bytes.extend([7; SESSION_ID_LENGTH]);
        bytes.extend(counter);
        bytes.extend(vec![9; signature_length]);
        let checksum = digest(&SHA256, &bytes);
        bytes.extend(checksum.as_ref().iter().take(CHECKSUM_LENGTH));
        BASE64_URL.encode(bytes)
    }

    #[test]
    fn a_token_of_the_first_version_has_twelve_letters_and_digits() {
        assert!(is_well_formed("abcdefghij12"));
        for token in ["", "abcdefghij1", "ABCDEFGHIJ12", "abcdefghij1-", "abcdefghij123"] {
            assert!(!is_well_formed(token), "{token}");
        }
    }

    #[test]
    fn a_token_of_the_second_version_has_version_counter_signature_and_checksum() {
        for counter in
            [&[0][..], &[0x80, 1], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]]
        {
            assert!(is_well_formed(&token(0, counter, SIGNATURE_LENGTH)), "{counter:?}");
        }
        let good = token(0, &[0], SIGNATURE_LENGTH);
        let flipped = good.replacen('B', "C", 1);
        assert_ne!(flipped, good);
        let bad = [
            flipped,
            format!("{good}=="),
            good.replacen('B', "!", 1),
            good.chars().take(20).collect(),
            token(1, &[0], SIGNATURE_LENGTH),
            token(0, &[0], SIGNATURE_LENGTH - 1),
            token(0, &[0], SIGNATURE_LENGTH + 1),
            token(0, &[0xff; 10], SIGNATURE_LENGTH),
        ];
        for token in bad {
            assert!(!is_well_formed(&token), "{token}");
        }
    }
}
