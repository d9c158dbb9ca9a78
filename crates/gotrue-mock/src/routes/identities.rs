//! `DELETE /user/identities/{id}`: unlinks an identity from its user.

use axum::{Json, extract::State, http::HeaderMap};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{authentication::Caller, error::GotrueError, mock::Mock, path::PathIds};

/// The user keeps the sessions, and the address if another identity has it.
pub(crate) async fn delete_identity(
    State(mock): State<Mock>,
    PathIds(id): PathIds<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, GotrueError> {
    let mut database = mock.database();
    let caller = Caller::authenticate(&mock, &database, &headers)?;
    check_linking(&mock)?;
    let id = Uuid::try_parse(&id)
        .map_err(|_| GotrueError::not_found("validation_failed", "identity_id must be an UUID"))?;
    if !caller.has_audience_of(&headers) {
        let message = "Token audience doesn't match request audience";
        return Err(GotrueError::forbidden("unexpected_audience", message));
    }
    let user_id = caller.user_id;
    let user = database.user_mut(user_id).ok_or_else(GotrueError::unexpected)?;
    if user.identities.len() <= 1 {
        let message = "User must have at least 1 identity after unlinking";
        return Err(GotrueError::unprocessable("single_identity_not_deletable", message));
    }
    let index = user.identities.iter().position(|identity| identity.id == id);
    let index = index.ok_or_else(|| {
        GotrueError::unprocessable("identity_not_found", "Identity doesn't exist")
    })?;
    let deleted = user.identities.remove(index);
    if deleted.provider == "phone" {
        database.remove_phone(user_id);
    } else if !database.update_email_from_identities(user_id, mock.settings().confirms_emails) {
        if let Some(user) = database.user_mut(user_id) {
            user.identities.insert(index, deleted);
        }
        let message = "Unable to unlink identity due to email conflict";
        let code = "email_conflict_identity_not_deletable";
        return Err(GotrueError::unprocessable(code, message));
    }
    if let Some(user) = database.user_mut(user_id) {
        user.update_providers();
    }
    Ok(Json(json!({})))
}

/// GoTrue's error where the settings do not let users link and unlink identities.
pub(crate) fn check_linking(mock: &Mock) -> Result<(), GotrueError> {
    if mock.settings().allows_manual_linking {
        return Ok(());
    }
    let message = "Manual linking is disabled";
    Err(GotrueError::not_found("manual_linking_disabled", message))
}
