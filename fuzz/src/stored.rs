//! Reads the session from the cookies of @supabase/ssr: an independent implementation of section 6 of the
//! contract.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::members::members;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The access token in these cookies, given as names and values in the order of the request; `key` is the
/// name of the session's cookie.
#[must_use]
pub fn access_token(key: &str, cookies: &[(String, String)]) -> Option<String> {
    let first = |name: &str| {
        let of_name = cookies.iter().find(|(n, value)| n == name && !value.is_empty());
        of_name.map(|(_, value)| value.as_str())
    };
    let text = match first(key) {
        Some(value) => value.to_owned(),
        None => (0..).map_while(|n| first(&format!("{key}.{n}"))).collect(),
    };
    let text: Vec<u8> = percent_decode_str(&text).collect();
    let json = match text.strip_prefix(b"base64-") {
        Some(coded) => LENIENT.decode(coded).ok()?,
        None => text,
    };
    // The object's other members need not be valid UTF-8.
    let json = String::from_utf8_lossy(&json);
    if let Some(members) = members(json.as_bytes()) {
        let (_, value) = members.into_iter().find(|(name, _)| name == "access_token")?;
        return serde_json::from_str(value.get()).ok();
    }
    let array: Vec<Value> = serde_json::from_str(&json).ok()?;
    Some(array.first()?.as_str()?.to_owned())
}
