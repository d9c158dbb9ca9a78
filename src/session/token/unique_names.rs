//! JSON objects in which each name stands once, so that no two readers see different values.

use std::{borrow::Cow, collections::HashSet, fmt};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor},
};

use super::TokenError;

/// Reads a part of a token: a JSON object of `most_members` members at most, no two of one name.
pub(super) fn object<T: DeserializeOwned>(
    part: &str,
    most_members: usize,
) -> Result<T, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)?;
    // The parser itself does not look into the texts that it passes over (RFC 8259, section 8.1).
    let text = std::str::from_utf8(&bytes).map_err(|_| TokenError::Malformed)?;
    UniqueNames { most_members }
        .deserialize(&mut serde_json::Deserializer::from_str(text))
        .map_err(|_| TokenError::Malformed)?;
    serde_json::from_str(text).map_err(|_| TokenError::Malformed)
}

/// An object with no two members of one name: parsers disagree about which of them counts
/// (RFC 7519, section 4).
struct UniqueNames {
    most_members: usize,
}

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
        while let Some((name, IgnoredAny)) = map.next_entry::<Cow<'de, str>, IgnoredAny>()? {
            if !seen.insert(as_gotrue_reads(name)) {
                return Err(A::Error::custom("duplicate name"));
            }
            if seen.len() > self.most_members {
                return Err(A::Error::custom("too many members"));
            }
        }
        Ok(())
    }
}

/// The claims by which GoTrue finds user and session have any case to it, and the last one counts (Go,
/// `encoding/json`): it would end another session than the one that was judged here.
fn as_gotrue_reads(name: Cow<'_, str>) -> Cow<'_, str> {
    // Go folds by Unicode, one letter into one letter: `ſ` is an `s`.
    let letters = name.chars().take("session_id".len() + 1).count();
    let claim = ["sub", "session_id"].into_iter().find(|claim| letters == claim.len());
    match claim {
        Some(claim) if name.to_uppercase().eq_ignore_ascii_case(claim) => Cow::Borrowed(claim),
        _ => name,
    }
}
