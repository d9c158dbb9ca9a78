//! `POST /admin/users`: a new user.
//!
//! 1. The password may be weak (recorded: `strict-admin-weak`).
//! 2. No mail is sent.
//! 3. The mock cannot check a password against a hash, so that it refuses a valid `password_hash` with status 501.

use axum::{Json, extract::State, http::HeaderMap};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    audit_log::{AuditAction, user_traits},
    authentication::require_administrator,
    error::GotrueError,
    mock::Mock,
    request::parse_json_object,
    user::UserView,
    user_creation::create_user,
    user_form::UserForm,
};

pub(crate) async fn create(
    State(mock): State<Mock>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    let administrator = require_administrator(&mock, &headers)?;
    let form: UserForm = parse_json_object(&body, "AdminUserParams")?;
    let mut database = mock.database();
    let id = create_user(&mut database, &form, mock.now())?;
    let user = database.user(id).ok_or_else(GotrueError::unexpected)?;
    let body = user.to_json(UserView::JustWritten);
    let mut traits = user_traits(user);
    let provider = if user.email().is_empty() { "phone" } else { "email" };
    traits.insert("provider".to_owned(), json!(provider));
    let event = AuditAction::UserSignedup.with(traits.into());
    database.audit_actor(&administrator, event, mock.now());
    Ok(Json(body))
}
