//! Changes a user's metadata.

use serde_json::{Map, Value};

/// Sets these members: the value `null` deletes a member, and members that are not named stay.
pub(crate) fn merge(metadata: &mut Map<String, Value>, updates: Map<String, Value>) {
    for (name, value) in updates {
        if value.is_null() {
            metadata.remove(&name);
        } else {
            metadata.insert(name, value);
        }
    }
}
