//! `/admin/users/{id}/factors`: the second factors of a user.

use axum::{Json, extract::State, http::HeaderMap};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::users::find_user;
use crate::{
    audit_log::AuditAction,
    authentication::require_administrator,
    client_addr::ClientAddr,
    credentials::parse_phone,
    error::GotrueError,
    factor::{Factor, FactorKind},
    mock::Mock,
    path::PathIds,
    request::parse_json_object,
    routes::factors::find_factor,
};

pub(crate) async fn list(
    State(mock): State<Mock>,
    PathIds(id): PathIds<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, GotrueError> {
    require_administrator(&mock, &headers)?;
    let database = mock.database();
    let factors = &find_user(&database, &id)?.factors;
    Ok(Json(factors.iter().map(Factor::to_json).collect()))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FactorUpdate {
    friendly_name: String,
    phone: String,
}

/// Changes the name of a factor, and the number if text messages go to it.
pub(crate) async fn update(
    State(mock): State<Mock>,
    PathIds((id, factor_id)): PathIds<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, GotrueError> {
    let administrator = require_administrator(&mock, &headers)?;
    let mut database = mock.database();
    let user_id = find_user(&database, &id)?.id;
    let factor = find_factor(&mut database, user_id, &factor_id)?;
    let given: FactorUpdate = parse_json_object(&body, "adminUserUpdateFactorParams")?;
    if let FactorKind::Phone { phone } = &mut factor.kind
        && !given.phone.is_empty()
    {
        *phone = parse_phone(&given.phone)?;
    }
    if !given.friendly_name.is_empty() {
        factor.friendly_name = given.friendly_name;
    }
    let body = factor.to_json();
    let kind = factor.kind.name();
    let traits = json!({ "user_id": user_id, "factor_id": factor.id, "factor_type": kind });
    let event = AuditAction::FactorUpdated.with(traits);
    database.audit_actor(&administrator, event, mock.now());
    Ok(Json(body))
}

/// Deletes a factor. Returns it as it was.
pub(crate) async fn delete(
    State(mock): State<Mock>,
    PathIds((id, factor_id)): PathIds<(String, String)>,
    client: ClientAddr,
    headers: HeaderMap,
) -> Result<Json<Value>, GotrueError> {
    require_administrator(&mock, &headers)?;
    let mut database = mock.database();
    let user_id = find_user(&database, &id)?.id;
    let factor = find_factor(&mut database, user_id, &factor_id)?;
    let (factor_id, body) = (factor.id, factor.to_json());
    let traits = json!({ "user_id": user_id, "factor_id": factor_id });
    let event = AuditAction::FactorDeleted.with(traits).with_client(&client);
    database.audit(user_id, event, mock.now());
    database.delete_factor(user_id, factor_id);
    Ok(Json(body))
}
