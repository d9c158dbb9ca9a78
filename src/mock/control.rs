//! The control routes under `/mock`: what a test does to the mock behind GoTrue's back.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Mock, calls::Call, clock::Advance, expiry::Expire, user::timestamp};

pub(super) fn routes() -> Router<Mock> {
    Router::new()
        .route("/reset", post(reset))
        .route("/calls", get(calls))
        .route("/sessions", get(sessions))
        .route("/sessions/{id}", delete(delete_session))
        .route("/sessions/{id}/expire", post(expire_session))
        .route("/users/{id}", delete(delete_user))
        .route("/users/{id}/ban", post(ban_user))
        .route("/keys/rotate", post(rotate_keys))
        .route("/cleanup", post(clean_up))
        .route("/clock", post(advance_clock))
        .route("/faults", post(inject).delete(clear_faults))
}

async fn reset(State(mock): State<Mock>) -> StatusCode {
    mock.reset();
    StatusCode::NO_CONTENT
}

async fn calls(State(mock): State<Mock>) -> Json<Vec<Call>> {
    Json(mock.calls())
}

async fn sessions(State(mock): State<Mock>) -> Json<Value> {
    let state = mock.state();
    let sessions = state.sessions().into_iter().map(|session| {
        let user = state.user(session.user_id);
        json!({
            "id": session.id,
            "user_id": session.user_id,
            "email": user.map(super::user::User::email),
            "banned": user.is_some_and(|user| user.banned),
            "created_at": timestamp(session.created_at),
        })
    });
    Json(sessions.collect())
}

async fn delete_session(State(mock): State<Mock>, Path(id): Path<String>) -> Response {
    done(&id, "session", |id| mock.delete_session(id))
}

async fn delete_user(State(mock): State<Mock>, Path(id): Path<String>) -> Response {
    done(&id, "user", |id| mock.delete_user(id))
}

async fn ban_user(State(mock): State<Mock>, Path(id): Path<String>) -> Response {
    done(&id, "user", |id| mock.ban_user(id))
}

async fn expire_session(State(mock): State<Mock>, Path(id): Path<String>, body: Bytes) -> Response {
    match optional::<Expire>(&body) {
        Ok(Expire { reason }) => done(&id, "session", |id| mock.expire_session(id, reason)),
        Err(error) => refuse(StatusCode::BAD_REQUEST, &format!("not an expiry: {error}")),
    }
}

/// Answers with the number of rows that the clean-up deleted.
async fn clean_up(State(mock): State<Mock>) -> Json<Value> {
    Json(json!({ "refresh_tokens": mock.clean_up() }))
}

#[derive(Default, Deserialize)]
struct Rotation {
    #[serde(default)]
    keep_old: bool,
}

async fn rotate_keys(State(mock): State<Mock>, body: Bytes) -> Response {
    let Rotation { keep_old } = match optional(&body) {
        Ok(rotation) => rotation,
        Err(error) => {
            return refuse(StatusCode::BAD_REQUEST, &format!("not a rotation: {error}"));
        }
    };
    match mock.rotate(keep_old) {
        Ok(()) => Json(mock.keys().jwks()).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// Answers with the new time.
async fn advance_clock(State(mock): State<Mock>, body: Bytes) -> Response {
    let refused = |reason: &dyn std::fmt::Display| {
        refuse(StatusCode::BAD_REQUEST, &format!("cannot advance the clock: {reason}"))
    };
    let advance: Advance = match serde_json::from_slice(&body) {
        Ok(advance) => advance,
        Err(error) => return refused(&error),
    };
    match mock.advance_clock(advance.by) {
        Ok(()) => Json(json!({ "now": timestamp(mock.clock().now()) })).into_response(),
        Err(error) => refused(&error),
    }
}

async fn inject(State(mock): State<Mock>, body: Bytes) -> Response {
    match serde_json::from_slice(&body) {
        Ok(fault) => {
            mock.inject(fault);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => refuse(StatusCode::BAD_REQUEST, &format!("not a fault: {error}")),
    }
}

async fn clear_faults(State(mock): State<Mock>) -> StatusCode {
    mock.clear_faults();
    StatusCode::NO_CONTENT
}

/// A body that may be left out.
fn optional<T: Default + DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    if body.is_empty() { Ok(T::default()) } else { serde_json::from_slice(body) }
}

/// 204 if there was such a row, else 404.
fn done(id: &str, what: &str, act: impl FnOnce(Uuid) -> bool) -> Response {
    if Uuid::try_parse(id).is_ok_and(act) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        refuse(StatusCode::NOT_FOUND, &format!("no such {what}"))
    }
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        http::{Method, Request},
    };
    use tower::ServiceExt;

    use super::*;
    use crate::{
        clock::Clock,
        mock::{Operation, Options},
    };

    #[tokio::test]
    async fn clearing_the_faults_leaves_the_sessions() {
        let address = ([127, 0, 0, 1], 9999).into();
        let mock = Mock::new(Options::default(), address, Clock::system()).unwrap();
        let tokens = mock.sign_in(mock.create_user("a@example.com", "password")).unwrap();
        let call = async |method: Method, body: &'static str| {
            let request = Request::builder().method(method).uri("/faults").body(Body::from(body));
            let routes = routes().with_state(mock.clone());
            routes.oneshot(request.unwrap()).await.unwrap().status()
        };
        let fault = r#"{"operation":"logout","kind":"reset"}"#;
        assert_eq!(call(Method::POST, fault).await, StatusCode::NO_CONTENT);
        assert!(mock.strike(Operation::Logout).is_some());
        assert_eq!(call(Method::DELETE, "").await, StatusCode::NO_CONTENT);
        assert!(mock.strike(Operation::Logout).is_none());
        assert!(mock.session_alive(tokens.session_id));
    }
}
