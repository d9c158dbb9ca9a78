//! The documents that GoTrue publishes without authentication: `GET /.well-known/jwks.json`, the public key set
//! (RFC 7517), and `GET /.well-known/openid-configuration`, the description of GoTrue's OAuth server.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;

use crate::mock::Mock;

pub(crate) async fn jwks(State(mock): State<Mock>) -> Response {
    cacheable(mock.keys().jwks())
}

/// GoTrue lists these algorithms whatever algorithm signs its tokens, and the endpoints of its OAuth server even
/// if that server is off. The mock does the same.
pub(crate) async fn openid_configuration(State(mock): State<Mock>) -> Response {
    let issuer = mock.issuer();
    cacheable(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth/authorize"),
        "token_endpoint": format!("{issuer}/oauth/token"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "userinfo_endpoint": format!("{issuer}/oauth/userinfo"),
        "scopes_supported": ["openid", "profile", "email", "phone", "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "HS256", "ES256"],
        "token_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "none"],
        "claims_supported": [
            "sub", "aud", "iss", "exp", "iat", "auth_time", "nonce", "email", "email_verified",
            "phone_number", "phone_number_verified", "name", "picture", "preferred_username",
            "updated_at",
        ],
        "code_challenge_methods_supported": ["S256", "plain"],
    }))
}

/// A response that caches may keep for ten minutes, like GoTrue's.
fn cacheable(document: impl Serialize) -> Response {
    let cache = HeaderValue::from_static("public, max-age=600");
    ([(header::CACHE_CONTROL, cache)], Json(document)).into_response()
}
