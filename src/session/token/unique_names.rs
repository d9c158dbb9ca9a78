//! Reads JSON objects and refuses duplicate names: of two members with the same name, GoTrue might read one
//! and the gateway the other.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor},
};

use super::TokenError;
use crate::session::base64url::decode_token_part;

/// Reads a part of a token: a JSON object of at most `max_members` members, all with different names.
pub(super) fn object<T: DeserializeOwned>(part: &str, max_members: usize) -> Result<T, TokenError> {
    let bytes = decode_token_part(part).map_err(|_| TokenError::Malformed)?;
    // JSON is UTF-8 (RFC 8259, section 8.1), but the parser does not check the strings that it skips.
    let text = std::str::from_utf8(&bytes).map_err(|_| TokenError::Malformed)?;
    UniqueNames { max_members }
        .deserialize(&mut serde_json::Deserializer::from_str(text))
        .map_err(|_| TokenError::Malformed)?;
    serde_json::from_str(text).map_err(|_| TokenError::Malformed)
}

/// Accepts an object without duplicate names, because parsers disagree about which of two members counts (RFC
/// 7519, section 4).
struct UniqueNames {
    max_members: usize,
}

/// A name, without a copy if it has no escapes.
#[derive(Deserialize)]
struct Name<'n>(#[serde(borrow)] Cow<'n, str>);

impl<'de> DeserializeSeed<'de> for UniqueNames {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for UniqueNames {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object without duplicate names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some((Name(name), IgnoredAny)) = map.next_entry()? {
            if !seen.insert(canonical_name(name)) {
                return Err(A::Error::custom("duplicate name"));
            }
            if seen.len() > self.max_members {
                return Err(A::Error::custom("too many members"));
            }
        }
        Ok(())
    }
}

/// The name under which GoTrue reads a member. GoTrue (Go, `encoding/json`) ignores the case of `sub` and
/// `session_id` and uses the last member. With a `Session_ID` after `session_id`, it would end another
/// session than the one that the gateway verified.
fn canonical_name(name: Cow<'_, str>) -> Cow<'_, str> {
    // Go compares letters by Unicode case folding, one letter with one letter: `ſ` equals `s`.
    let letters = name.chars().take("session_id".len() + 1).count();
    let claim = ["sub", "session_id"].into_iter().find(|claim| letters == claim.len());
    match claim {
        Some(claim) if name.to_uppercase().eq_ignore_ascii_case(claim) => Cow::Borrowed(claim),
        _ => name,
    }
}
