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

/// Success of a health check.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct Health {
    #[cfg_attr(test, schema(example = "ok"))]
    status: &'static str,
}

const OK: Health = Health { status: "ok" };

/// Check that the process is running.
#[cfg_attr(test, utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "The process is running.", body = Health, example = json!({"status": "ok"})))))]
pub(in crate::http) async fn healthz() -> Json<Health> {
    Json(OK)
}

/// Check that the gateway can verify tokens, has read the revocation list, and is not stopping.
#[cfg_attr(test, utoipa::path(
    get, path = "/readyz", tag = "health",
    responses(
        (status = 200, description = "No part is missing.", body = Health, example = json!({"status": "ok"})),
        (status = 503, description = "`NOT_READY`: a part is missing since the time in `since`.", body = ErrorEnvelope, example = json!({"error": {
            "code": "NOT_READY", "reason": "key_set", "message": "The project's keys are not known yet.",
            "request_id": "9af1c0c2-1d1f-4a43-9f0e-6f6f0a3b6a52", "since": "2027-01-15T08:00:00Z"}})),
    )
))]
pub(in crate::http) async fn readyz(
    State(app): State<Arc<AppState>>,
) -> Result<Json<Health>, Error> {
    match app.readiness.check().first() {
        None => Ok(Json(OK)),
        Some(&Missing { part, since }) => Err(Error::NotReadySince(part, since)),
    }
}
