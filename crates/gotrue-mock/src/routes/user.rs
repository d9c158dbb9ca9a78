//! `GET /user`: the user of the access token.

use axum::{Json, extract::State, http::HeaderMap};
use serde_json::Value;

use crate::{authentication::Caller, error::GotrueError, mock::Mock, user::UserView};

pub(crate) async fn get_user(
    State(mock): State<Mock>,
    headers: HeaderMap,
) -> Result<Json<Value>, GotrueError> {
    let database = mock.database();
    let caller = Caller::authenticate(&mock, &database, &headers)?;
    if !caller.has_audience_of(&headers) {
        let message = "Token audience doesn't match request audience";
        return Err(GotrueError::bad_request("validation_failed", message));
    }
    let user = database.user(caller.user_id);
    Ok(Json(user.map_or(Value::Null, |user| user.to_json(UserView::Stored))))
}

pub(crate) fn user_not_found() -> GotrueError {
    GotrueError::not_found("user_not_found", "User not found")
}
