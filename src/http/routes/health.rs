//! Health checks: `/healthz` shows that the process answers, `/readyz` whether it has all the parts that its
//! work needs.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    http::{
        error::{Error, ErrorEnvelope},
        state::AppState,
    },
    readiness::Missing,
};

/// `{"status":"ok"}`
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    #[schema(example = "ok")]
    status: &'static str,
}

const OK: Health = Health { status: "ok" };

/// The process is running.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = Health)))]
pub(in crate::http) async fn healthz() -> Json<Health> {
    Json(OK)
}

/// The gateway can verify tokens, has read the revocation list, and is not stopping.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses((status = 200, body = Health), (status = 503, description = "A part is missing: see `reason` and `since`.", body = ErrorEnvelope))
)]
pub(in crate::http) async fn readyz(
    State(app): State<Arc<AppState>>,
) -> Result<Json<Health>, Error> {
    match app.readiness.check().first() {
        None => Ok(Json(OK)),
        Some(&Missing { part, since }) => Err(Error::NotReadySince(part, since)),
    }
}
