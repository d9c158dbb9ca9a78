//! `/admin/users/{id}/factors`: the second factors of a user. As long as no user has one, only the errors differ.

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::users::find_user;
use crate::{authentication::require_administrator, error::GotrueError, mock::Mock};

pub(crate) async fn list(
    State(mock): State<Mock>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, GotrueError> {
    require_administrator(&mock, &headers)?;
    find_user(&mock.database(), &id)?;
    Ok(Json(json!([])))
}

/// `PUT` and `DELETE`: the factor of the path, which cannot exist.
pub(crate) async fn find(
    State(mock): State<Mock>,
    Path((id, factor_id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, GotrueError> {
    require_administrator(&mock, &headers)?;
    find_user(&mock.database(), &id)?;
    Uuid::try_parse(&factor_id)
        .map_err(|_| GotrueError::not_found("validation_failed", "factor_id must be an UUID"))?;
    Err(GotrueError::not_found("mfa_factor_not_found", "Factor not found"))
}
