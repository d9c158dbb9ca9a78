//! GoTrue's errors, in the shapes of both API versions.

use axum::{
    Json,
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use uuid::Uuid;

/// The header that a client asks for an API version with.
pub(super) const API_VERSION: &str = "x-supabase-api-version";
const V2024_01_01: &str = "2024-01-01";

/// What GoTrue refuses a request with.
#[derive(Clone, Debug)]
pub(super) struct GotrueError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// `sb-auth-user-id` and `sb-auth-session-id`, where a refresh knew them.
    user_id: Option<Uuid>,
    session_id: Option<Uuid>,
}

impl GotrueError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), user_id: None, session_id: None }
    }

    pub(super) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn unauthorized(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, message)
    }

    pub(super) fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    pub(super) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// What a real GoTrue has and the mock does not; `endpoint` is `PUT /user with email`.
    pub(super) fn not_implemented(endpoint: &str) -> Self {
        let message = format!("The mock does not have {endpoint}");
        Self::new(StatusCode::NOT_IMPLEMENTED, "not_implemented", message)
    }

    pub(super) fn unprocessable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    pub(super) fn unexpected_failure(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message)
    }

    /// Whose refresh token it was.
    pub(super) fn about(mut self, user_id: Uuid, session_id: Option<Uuid>) -> Self {
        (self.user_id, self.session_id) = (Some(user_id), session_id);
        self
    }

    /// The answer in the version that the request asked for.
    pub(super) fn render(&self, version: ApiVersion) -> Response {
        let mut response = error_response(self.status, self.code, &self.message, version);
        if self.code == "weak_password" {
            self.tell_reasons(&mut response, version);
        }
        name_session(response.headers_mut(), self.user_id, self.session_id);
        response
    }

    /// A weak password has a shape of its own, and no code header in the new API version.
    fn tell_reasons(&self, response: &mut Response, version: ApiVersion) {
        let reasons = json!({ "reasons": ["length"] });
        let mut body = version.body(self.status, self.code, &self.message);
        if let Some(body) = body.as_object_mut() {
            body.insert("weak_password".to_owned(), reasons);
        }
        if version == ApiVersion::V20240101 {
            response.headers_mut().remove("x-sb-error-code");
        }
        *response.body_mut() = Body::from(body.to_string());
    }
}

/// Carried as an extension until the request's API version is at hand.
impl IntoResponse for GotrueError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Any error code in GoTrue's shape.
pub(super) fn error_response(
    status: StatusCode,
    code: &str,
    message: &str,
    version: ApiVersion,
) -> Response {
    let mut response = (status, Json(version.body(status, code, message))).into_response();
    if let Ok(code) = HeaderValue::from_str(code) {
        response.headers_mut().insert("x-sb-error-code", code);
    }
    if version == ApiVersion::V20240101 {
        response.headers_mut().insert(API_VERSION, HeaderValue::from_static(V2024_01_01));
    }
    response
}

/// `sb-auth-user-id` and `sb-auth-session-id`.
pub(super) fn name_session(headers: &mut HeaderMap, user: Option<Uuid>, session: Option<Uuid>) {
    for (name, id) in [("sb-auth-user-id", user), ("sb-auth-session-id", session)] {
        if let Some(Ok(id)) = id.map(|id| HeaderValue::from_str(&id.to_string())) {
            headers.insert(name, id);
        }
    }
}

/// How errors look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ApiVersion {
    Initial,
    V20240101,
}

impl ApiVersion {
    /// The newest version that is not after the date asked for; anything but a date asks for none.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let asked = headers.get(API_VERSION).and_then(|value| value.to_str().ok());
        let asked = asked.filter(|date| {
            date.len() == V2024_01_01.len()
                && humantime::parse_rfc3339(&format!("{date}T00:00:00Z")).is_ok()
        });
        match asked {
            Some(date) if date >= V2024_01_01 => Self::V20240101,
            _ => Self::Initial,
        }
    }

    fn body(self, status: StatusCode, code: &str, message: &str) -> Value {
        match self {
            Self::Initial => json!({ "code": status.as_u16(), "error_code": code, "msg": message }),
            Self::V20240101 => json!({ "code": code, "message": message }),
        }
    }
}
