//! Reads query parameters and JSON bodies, with the errors of GoTrue.

use serde::de::DeserializeOwned;
use serde_json::Value;
use url::form_urlencoded;

use crate::{error::GotrueError, go_json};

/// The first value of a query parameter; empty if there is none.
pub(crate) fn query_parameter(query: Option<&str>, name: &str) -> String {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

pub(crate) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, GotrueError> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_eof() { bad_json(UNEXPECTED_END) } else { bad_json(&error.to_string()) }
    })
}

/// Reads a JSON object; `null` counts as an empty object, and a member `null` as absent. Serde would accept an array
/// for a structure. GoTrue refuses an array, and its error has the name of its own type, `api.<go_type>` (recorded:
/// `body-array-user`).
pub(crate) fn parse_json_object<T: Default + DeserializeOwned>(
    body: &[u8],
    go_type: &str,
) -> Result<T, GotrueError> {
    let mut members = match parse_json(body)? {
        Value::Object(members) => members,
        Value::Null => return Ok(T::default()),
        other => {
            let kind = go_json::kind(&other);
            let message =
                format!("json: cannot unmarshal {kind} into Go value of type api.{go_type}");
            return Err(bad_json(&message));
        }
    };
    members.retain(|_, value| !value.is_null());
    serde_json::from_value(Value::Object(members)).map_err(|error| {
        let message = go_json::type_error::<T>(body, go_type);
        bad_json(&message.unwrap_or_else(|| error.to_string()))
    })
}

/// Reads the object of `POST /magiclink`, for which GoTrue uses another function of Go's, with other messages
/// (recorded: `body-none-magiclink`).
pub(crate) fn decode_json_object<T: Default + DeserializeOwned>(
    body: &[u8],
    go_type: &str,
) -> Result<T, GotrueError> {
    parse_json_object(body, go_type).map_err(|error| {
        let (_, code, message) = error.parts();
        let reason = match message.strip_prefix(BAD_JSON).unwrap_or(message) {
            UNEXPECTED_END if body.trim_ascii().is_empty() => "EOF",
            UNEXPECTED_END => "unexpected EOF",
            other => other,
        };
        let message = format!("Could not read verification params: {reason}");
        GotrueError::bad_request(code, message)
    })
}

/// Begins the message of every error of a body.
const BAD_JSON: &str = "Could not parse request body as JSON: ";
/// Go's error for a body that ends too early.
const UNEXPECTED_END: &str = "unexpected end of JSON input";

/// The error for a body that GoTrue cannot parse.
pub(crate) fn bad_json(reason: &str) -> GotrueError {
    let message = format!("{BAD_JSON}{reason}");
    GotrueError::bad_request("bad_json", message)
}
