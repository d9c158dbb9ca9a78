//! Reads one JSON member of a body, even if the body is cut off after this member.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

/// The value of the first member `name` of the object at the beginning of `body`. GoTrue writes
/// `access_token` and `id` before the user's metadata (recordings `refresh` and `user`), which may be larger
/// than the kept part of the body.
pub(super) fn member<'de, T: Deserialize<'de>>(body: &'de [u8], name: &str) -> Option<T> {
    let mut found = None;
    let visitor = Member { name, found: &mut found };
    // Ignore the error: the rest of the body is not needed, and it may be cut off.
    let _ = serde_json::Deserializer::from_slice(body).deserialize_map(visitor);
    found
}

/// Stores the value of the member `name` as soon as the parser reaches it.
struct Member<'a, T> {
    name: &'a str,
    found: &'a mut Option<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Member<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(name) = object.next_key::<Cow<'_, str>>()? {
            if name == self.name {
                *self.found = Some(object.next_value()?);
                return Ok(());
            }
            object.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}
