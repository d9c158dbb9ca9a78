//! `GET /.well-known/jwks.json`: the public key set (RFC 7517).

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

use crate::mock::Mock;

pub(crate) async fn jwks(State(mock): State<Mock>) -> Response {
    let cache = HeaderValue::from_static("public, max-age=600");
    ([(header::CACHE_CONTROL, cache)], Json(mock.keys().jwks())).into_response()
}
