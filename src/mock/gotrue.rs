//! GoTrue's endpoints under `/auth/v1`, answering as the recordings do.

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde_json::{Value, json};

use super::{Mock, access_token::Caller, error::GotrueError, grants, user_update};

pub(super) fn routes() -> Router<Mock> {
    Router::new()
        .route("/signup", post(grants::signup))
        .route("/token", post(grants::token))
        .route("/logout", post(logout))
        .route("/user", get(user).put(user_update::update_user))
        .route("/admin/users/{id}", put(user_update::update_user_as_administrator))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/health", get(health))
}

/// `logout-no-scope`: without a scope every device is signed out. `logout-local-without-session-id`:
/// so it is by a token that names no session, whatever the scope.
async fn logout(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<StatusCode, GotrueError> {
    let mut state = mock.state();
    let Caller { user_id, session_id } = Caller::authenticate(&mock, &state, &headers)?;
    let scope = parameter(query.as_deref(), "scope");
    match (scope.as_str(), session_id) {
        ("local", Some(this)) => drop(state.end_session(this)),
        ("others", Some(this)) => state.end_sessions_of(user_id, Some(this)),
        ("" | "global" | "local" | "others", _) => state.end_sessions_of(user_id, None),
        _ => {
            let message = format!("Unsupported logout scope {scope:?}");
            return Err(GotrueError::bad_request("validation_failed", message));
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn user(State(mock): State<Mock>, headers: HeaderMap) -> Result<Json<Value>, GotrueError> {
    let state = mock.state();
    let caller = Caller::authenticate(&mock, &state, &headers)?;
    let user = state.user(caller.user_id);
    Ok(Json(user.map_or(Value::Null, super::user::User::to_json)))
}

async fn jwks(State(mock): State<Mock>) -> Response {
    let cache = HeaderValue::from_static("public, max-age=600");
    ([(header::CACHE_CONTROL, cache)], Json(mock.keys().jwks())).into_response()
}

async fn health(State(mock): State<Mock>) -> Json<Value> {
    Json(json!({
        "version": mock.version(),
        "name": "GoTrue",
        "description": "GoTrue is a user registration and authentication API",
    }))
}

/// The first value of a query parameter, empty if there is none.
pub(super) fn parameter(query: Option<&str>, name: &str) -> String {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// What Go's router answers to a path it does not know.
pub(super) async fn not_found() -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (StatusCode::NOT_FOUND, headers, "404 page not found\n").into_response()
}
