//! The errors of Go's `encoding/json` for members of the wrong type, which GoTrue shows.

use serde_json::{Map, Value};

/// A type of Go that a member of a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GoType {
    Text,
    Bool,
    Object,
}

/// The type of a member. Members of one name have one type in all requests.
fn type_of(member: &str) -> GoType {
    match member {
        "create_user" | "email_confirm" | "link_identity" | "phone_confirm"
        | "should_soft_delete" => GoType::Bool,
        "data" | "user_metadata" | "app_metadata" => GoType::Object,
        _ => GoType::Text,
    }
}

/// Go's name for the kind of a JSON value.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Object(_) => "object",
    }
}

/// Go's error for the first member of the wrong type (recorded: `body-wrong-type-otp`).
pub(crate) fn type_error(members: &Map<String, Value>, go_struct: &str) -> Option<String> {
    members.iter().find_map(|(name, value)| {
        let expected = match (type_of(name), value) {
            (GoType::Text, Value::String(_))
            | (GoType::Bool, Value::Bool(_))
            | (GoType::Object, Value::Object(_)) => return None,
            (GoType::Text, _) => "string",
            (GoType::Bool, _) => "bool",
            (GoType::Object, _) => "map[string]interface {}",
        };
        let kind = kind(value);
        Some(format!(
            "json: cannot unmarshal {kind} into Go struct field {go_struct}.{name} of type {expected}"
        ))
    })
}
