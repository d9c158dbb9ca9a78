//! The errors of Go's `encoding/json` for members of the wrong type, which GoTrue shows.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::{Value, json};

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

/// Go's error for the first member in the document that has the wrong type for `T` (recorded: `body-wrong-type-otp`).
/// Members that `T` does not have are ignored.
pub(crate) fn type_error<T: DeserializeOwned>(body: &[u8], go_struct: &str) -> Option<String> {
    let Members(members) = serde_json::from_slice(body).ok()?;
    members.into_iter().filter(|(_, value)| !value.is_null()).find_map(|(name, value)| {
        let kind = kind(&value);
        let expected = match type_of(&name) {
            GoType::Text => "string",
            GoType::Bool => "bool",
            GoType::Object => "map[string]interface {}",
        };
        let message = format!(
            "json: cannot unmarshal {kind} into Go struct field {go_struct}.{name} of type {expected}"
        );
        let alone = json!({ name: value });
        serde_json::from_value::<T>(alone).is_err().then_some(message)
    })
}

/// The members of an object in the order of the document.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
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

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::flow_state::Challenge;

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Body {
        email: String,
        phone: String,
        create_user: bool,
        data: Option<Map<String, Value>>,
        #[serde(flatten)]
        challenge: Challenge,
    }

    #[test]
    fn the_first_wrong_member_of_the_document_is_blamed_and_unknown_ones_are_ignored() {
        let error = |body: &str| type_error::<Body>(body.as_bytes(), "Params");
        let of = |kind: &str, name: &str, expected: &str| {
            let begin = format!("json: cannot unmarshal {kind} into Go struct field");
            Some(format!("{begin} Params.{name} of type {expected}"))
        };
        let body = r#"{"a":1,"phone":2,"email":3}"#;
        assert_eq!(error(body), of("number", "phone", "string"));
        let body = r#"{"phone":null,"create_user":"x","email":[]}"#;
        assert_eq!(error(body), of("string", "create_user", "bool"));
        assert_eq!(error(r#"{"data":[]}"#), of("array", "data", "map[string]interface {}"));
        let body = r#"{"other":1,"code_challenge":2,"email":3}"#;
        assert_eq!(error(body), of("number", "code_challenge", "string"));
        assert_eq!(error(r#"{"other":1,"email":"x"}"#), None);
    }

    #[test]
    fn a_challenge_is_read_from_the_members_of_the_body() {
        let body = r#"{"code_challenge":"a","code_challenge_method":"plain","email":"b"}"#;
        let Body { challenge, .. } = serde_json::from_str(body).unwrap();
        assert_eq!((&*challenge.challenge, &*challenge.method), ("a", "plain"));
    }
}
