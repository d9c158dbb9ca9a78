//! `POST /factors/{id}/verify`: a user verifies a second factor, which raises the session to aal2.
//!
//! The session keeps its id and gets a new refresh token. The user's other sessions at aal1 end
//! (recorded: `mfa-verify`).

use axum::{Json, extract::State, http::HeaderMap};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::factors::{authenticate, find_factor, invalid, not_found};
use crate::{
    audit_log::AuditAction,
    authentication::Caller,
    client_addr::ClientAddr,
    database::Database,
    error::GotrueError,
    mock::Mock,
    path::PathIds,
    rate_limits::LimitedRequest,
    request::{bad_json, parse_json_object},
    session_response::SessionTokens,
    user::UserView,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct VerifyRequest {
    challenge_id: Option<String>,
    code: String,
}

pub(crate) async fn verify(
    State(mock): State<Mock>,
    PathIds(id): PathIds<String>,
    client: ClientAddr,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    let (mut database, now) = (mock.database(), mock.now());
    let caller = authenticate(&mock, &database, &headers)?;
    find_factor(&mut database, caller.user_id, &id)?;
    LimitedRequest::FactorVerification.count_in(&mock, &mut database, &headers)?;
    let factor = find_factor(&mut database, caller.user_id, &id)?;
    let request: VerifyRequest = parse_json_object(&body, "VerifyFactorParams")?;
    let challenge_id = request.challenge_id.as_deref().map(parse_challenge_id).transpose()?;
    if request.code.is_empty() {
        return invalid("Code needs to be non-empty");
    }
    let challenge_id = challenge_id.unwrap_or_default();
    factor.check(challenge_id, &request.code, now)?;
    let (factor_id, kind) = (factor.id, factor.kind.name());
    let traits =
        json!({ "factor_id": factor_id, "challenge_id": challenge_id, "factor_type": kind });
    let event = AuditAction::VerificationAttempted.with(traits).with_client(&client);
    database.transaction(|database| {
        database.audit(caller.user_id, event, now);
        accept(&mock, database, &caller, (factor_id, challenge_id))
    })
}

/// Marks the factor as verified, and raises the session.
fn accept(
    mock: &Mock,
    database: &mut Database,
    caller: &Caller,
    (factor_id, challenge_id): (Uuid, Uuid),
) -> Result<Json<Value>, GotrueError> {
    let (user_id, now) = (caller.user_id, mock.now());
    let session_id = caller
        .session_id
        .ok_or_else(|| GotrueError::unexpected_failure("Cannot read SessionId claim as UUID"))?;
    let refresh_token =
        database.rotate_refresh_token(session_id, now).ok_or_else(GotrueError::unexpected)?;
    database.audit(user_id, AuditAction::TokenRevoked, now);
    let factor = database.user_mut(user_id).and_then(|user| user.factor_mut(factor_id));
    let factor = factor.ok_or_else(not_found)?;
    factor.accept(challenge_id, now);
    let kind = factor.kind.clone();
    let (view, method) = (UserView::Stored, kind.authentication_method());
    if let Some(session) = database.session_mut(session_id) {
        session.verify_factor(factor_id, method, now);
    }
    database.delete_low_sessions_of(user_id);
    // GoTrue reads the user for the response before it deletes the unverified factors of this type.
    let tokens = SessionTokens::of(mock, database, session_id, refresh_token, view, method)?;
    if let Some(user) = database.user_mut(user_id) {
        user.factors.retain(|factor| factor.is_verified || factor.kind.name() != kind.name());
    }
    Ok(Json(tokens.body))
}

/// Reads the id of a challenge, which GoTrue reads while it parses the body.
fn parse_challenge_id(text: &str) -> Result<Uuid, GotrueError> {
    Uuid::try_parse(text).map_err(|_| {
        let reason = match text.len() {
            32 | 34 | 36 | 38 | 41 | 45 => "incorrect UUID format".to_owned(),
            length => format!("incorrect UUID length {length}"),
        };
        bad_json(&format!("uuid: {reason} in string {text:?}"))
    })
}
