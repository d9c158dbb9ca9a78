//! `GET /user`: the user of the access token.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode},
};
use serde_json::Value;

use crate::{authentication::Caller, error::GotrueError, mock::Mock, user::UserView};

pub(crate) async fn get_user(
    State(mock): State<Mock>,
    headers: HeaderMap,
) -> Result<Json<Value>, GotrueError> {
    let database = mock.database();
    let caller = Caller::authenticate(&mock, &database, &headers)?;
    let audience = headers.get("x-jwt-aud").map_or(b"".as_slice(), HeaderValue::as_bytes);
    if !audience.is_empty() && audience != b"authenticated" {
        let message = "Token audience doesn't match request audience";
        return Err(GotrueError::bad_request("validation_failed", message));
    }
    let user = database.user(caller.user_id);
    Ok(Json(user.map_or(Value::Null, |user| user.to_json(UserView::Stored))))
}

/// GoTrue looks at the credentials before the method (recorded: `user-delete-no-authorization`).
pub(crate) async fn wrong_method(
    State(mock): State<Mock>,
    headers: HeaderMap,
) -> Result<StatusCode, GotrueError> {
    Caller::authenticate(&mock, &mock.database(), &headers)?;
    Ok(StatusCode::METHOD_NOT_ALLOWED)
}

pub(crate) fn user_not_found() -> GotrueError {
    GotrueError::not_found("user_not_found", "User not found")
}
