//! The JSON form of a queue entry in responses of the admin listener and in the command `queue`.

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::QueueEntry;

/// A queue entry, serialised without its credentials: only their number is shown. Times are in RFC 3339 and
/// whole seconds.
#[derive(Clone, Debug)]
pub struct QueuedLogout(pub QueueEntry);

impl Serialize for QueuedLogout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(entry) = self;
        let key_id = entry.credentials.first().map(|newest| newest.key_id.as_str());
        let mut members = serializer.serialize_struct("QueuedLogout", 12)?;
        members.serialize_field("id", &entry.id)?;
        members.serialize_field("queued_at", &format_args!("{:.0}", entry.queued_at))?;
        members.serialize_field("due_at", &format_args!("{:.0}", entry.due))?;
        members.serialize_field("attempts", &entry.attempts)?;
        members.serialize_field("reason", &entry.reason)?;
        members.serialize_field("request_id", &entry.request_id)?;
        members.serialize_field("route", &entry.route)?;
        members.serialize_field("scope", &entry.scope)?;
        members.serialize_field("user_id", &entry.user_id)?;
        members.serialize_field("session_id", &entry.session_id)?;
        members.serialize_field("credentials", &entry.credentials.len())?;
        members.serialize_field("key_id", key_id.unwrap_or_default())?;
        members.end()
    }
}
