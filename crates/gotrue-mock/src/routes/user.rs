//! `GET /user` and `PUT /admin/users/{id}`: a user, and a new password by an administrator.
//!
//! 1. An administrator who sets a user's password ends all sessions of that user (recorded:
//!    `admin-password`).
//! 2. An administrator can change only the password. The mock answers with status 501 if the request
//!    has other members.

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
};
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    authentication::{Caller, require_administrator},
    credentials::check_password,
    error::GotrueError,
    mock::Mock,
    request::parse_json_object,
    user::UserView,
};

pub(crate) async fn get_user(
    State(mock): State<Mock>,
    headers: HeaderMap,
) -> Result<Json<Value>, GotrueError> {
    let database = mock.database();
    let caller = Caller::authenticate(&mock, &database, &headers)?;
    let user = database.user(caller.user_id);
    Ok(Json(user.map_or(Value::Null, |user| user.to_json(UserView::Stored))))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AdminUserUpdate {
    password: Option<SecretString>,
    /// All other members. The mock accepts `email_confirm`, which has no effect because every
    /// address is confirmed, and refuses the others.
    #[serde(flatten)]
    others: Map<String, Value>,
}

pub(crate) async fn update_user_as_administrator(
    State(mock): State<Mock>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    require_administrator(&mock, &headers)?;
    let user_id = Uuid::try_parse(&id)
        .map_err(|_| GotrueError::not_found("validation_failed", "user_id must be an UUID"))?;
    let mut database = mock.database();
    database.user(user_id).ok_or_else(user_not_found)?;
    let update: AdminUserUpdate = parse_json_object(&body, "AdminUserParams")?;
    if let Some(password) = &update.password {
        check_password(password.expose_secret(), mock.settings())?;
    }
    if let Some(member) = update.others.keys().find(|member| *member != "email_confirm") {
        let endpoint = format!("PUT /admin/users/{{id}} with {member}");
        return Err(GotrueError::not_implemented(&endpoint));
    }
    if let Some(password) = update.password {
        database.set_password(user_id, password, mock.now());
        database.delete_sessions_of(user_id, None);
    }
    database
        .user(user_id)
        .map(|user| Json(user.to_json(UserView::Stored)))
        .ok_or_else(user_not_found)
}

pub(crate) fn user_not_found() -> GotrueError {
    GotrueError::not_found("user_not_found", "User not found")
}
