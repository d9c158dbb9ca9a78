//! Codes of authenticator apps: TOTP (RFC 6238) with HMAC-SHA1, steps of 30 seconds, six digits.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};

use crate::redirect::escape_html;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The length of a step in seconds.
const STEP: u64 = 30;

/// The length of a secret in base32: 160 bits, the length that RFC 4226 recommends.
const SECRET_LENGTH: usize = 32;

/// The code of six digits that an authenticator app shows for a secret at this time. `None` if the
/// secret is not base32 (RFC 4648, without padding), or the time is before the Unix epoch.
#[must_use]
pub fn totp_code(secret: &str, at: SystemTime) -> Option<String> {
    Some(code_of_step(&decode(secret)?, current_step(at)?))
}

/// Whether a code is that of the current step, of the one before or of the one after: GoTrue
/// accepts a skew of one step.
pub(crate) fn is_valid(secret: &str, code: &str, now: SystemTime) -> bool {
    let (Some(key), Some(current)) = (decode(secret), current_step(now)) else { return false };
    let steps = current.saturating_sub(1)..=current + 1;
    steps.into_iter().any(|step| code_of_step(&key, step) == code.trim())
}

/// A new secret in base32.
pub(crate) fn new_secret(rng: &mut fastrand::Rng) -> String {
    let letters = (0..SECRET_LENGTH).filter_map(|_| rng.choice(BASE32));
    letters.map(|&letter| char::from(letter)).collect()
}

/// The URI that an authenticator app reads.
pub(crate) fn uri(issuer: &str, account: &str, secret: &str) -> String {
    let label = escape(&format!("{issuer}:{account}"), "$&+,/:;=@");
    let issuer = escape(issuer, "$&+:=@");
    format!(
        "otpauth://totp/{label}?algorithm=SHA1&digits=6&issuer={issuer}&period=30&secret={secret}"
    )
}

/// An SVG that shows the URI as text. GoTrue sends a QR code; a test reads `secret` or `uri`.
pub(crate) fn svg(uri: &str) -> String {
    let text = escape_html(uri);
    format!(
        "<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1600\" \
         height=\"40\">\n<text x=\"8\" y=\"26\" font-family=\"monospace\">{text}</text>\n</svg>\n"
    )
}

/// The number of steps since the Unix epoch.
fn current_step(now: SystemTime) -> Option<u64> {
    now.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs() / STEP)
}

/// The HOTP code of RFC 4226, section 5.3.
fn code_of_step(key: &[u8], step: u64) -> String {
    let tag = sign(&Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, key), &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag.last().copied().unwrap_or_default() & 0xf);
    let bytes = tag.iter().skip(offset).take(4);
    let number = bytes.fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
}

fn decode(secret: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut buffer, mut bits) = (Vec::new(), 0_u32, 0_u32);
    for letter in secret.bytes() {
        let value = BASE32.iter().position(|known| *known == letter.to_ascii_uppercase())?;
        buffer = buffer << 5 | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(buffer >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

/// Encodes every byte except letters, digits, `-._~` and those of `allowed`.
fn escape(text: &str, allowed: &str) -> String {
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || b"-._~".contains(&byte)
            || allowed.as_bytes().contains(&byte)
    };
    let escaped = text.bytes().map(|byte| match byte {
        byte if is_plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The secret of RFC 6238, appendix B: the bytes `12345678901234567890`.
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(totp_code(SECRET, at(seconds)).as_deref(), Some(code));
        }
        assert_eq!(totp_code("not base32!", at(59)), None);
    }

    #[test]
    fn a_code_is_valid_one_step_early_and_late() {
        let code = totp_code(SECRET, at(3000)).unwrap();
        let valid = [2969, 2970, 3000, 3059, 3060].map(|now| is_valid(SECRET, &code, at(now)));
        assert_eq!(valid, [false, true, true, true, false]);
    }

    #[test]
    fn the_uri_encodes_names() {
        let uri = uri("A Shop", "a+b@example.com", "ABC");
        let expected = "otpauth://totp/A%20Shop:a+b@example.com?algorithm=SHA1&digits=6&\
                        issuer=A%20Shop&period=30&secret=ABC";
        assert_eq!(uri, expected);
    }
}
