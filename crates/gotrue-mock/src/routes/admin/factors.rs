//! `/admin/users/{id}/factors`: the second factors of a user.

use axum::{Json, extract::State, http::HeaderMap};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::users::find_user;
use crate::{
    authentication::require_administrator,
    credentials::parse_phone,
    database::Database,
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
    require_administrator(&mock, &headers)?;
    let mut database = mock.database();
    let factor = find_factor_of(&mut database, &id, &factor_id)?;
    let given: FactorUpdate = parse_json_object(&body, "adminUserUpdateFactorParams")?;
    if let FactorKind::Phone { phone } = &mut factor.kind
        && !given.phone.is_empty()
    {
        *phone = parse_phone(&given.phone)?;
    }
    if !given.friendly_name.is_empty() {
        factor.friendly_name = given.friendly_name;
    }
    Ok(Json(factor.to_json()))
}

/// Deletes a factor. Returns it as it was.
pub(crate) async fn delete(
    State(mock): State<Mock>,
    PathIds((id, factor_id)): PathIds<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Value>, GotrueError> {
    require_administrator(&mock, &headers)?;
    let mut database = mock.database();
    let factor = find_factor_of(&mut database, &id, &factor_id)?;
    let (factor_id, body) = (factor.id, factor.to_json());
    let user_id = find_user(&database, &id)?.id;
    database.delete_factor(user_id, factor_id);
    Ok(Json(body))
}

/// The factor of the path.
fn find_factor_of<'d>(
    database: &'d mut Database,
    id: &str,
    factor_id: &str,
) -> Result<&'d mut Factor, GotrueError> {
    let user_id: Uuid = find_user(database, id)?.id;
    find_factor(database, user_id, factor_id)
}
