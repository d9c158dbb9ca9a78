//! Every refusal and failure a client can see: one status, code, reason and fixed text each.
//!
//! 1. No value of a request, no upstream text and no version ever reaches a response.
//! 2. The envelope carries the request id, which the handlers of errors do not know: an error travels to the
//!    middleware as a response extension, and `http::middleware::error_envelope` writes it once.
//! 3. Every error of another module becomes one of these here, and nowhere else.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{authentication::IntrospectionError, places::NoPlaceError};
use crate::{
    csrf::CsrfError,
    gotrue::Refusal,
    readiness::Part,
    session::{AuthenticationError, token::TokenError},
};

/// What went wrong, as far as a client may know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The query's `scope` is unknown or given twice.
    UnsupportedScope,
    /// Two headers of one name where one is expected.
    DuplicateHeader,
    /// The request could not be read to its end.
    MalformedRequest,
    /// No credential.
    CredentialMissing,
    /// The credential is not genuine.
    CredentialInvalid(TokenError),
    /// The access token has expired and nothing can refresh it.
    CredentialExpired,
    /// GoTrue does not know the session.
    SessionNotFound,
    /// The session was logged out here.
    SessionRevoked,
    /// No CSRF token, or no CSRF cookie.
    CsrfMissing,
    /// The CSRF token is not this session's.
    CsrfInvalid,
    /// The request comes from a foreign page.
    CsrfCrossSite,
    /// No such path.
    NotFound,
    /// No such method at this path.
    MethodNotAllowed,
    /// The body is over 8 KiB.
    PayloadTooLarge,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// The admin listener does not answer to the host that the request names.
    MisdirectedRequest,
    /// GoTrue's own limit, with its `Retry-After`.
    RateLimited {
        /// Seconds or an HTTP date, as GoTrue sent it.
        retry_after: Option<HeaderValue>,
    },
    /// GoTrue could not be reached.
    AuthServiceUnavailable,
    /// GoTrue did not answer in time.
    AuthServiceTimeout,
    /// GoTrue answered what it never should.
    AuthServiceError,
    /// GoTrue refuses a banned user, whose session lives on.
    UserBanned,
    /// A bug of ours.
    Internal,
    /// More requests at once than the gateway takes on.
    Overloaded,
    /// A part that is needed to judge the request is not there.
    NotReady(Part),
    /// The same to whoever asks about the gateway itself, and since when: seconds since the Unix epoch.
    NotReadySince(Part, Timestamp),
}

/// What a client reads of an [`Error`].
struct Face(StatusCode, &'static str, Option<&'static str>, &'static str);

impl Error {
    #[rustfmt::skip] // A table, a line for each error.
    fn face(&self) -> Face {
        use StatusCode as S;
        match self {
            Self::UnsupportedScope => Face(S::BAD_REQUEST, "BAD_REQUEST", Some("unsupported_scope"), "The scope must be local, others or global, given once."),
            Self::DuplicateHeader => Face(S::BAD_REQUEST, "BAD_REQUEST", Some("duplicate_header"), "A header was sent twice."),
            Self::MalformedRequest => Face(S::BAD_REQUEST, "BAD_REQUEST", Some("malformed_request"), "The request could not be read."),
            Self::CredentialMissing => Face(S::UNAUTHORIZED, "NOT_AUTHENTICATED", Some("missing"), "No session was given."),
            Self::CredentialInvalid(_) => Face(S::UNAUTHORIZED, "NOT_AUTHENTICATED", Some("invalid"), "The session is not valid."),
            Self::CredentialExpired => Face(S::UNAUTHORIZED, "NOT_AUTHENTICATED", Some("expired"), "The session has expired."),
            Self::SessionNotFound => Face(S::UNAUTHORIZED, "NOT_AUTHENTICATED", Some("not_found"), "The session no longer exists."),
            Self::SessionRevoked => Face(S::UNAUTHORIZED, "NOT_AUTHENTICATED", Some("revoked"), "The session was logged out."),
            Self::CsrfMissing => Face(S::FORBIDDEN, "CSRF_FAILED", Some("missing"), "The CSRF token is missing."),
            Self::CsrfInvalid => Face(S::FORBIDDEN, "CSRF_FAILED", Some("invalid"), "The CSRF token is not valid."),
            Self::CsrfCrossSite => Face(S::FORBIDDEN, "CSRF_FAILED", Some("cross_site"), "The request comes from another site."),
            Self::NotFound => Face(S::NOT_FOUND, "NOT_FOUND", None, "There is nothing at this path."),
            Self::MethodNotAllowed => Face(S::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", None, "This path does not take this method."),
            Self::PayloadTooLarge => Face(S::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", None, "The body is larger than 8 KiB."),
            Self::UnsupportedMediaType => Face(S::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", None, "A body must be application/json."),
            Self::MisdirectedRequest => Face(S::MISDIRECTED_REQUEST, "MISDIRECTED_REQUEST", None, "This listener does not answer to this host name."),
            Self::RateLimited { .. } => Face(S::TOO_MANY_REQUESTS, "RATE_LIMITED", None, "The authentication service asks to try again later."),
            Self::AuthServiceUnavailable => Face(S::INTERNAL_SERVER_ERROR, "LOGOUT_FAILED", Some("auth_service_unavailable"), "The authentication service cannot be reached."),
            Self::AuthServiceTimeout => Face(S::INTERNAL_SERVER_ERROR, "LOGOUT_FAILED", Some("auth_service_timeout"), "The authentication service did not answer in time."),
            Self::AuthServiceError => Face(S::INTERNAL_SERVER_ERROR, "LOGOUT_FAILED", Some("auth_service_error"), "The authentication service failed."),
            Self::UserBanned => Face(S::INTERNAL_SERVER_ERROR, "LOGOUT_FAILED", Some("user_banned"), "The user is banned, the session could not be ended."),
            Self::Internal => Face(S::INTERNAL_SERVER_ERROR, "INTERNAL", None, "Something went wrong."),
            Self::Overloaded => Face(S::SERVICE_UNAVAILABLE, "OVERLOADED", None, "Too many requests at once."),
            Self::NotReady(Part::KeySet) => Face(S::SERVICE_UNAVAILABLE, "NOT_READY", Some(Part::KeySet.as_str()), "The project's keys are not known yet."),
            Self::NotReady(Part::AuthService) => Face(S::SERVICE_UNAVAILABLE, "NOT_READY", Some(Part::AuthService.as_str()), "The authentication service does not answer."),
            Self::NotReady(Part::Store) => Face(S::SERVICE_UNAVAILABLE, "NOT_READY", Some(Part::Store.as_str()), "The store of ended sessions does not answer."),
            Self::NotReady(Part::ShuttingDown) => Face(S::SERVICE_UNAVAILABLE, "NOT_READY", Some(Part::ShuttingDown.as_str()), "The gateway is shutting down."),
            Self::NotReadySince(part, _) => Self::NotReady(*part).face(),
        }
    }

    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.face().0
    }

    /// The envelope's `code`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.face().1
    }

    /// The word for logs: the reason, or the code where there is none.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        let Face(_, code, reason, _) = self.face();
        reason.unwrap_or(code)
    }

    /// The envelope's `message`.
    #[must_use]
    pub fn message(&self) -> &'static str {
        self.face().3
    }

    /// The body for this request.
    #[must_use]
    pub fn envelope(&self, request_id: &str) -> Envelope {
        let Face(_, code, reason, message) = self.face();
        let since = match self {
            Self::NotReadySince(_, since) => Some(since.to_string()),
            _ => None,
        };
        let request_id = request_id.to_owned();
        Envelope { error: Details { code, reason, message, request_id, since } }
    }
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct Envelope {
    error: Details,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ErrorDetails)]
struct Details {
    /// What kind of error, for programs.
    #[schema(example = "NOT_AUTHENTICATED")]
    code: &'static str,
    /// Which of its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "expired")]
    reason: Option<&'static str>,
    /// A fixed text, for people.
    #[schema(example = "The session has expired.")]
    message: &'static str,
    /// The `X-Request-Id` of this response.
    #[schema(example = "9af1c0c2-1d1f-4a43-9f0e-6f6f0a3b6a52")]
    request_id: String,
    /// On `readyz` alone: since when the part is missing, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2027-01-15T08:00:00Z")]
    since: Option<String>,
}

impl From<CsrfError> for Error {
    fn from(fault: CsrfError) -> Self {
        match fault {
            CsrfError::Missing => Self::CsrfMissing,
            CsrfError::Invalid => Self::CsrfInvalid,
            CsrfError::CrossSite => Self::CsrfCrossSite,
        }
    }
}

impl From<AuthenticationError> for Error {
    fn from(none: AuthenticationError) -> Self {
        match none {
            AuthenticationError::Missing => Self::CredentialMissing,
            AuthenticationError::Invalid(fault) => Self::CredentialInvalid(fault),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::SessionNotFound | Refusal::UserNotFound => Self::SessionNotFound,
            Refusal::UserBanned => Self::UserBanned,
            Refusal::RateLimited { retry_after } => Self::RateLimited { retry_after },
            Refusal::Unavailable { .. } | Refusal::NoAnswer => Self::AuthServiceUnavailable,
            Refusal::GatewayTimeout | Refusal::Timeout => Self::AuthServiceTimeout,
            Refusal::RefreshTokenRefused => Self::CredentialExpired,
            Refusal::BadJwt | Refusal::Failed | Refusal::Unexpected => Self::AuthServiceError,
        }
    }
}

impl From<NoPlaceError> for Error {
    fn from(NoPlaceError: NoPlaceError) -> Self {
        Self::Overloaded
    }
}

impl From<IntrospectionError> for Error {
    fn from(error: IntrospectionError) -> Self {
        match error {
            IntrospectionError::Overloaded => Self::Overloaded,
            IntrospectionError::Refused(refusal) => refusal.into(),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        let headers = response.headers_mut();
        match &self {
            Self::RateLimited { retry_after: Some(value) } => {
                headers.insert(header::RETRY_AFTER, value.clone());
            }
            Self::Overloaded => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            error if error.status() == StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response.extensions_mut().insert(self);
        response
    }
}
