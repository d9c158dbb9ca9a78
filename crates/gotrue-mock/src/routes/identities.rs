//! `DELETE /user/identities/{id}`: unlinks an identity from its user.

use axum::{Json, extract::State, http::HeaderMap};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    audit_log::AuditAction, authentication::Caller, client_addr::ClientAddr, database::Database,
    error::GotrueError, mock::Mock, path::PathIds,
};

/// The user keeps the sessions, and the address if another identity has it.
pub(crate) async fn delete_identity(
    State(mock): State<Mock>,
    PathIds(id): PathIds<String>,
    client: ClientAddr,
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
    database.transaction(|database| unlink(&mock, database, caller.user_id, id, &client))
}

fn unlink(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    id: Uuid,
    client: &ClientAddr,
) -> Result<Json<Value>, GotrueError> {
    let user = database.user(user_id).ok_or_else(GotrueError::unexpected)?;
    if user.identities.len() <= 1 {
        let message = "User must have at least 1 identity after unlinking";
        return Err(GotrueError::unprocessable("single_identity_not_deletable", message));
    }
    let deleted = user.identities.iter().find(|identity| identity.id == id).cloned();
    let deleted = deleted.ok_or_else(|| {
        GotrueError::unprocessable("identity_not_found", "Identity doesn't exist")
    })?;
    let event = AuditAction::IdentityUnlinked.with(deleted.traits()).with_client(client);
    database.audit(user_id, event, mock.now());
    if let Some(user) = database.user_mut(user_id) {
        user.identities.retain(|identity| identity.id != id);
    }
    if deleted.provider == "phone" {
        database.remove_phone(user_id);
    } else if !database.update_email_from_identities(user_id, mock.settings().confirms_emails) {
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
