//! GoTrue's error responses, in the shapes of both API versions.

mod api_version;

pub(crate) use api_version::{ApiVersion, insert_api_version};

use axum::{
    Json,
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use uuid::Uuid;

/// The message of every error that GoTrue does not expect.
const UNEXPECTED: &str = "Unexpected failure, please check server logs for more information";

/// An error response of GoTrue.
#[derive(Clone, Debug)]
pub(crate) struct GotrueError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Headers beside those of every error: those of the session that GoTrue refuses to refresh.
    headers: Option<Box<HeaderMap>>,
    has_code_header: bool,
    /// The body in the initial API version, if it is an error of PostgreSQL that GoTrue passes on.
    database_error: Option<Box<Value>>,
    /// Whether the transaction that this error ends keeps its changes.
    commits: bool,
    /// Why a password is weak, as the member `weak_password` names it.
    weak_password_reasons: Vec<&'static str>,
}

impl GotrueError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            headers: None,
            has_code_header: true,
            database_error: None,
            commits: false,
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
    /// for example `POST /admin/users with aud`.
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
        Self::unexpected_failure(UNEXPECTED).without_code()
    }

    /// The answer to a request at which GoTrue panics.
    pub(crate) fn panicked() -> Self {
        Self::unexpected_failure("Internal Server Error").without_code()
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
        let is_internal = status == StatusCode::INTERNAL_SERVER_ERROR;
        let code = if is_internal { "unexpected_failure" } else { "unknown" };
        Self::new(status, code, message).without_code()
    }

    /// The same error without the header `x-sb-error-code`.
    pub(crate) fn without_code(self) -> Self {
        Self { has_code_header: false, ..self }
    }

    /// The same error for GoTrue's `CommitWithError`: the transaction that it ends keeps its changes.
    pub(crate) fn with_commit(self) -> Self {
        Self { commits: true, ..self }
    }

    /// Whether the transaction that this error ends keeps its changes.
    pub(crate) fn commits(&self) -> bool {
        self.commits
    }

    /// Adds headers.
    pub(crate) fn with_headers(
        mut self,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    ) -> Self {
        self.headers.get_or_insert_default().extend(headers);
        self
    }

    /// Adds the beginning of the refresh token of a session that a hook refused.
    pub(crate) fn with_refresh_token(mut self, token: &str) -> Self {
        insert_refresh_token_prefix(self.headers.get_or_insert_default(), token);
        self
    }

    /// This error with the headers of another.
    pub(crate) fn with_headers_of(self, other: Self) -> Self {
        Self { headers: other.headers, ..self }
    }

    /// The headers of the session that this error is about.
    pub(crate) fn session_headers(&self) -> HeaderMap {
        self.headers.as_deref().cloned().unwrap_or_default()
    }

    /// The same error without the headers of a session, for a session that the client does not get anyway.
    pub(crate) fn without_session(self) -> Self {
        Self { headers: None, ..self }
    }

    /// Status, code and message, for an error that a redirect carries.
    pub(crate) fn parts(&self) -> (StatusCode, &'static str, &str) {
        (self.status, self.code, &self.message)
    }

    /// The code that GoTrue's error has itself: none in the error of a hook, to which only a response adds a code.
    pub(crate) fn own_code(&self) -> &'static str {
        if self.has_code_header { self.code } else { "" }
    }

    /// Adds the user and the session of a refused refresh token.
    pub(crate) fn with_session(mut self, user_id: Uuid, session_id: Option<Uuid>) -> Self {
        let headers = self.headers.get_or_insert_default();
        insert_session_headers(headers, Some(user_id), session_id);
        self
    }

    /// The response in the API version of the request.
    pub(crate) fn to_response(&self, version: ApiVersion) -> Response {
        let mut response = error_response(self.status, self.code, &self.message, version);
        // GoTrue's `HTTPError` has an id, but an error that GoTrue does not expect is none.
        let has_id = self.status.is_server_error() && self.message != UNEXPECTED;
        if has_id && version == ApiVersion::Initial {
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
        response.headers_mut().extend(self.session_headers());
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

/// Inserts the header with the beginning of a session's refresh token.
pub(crate) fn insert_refresh_token_prefix(headers: &mut HeaderMap, token: &str) {
    if let Some(Ok(prefix)) = token.get(..5).map(HeaderValue::from_str) {
        headers.insert("sb-auth-refresh-token-prefix", prefix);
    }
}

/// The id by which GoTrue's log names a failure.
fn error_id() -> Uuid {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid()
}
