//! `GET /mock/project`: what an application's configuration needs, as the dashboard of a Supabase project shows it.

use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};

use crate::mock::Mock;

pub(crate) async fn project(State(mock): State<Mock>) -> Result<Json<Value>, StatusCode> {
    let keys = mock.project_keys().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(json!({
        "url": mock.url(),
        "anon_key": keys.anon,
        "service_role_key": keys.service_role,
        "jwks_url": mock.jwks_url(),
        "issuer": mock.issuer(),
    })))
}
