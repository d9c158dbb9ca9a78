//! Reads query parameters and JSON bodies, with the errors of GoTrue.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::GotrueError;

/// The first value of a query parameter; empty if there is none.
pub(crate) fn query_parameter(query: Option<&str>, name: &str) -> String {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

pub(crate) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, GotrueError> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_eof() {
            bad_json("unexpected end of JSON input")
        } else {
            bad_json(&error.to_string())
        }
    })
}

/// Reads a JSON object; `null` counts as an empty object. Serde would accept an array for a
/// structure. GoTrue refuses an array, and its error has the name of its own type, `api.<go_type>`
/// (recorded: `body-array-user`).
pub(crate) fn parse_json_object<T: Default + DeserializeOwned>(
    body: &[u8],
    go_type: &str,
) -> Result<T, GotrueError> {
    let kind = match parse_json(body)? {
        Value::Object(_) => return parse_json(body),
        Value::Null => return Ok(T::default()),
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
    };
    Err(bad_json(&format!("json: cannot unmarshal {kind} into Go value of type api.{go_type}")))
}

/// The error for a body that GoTrue cannot parse.
pub(crate) fn bad_json(reason: &str) -> GotrueError {
    let message = format!("Could not parse request body as JSON: {reason}");
    GotrueError::bad_request("bad_json", message)
}
