//! `GET` and `DELETE /admin/users/{id}`: one user.

use axum::{Json, extract::State, http::HeaderMap};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    audit_log::{AuditAction, user_traits},
    authentication::require_administrator,
    database::Database,
    error::GotrueError,
    mock::Mock,
    path::PathIds,
    request::parse_json_object,
    routes::user::user_not_found,
    user::{User, UserView},
};

pub(crate) async fn get(
    State(mock): State<Mock>,
    PathIds(id): PathIds<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, GotrueError> {
    require_administrator(&mock, &headers)?;
    Ok(Json(find_user(&mock.database(), &id)?.to_json(UserView::Stored)))
}

/// The mock has no passkeys, so that the list of every user is empty.
pub(crate) async fn passkeys(
    State(mock): State<Mock>,
    PathIds(id): PathIds<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, GotrueError> {
    require_administrator(&mock, &headers)?;
    find_user(&mock.database(), &id)?;
    Ok(Json(json!([])))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Deletion {
    should_soft_delete: bool,
}

/// Deletes a user, or with `should_soft_delete` only what is personal in the row.
pub(crate) async fn delete(
    State(mock): State<Mock>,
    PathIds(id): PathIds<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    let administrator = require_administrator(&mock, &headers)?;
    let mut database = mock.database();
    let user = find_user(&database, &id)?;
    let (user_id, is_soft_deleted) = (user.id, user.deleted_at.is_some());
    let event = AuditAction::UserDeleted.with(user_traits(user).into());
    let mut deletion = Deletion::default();
    if !body.is_empty() {
        deletion = parse_json_object(&body, "adminUserDeleteParams")?;
    }
    database.audit_actor(&administrator, event, mock.now());
    if !deletion.should_soft_delete {
        database.delete_user(user_id);
    } else if !is_soft_deleted {
        database.soft_delete_user(user_id, mock.now());
    }
    Ok(Json(json!({})))
}

/// The user of the path.
pub(crate) fn find_user<'d>(database: &'d Database, id: &str) -> Result<&'d User, GotrueError> {
    let id = id
        .parse()
        .map_err(|_| GotrueError::not_found("validation_failed", "user_id must be an UUID"))?;
    database.user(id).ok_or_else(user_not_found)
}
