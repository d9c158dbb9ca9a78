//! GoTrue's error responses, in the shapes of both API versions.

use axum::{
    Json,
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use uuid::Uuid;

/// The request header that asks for an API version, and the response header that confirms it.
const API_VERSION: &str = "x-supabase-api-version";
const V2024_01_01: &str = "2024-01-01";

/// An error response of GoTrue.
#[derive(Clone, Debug)]
pub(crate) struct GotrueError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// The value of the header `sb-auth-user-id`, which GoTrue sends with a refused refresh.
    user_id: Option<Uuid>,
    /// The value of the header `sb-auth-session-id`, which GoTrue sends with a refused refresh.
    session_id: Option<Uuid>,
    /// The value of the header `sb-auth-refresh-token-prefix`, which GoTrue sends although a hook refused the session.
    refresh_token_prefix: Option<Box<HeaderValue>>,
    has_code_header: bool,
    /// The body in the initial API version, if it is an error of PostgreSQL that GoTrue passes on.
    database_error: Option<Box<Value>>,
    /// Why a password is weak, as the member `weak_password` names it.
    weak_password_reasons: Vec<&'static str>,
}

impl GotrueError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            user_id: None,
            session_id: None,
            refresh_token_prefix: None,
            has_code_header: true,
            database_error: None,
            weak_password_reasons: Vec::new(),
        }
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn unauthorized(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, message)
    }

    pub(crate) fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// The error 501 for a request that a real GoTrue supports and the mock does not. `endpoint` is
    /// for example `PUT /user with email`.
    pub(crate) fn not_implemented(endpoint: &str) -> Self {
        let message = format!(
            "The mock does not have {endpoint}. Its documentation lists such endpoints under \"Not in the mock\": docs/ci.md \
             of logout-gateway."
        );
        Self::new(StatusCode::NOT_IMPLEMENTED, "not_implemented", message)
    }

    /// The answer to a body of more than `limit` bytes.
    pub(crate) fn payload_too_large(limit: usize) -> Self {
        let message = format!("Request body too large (max {limit} bytes)");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "request_entity_too_large", message)
    }

    pub(crate) fn unprocessable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// The error for a weak password.
    pub(crate) fn weak_password(message: String, reasons: Vec<&'static str>) -> Self {
        let weak_password_reasons = reasons;
        Self { weak_password_reasons, ..Self::unprocessable("weak_password", message) }
    }

    /// The answer to an error that GoTrue does not expect. Unlike other errors it has no header `x-sb-error-code`.
    pub(crate) fn unexpected() -> Self {
        let message = "Unexpected failure, please check server logs for more information";
        Self {
            has_code_header: false,
            ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message)
        }
    }

    pub(crate) fn unexpected_failure(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message)
    }

    /// The error of a row that breaks a unique constraint. In the initial API version GoTrue passes on the error of
    /// PostgreSQL (recorded: `admin-email-taken-old-api`).
    pub(crate) fn unique_violation(
        message: &str,
        constraint: &str,
        column: &str,
        value: &str,
    ) -> Self {
        let error = json!({
            "code": "23505",
            "message": format!("duplicate key value violates unique constraint \"{constraint}\""),
            "detail": format!("Key ({column})=({value}) already exists."),
        });
        Self { database_error: Some(Box::new(error)), ..Self::unexpected_failure(message) }
    }

    pub(crate) fn too_many_requests(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, message)
    }

    /// A hook's refusal. It has no header `x-sb-error-code` (recorded: `hook-refused`).
    pub(crate) fn of_hook(status: StatusCode, message: &str) -> Self {
        Self::new(status, "unknown", message).without_code()
    }

    /// The same error without the header `x-sb-error-code`.
    pub(crate) fn without_code(self) -> Self {
        Self { has_code_header: false, ..self }
    }

    /// Adds the beginning of the refresh token of a session that a hook refused.
    pub(crate) fn with_refresh_token(mut self, token: &str) -> Self {
        let prefix = token.get(..5).and_then(|prefix| HeaderValue::from_str(prefix).ok());
        self.refresh_token_prefix = prefix.map(Box::new);
        self
    }

    /// Status, code and message, for an error that is told in a redirect.
    pub(crate) fn parts(&self) -> (StatusCode, &'static str, &str) {
        (self.status, self.code, &self.message)
    }

    /// Adds the user and the session of a refused refresh token.
    pub(crate) fn with_session(mut self, user_id: Uuid, session_id: Option<Uuid>) -> Self {
        (self.user_id, self.session_id) = (Some(user_id), session_id);
        self
    }

    /// The response in the API version of the request.
    pub(crate) fn to_response(&self, version: ApiVersion) -> Response {
        let mut response = error_response(self.status, self.code, &self.message, version);
        if self.status.is_server_error() && self.has_code_header && version == ApiVersion::Initial {
            let mut body = version.body(self.status, self.code, &self.message);
            if let Some(members) = body.as_object_mut() {
                members.insert("error_id".to_owned(), json!(error_id()));
            }
            *response.body_mut() = Body::from(body.to_string());
        }
        if let (Some(error), ApiVersion::Initial) = (&self.database_error, version) {
            *response.body_mut() = Body::from(error.to_string());
        }
        if !self.has_code_header {
            response.headers_mut().remove("x-sb-error-code");
        }
        if self.code == "weak_password" {
            self.add_weak_password_reasons(&mut response, version);
        }
        insert_session_headers(response.headers_mut(), self.user_id, self.session_id);
        let prefix = self.refresh_token_prefix.clone();
        response.headers_mut().extend(
            prefix.map(|prefix| (HeaderName::from_static("sb-auth-refresh-token-prefix"), *prefix)),
        );
        response
    }

    /// Adds the member `weak_password` to the body. In the API version 2024-01-01 this error has no
    /// header `x-sb-error-code`.
    fn add_weak_password_reasons(&self, response: &mut Response, version: ApiVersion) {
        let reasons = json!({ "reasons": self.weak_password_reasons });
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

/// The response carries the error as an extension: the server, which knows the API version of the
/// request, replaces the response by that of [`GotrueError::to_response`].
impl IntoResponse for GotrueError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Builds an error response with any code.
pub(crate) fn error_response(
    status: StatusCode,
    code: &str,
    message: &str,
    version: ApiVersion,
) -> Response {
    let mut response = (status, Json(version.body(status, code, message))).into_response();
    if let Ok(code) = HeaderValue::from_str(code) {
        response.headers_mut().insert("x-sb-error-code", code);
    }
    insert_api_version(response.headers_mut(), version);
    response
}

/// Inserts the header that confirms the API version of an error.
pub(crate) fn insert_api_version(headers: &mut HeaderMap, version: ApiVersion) {
    if version == ApiVersion::V20240101 {
        headers.insert(API_VERSION, HeaderValue::from_static(V2024_01_01));
    }
}

/// Inserts the headers `sb-auth-user-id` and `sb-auth-session-id`, as far as the ids are known.
pub(crate) fn insert_session_headers(
    headers: &mut HeaderMap,
    user: Option<Uuid>,
    session: Option<Uuid>,
) {
    for (name, id) in [("sb-auth-user-id", user), ("sb-auth-session-id", session)] {
        if let Some(Ok(id)) = id.map(|id| HeaderValue::from_str(&id.to_string())) {
            headers.insert(name, id);
        }
    }
}

/// The id by which GoTrue's log names a failure.
fn error_id() -> Uuid {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid()
}

/// GoTrue's API version, which decides the shape of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApiVersion {
    Initial,
    V20240101,
}

impl ApiVersion {
    /// Returns the newest version that is not after the requested date, and [`Self::Initial`] if
    /// the request has no valid date.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let requested = headers.get(API_VERSION).and_then(|value| value.to_str().ok());
        let requested = requested.filter(|date| {
            date.len() == V2024_01_01.len()
                && humantime::parse_rfc3339(&format!("{date}T00:00:00Z")).is_ok()
        });
        match requested {
            Some(date) if date >= V2024_01_01 => Self::V20240101,
            _ => Self::Initial,
        }
    }

    pub(crate) fn body(self, status: StatusCode, code: &str, message: &str) -> Value {
        match self {
            Self::Initial => json!({ "code": status.as_u16(), "error_code": code, "msg": message }),
            Self::V20240101 => json!({ "code": code, "message": message }),
        }
    }
}
