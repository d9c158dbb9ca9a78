//! `POST /admin/users`: a new user.
//!
//! 1. The password may be weak (recorded: `strict-admin-weak`).
//! 2. No mail is sent.
//! 3. The mock cannot check a password against a hash, so that it refuses a valid `password_hash` with status 501.

use axum::{Json, extract::State, http::HeaderMap};
use bytes::Bytes;
use serde_json::Value;

use crate::{
    authentication::require_administrator, error::GotrueError, mock::Mock,
    request::parse_json_object, user_creation::create_user, user_form::UserForm,
};

pub(crate) async fn create(
    State(mock): State<Mock>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    require_administrator(&mock, &headers)?;
    let form: UserForm = parse_json_object(&body, "AdminUserParams")?;
    let user = create_user(&mut mock.database(), &form, mock.now())?;
    Ok(Json(user))
}
