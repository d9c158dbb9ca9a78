//! Health checks: `/healthz` shows that the process answers, `/readyz` whether it has all the parts that its
//! work needs.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;

#[cfg(test)]
use crate::http::error::ErrorEnvelope;
use crate::{
    http::{error::Error, state::AppState},
    readiness::Missing,
};

/// `{"status":"ok"}`
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct Health {
    #[cfg_attr(test, schema(example = "ok"))]
    status: &'static str,
}

const OK: Health = Health { status: "ok" };

/// The process is running.
#[cfg_attr(test, utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = Health))))]
pub(in crate::http) async fn healthz() -> Json<Health> {
    Json(OK)
}

/// The gateway can verify tokens, has read the revocation list, and is not stopping.
#[cfg_attr(test, utoipa::path(
    get, path = "/readyz", tag = "health",
    responses((status = 200, body = Health), (status = 503, description = "A part is missing: see `reason` and `since`.", body = ErrorEnvelope))
))]
pub(in crate::http) async fn readyz(
    State(app): State<Arc<AppState>>,
) -> Result<Json<Health>, Error> {
    match app.readiness.check().first() {
        None => Ok(Json(OK)),
        Some(&Missing { part, since }) => Err(Error::NotReadySince(part, since)),
    }
}
