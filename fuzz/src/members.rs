//! The members of a JSON object, including repeated ones. The values stay text, because a number in them may
//! be too large for any Rust type, and objects may be nested too deeply to parse.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// The names and values of the members of a JSON object; `None` if the text is no JSON object.
#[must_use]
pub fn members(json: &[u8]) -> Option<Vec<(String, Box<RawValue>)>> {
    Some(serde_json::from_slice::<Members>(json).ok()?.0)
}
