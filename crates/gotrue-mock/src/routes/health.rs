//! `GET /health`: the server's name and version.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::mock::Mock;

pub(crate) async fn health(State(mock): State<Mock>) -> Json<Value> {
    Json(json!({
        "version": mock.version(),
        "name": "GoTrue",
        "description": "GoTrue is a user registration and authentication API",
    }))
}
