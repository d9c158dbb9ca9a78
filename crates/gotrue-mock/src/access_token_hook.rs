//! GoTrue's custom access token hook, which changes the claims of access tokens.

use std::{fmt, sync::Arc};

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::GotrueError;

/// The claims that a hook must leave in its output.
const REQUIRED_CLAIMS: [&str; 9] =
    ["aud", "exp", "iat", "sub", "email", "phone", "role", "aal", "session_id"];

/// From GoTrue's event to the output.
type Function = dyn Fn(&Value) -> Option<Value> + Send + Sync;

/// A custom access token hook (`GOTRUE_HOOK_CUSTOM_ACCESS_TOKEN_ENABLED`): a function from GoTrue's event, with the
/// members `user_id`, `claims` and `authentication_method`, to the hook's output.
///
/// 1. An output with `claims` replaces the claims of the token.
/// 2. An output with `error` (`http_code`, `message`) refuses the token.
/// 3. `None` is a hook that fails.
///
/// The function runs inside a transaction of the mock's database, as a PostgreSQL function does. It must not call a
/// method of [`Mock`](crate::Mock) or send a request to the mock: both would wait for the transaction for ever.
#[derive(Clone)]
pub struct AccessTokenHook {
    uri: String,
    function: Arc<Function>,
}

impl AccessTokenHook {
    /// A hook that calls this function for every access token. The error of a hook that fails has the URI, such as
    /// `pg-functions://postgres/auth/claims`.
    pub fn new(
        uri: &str,
        function: impl Fn(&Value) -> Option<Value> + Send + Sync + 'static,
    ) -> Self {
        Self { uri: uri.to_owned(), function: Arc::new(function) }
    }

    /// Returns the claims of the token.
    pub(crate) fn run(
        &self,
        claims: &Value,
        user_id: Uuid,
        method: &str,
    ) -> Result<Value, GotrueError> {
        let event =
            json!({ "user_id": user_id, "claims": claims, "authentication_method": method });
        let mut output = (self.function)(&event).ok_or_else(|| {
            GotrueError::unexpected_failure(format!("Error running hook URI: {}", self.uri))
        })?;
        if let Some(refusal) = output.get("error").and_then(refusal) {
            return Err(refusal);
        }
        let failure = |message: String| GotrueError::unexpected_failure(message).without_code();
        let claims = output.get_mut("claims").map(Value::take).filter(Value::is_object);
        let claims = claims.ok_or_else(|| failure("output claims field is missing".to_owned()))?;
        let mut missing = String::new();
        for name in REQUIRED_CLAIMS.into_iter().filter(|name| claims.get(*name).is_none()) {
            missing.extend(["- (root): ", name, " is required\n"]);
        }
        if missing.is_empty() {
            return Ok(claims);
        }
        let message = "output claims do not conform to the expected schema: ";
        Err(failure(format!("{message}\n{missing}")))
    }
}

/// The error that a hook's output asks for. Without a status it is 500. GoTrue ignores an error without a message.
fn refusal(error: &Value) -> Option<GotrueError> {
    let message = error["message"].as_str().filter(|message| !message.is_empty())?;
    let code = error["http_code"].as_u64().and_then(|code| u16::try_from(code).ok());
    let status = code.and_then(|code| StatusCode::from_u16(code).ok());
    Some(GotrueError::of_hook(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), message))
}

/// Compares the functions by their identity.
impl PartialEq for AccessTokenHook {
    fn eq(&self, other: &Self) -> bool {
        self.uri == other.uri && Arc::ptr_eq(&self.function, &other.function)
    }
}

/// Shows the URI: a function has no representation.
impl fmt::Debug for AccessTokenHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessTokenHook").field("uri", &self.uri).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_needs_a_message_and_is_an_internal_error_without_a_status() {
        let refusal = |error: Value| {
            refusal(&error).map(|error| {
                let (status, code, message) = error.parts();
                (status.as_u16(), code, message.to_owned())
            })
        };
        let expected = |status, code| Some((status, code, "no".to_owned()));
        let with_status = json!({"http_code": 403, "message": "no"});
        assert_eq!(refusal(with_status), expected(403, "unknown"));
        assert_eq!(refusal(json!({"message": "no"})), expected(500, "unexpected_failure"));
        assert_eq!(refusal(json!({"http_code": 403, "message": ""})), None);
        assert_eq!(refusal(Value::Null), None);
    }
}
