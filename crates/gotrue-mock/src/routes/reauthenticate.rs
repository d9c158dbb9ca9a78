//! `GET /reauthenticate`: sends the code by which a user of an old session sets a new password.

use axum::{Json, extract::State, http::HeaderMap};
use serde_json::{Value, json};

use crate::{
    audit_log::AuditAction,
    authentication::Caller,
    database::Database,
    error::GotrueError,
    mailer,
    mock::Mock,
    one_time_tokens::{CodeKind, token_hash},
    rate_limit_checks,
    routes::user::user_not_found,
    user::User,
};

pub(crate) async fn reauthenticate(
    State(mock): State<Mock>,
    headers: HeaderMap,
) -> Result<Json<Value>, GotrueError> {
    let mut database = mock.database();
    let caller = Caller::authenticate(&mock, &database, &headers)?;
    let user = database.user(caller.user_id).ok_or_else(user_not_found)?;
    let (id, phone) = (user.id, user.phone().to_owned());
    if !user.email().is_empty() {
        if user.email_confirmed_at.is_none() {
            let message = "Please verify your email first.";
            return Err(GotrueError::unprocessable("email_not_confirmed", message));
        }
        let sent_at = user.codes.sent_at(CodeKind::Reauthentication);
        rate_limit_checks::count_mail(&mock, &mut database, sent_at)?;
        database.audit(id, AuditAction::UserReauthenticateRequested, mock.now());
        mailer::send_reauthentication(&mock, &mut database, id);
        return Ok(Json(json!({})));
    }
    if phone.is_empty() {
        let message = "Reauthentication requires the user to have an email or a phone number";
        return Err(GotrueError::bad_request("validation_failed", message));
    }
    if user.phone_confirmed_at.is_none() {
        let message = "Please verify your phone first.";
        return Err(GotrueError::unprocessable("phone_not_confirmed", message));
    }
    let kind = CodeKind::Reauthentication;
    let message_id = mailer::send_text_of_kind(&mock, &mut database, id, &phone, kind)?;
    database.audit(id, AuditAction::UserReauthenticateRequested, mock.now());
    Ok(mailer::text_response(message_id))
}

/// Uses up the code that [`reauthenticate`] sent.
pub(crate) fn use_nonce(
    mock: &Mock,
    database: &mut Database,
    user_id: uuid::Uuid,
    nonce: &str,
) -> Result<(), GotrueError> {
    let settings = mock.settings();
    let kind = CodeKind::Reauthentication;
    let is_right = |user: &&mut User| {
        let (address, lifetime) = if user.email().is_empty() {
            (user.phone(), settings.text_code_lifetime)
        } else {
            (user.email(), settings.code_lifetime)
        };
        user.codes.has_column(kind, &token_hash(address, nonce))
            && user.codes.is_fresh(kind, lifetime, mock.now())
    };
    let Some(user) = database.user_mut(user_id).filter(is_right) else {
        let message = "Nonce has expired or is invalid";
        return Err(GotrueError::unprocessable("reauthentication_not_valid", message));
    };
    user.codes.use_up(kind);
    Ok(())
}
