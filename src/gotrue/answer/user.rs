//! Whom GoTrue's answer to `GET /user` shows.

use std::{borrow::Cow, fmt};

use serde::{
    Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use uuid::Uuid;

/// The user's `id`. GoTrue writes it first (recording `user`), and large metadata behind it may have
/// been cut off.
pub(super) fn id_of(body: &[u8]) -> Option<Uuid> {
    let mut id = None;
    // That the rest is cut off is an error, and none of ours.
    let _ = serde_json::Deserializer::from_slice(body).deserialize_map(UserId(&mut id));
    id
}

/// Notes the `id` as soon as it is read.
struct UserId<'a>(&'a mut Option<Uuid>);

impl<'de> Visitor<'de> for UserId<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a user")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut user: A) -> Result<(), A::Error> {
        while let Some(name) = user.next_key::<Cow<'_, str>>()? {
            if name == "id" {
                *self.0 = Some(user.next_value()?);
            } else {
                user.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}
