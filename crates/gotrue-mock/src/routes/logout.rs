//! `POST /logout`: ends sessions by scope.
//!
//! 1. A logout without a scope is `global` and ends every session of the user (recorded:
//!    `logout-no-scope`).
//! 2. A token that names no session ends every session of the user, whatever the scope (recorded:
//!    `logout-local-without-session-id`).

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
};

use crate::{
    audit_log::AuditAction, authentication::Caller, error::GotrueError, mock::Mock,
    request::query_parameter,
};

pub(crate) async fn logout(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<StatusCode, GotrueError> {
    let mut database = mock.database();
    let Caller { user_id, session_id, .. } = Caller::authenticate(&mock, &database, &headers)?;
    let scope = query_parameter(query.as_deref(), "scope");
    if !matches!(&*scope, "" | "global" | "local" | "others") {
        let message = format!("Unsupported logout scope {scope:?}");
        return Err(GotrueError::bad_request("validation_failed", message));
    }
    database.audit(user_id, AuditAction::Logout, mock.now());
    match (&*scope, session_id) {
        ("local", Some(own)) => drop(database.delete_session(own)),
        ("others", Some(own)) => database.delete_sessions_of(user_id, Some(own)),
        _ => database.delete_sessions_of(user_id, None),
    }
    Ok(StatusCode::NO_CONTENT)
}
