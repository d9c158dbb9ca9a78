//! Every error that a client can see: each has one status, code, reason and fixed text.
//!
//! 1. No value of a request, no upstream text and no version ever reaches a response.
//! 2. The envelope has the request id, which handlers do not know: an error travels to the middleware as a
//!    response extension, and `http::middleware::error_envelope` writes the envelope.
//! 3. Only `mappings` converts the errors of other modules into these errors.

mod mappings;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    csrf::origin::CrossSiteError,
    gotrue::RetryAfter,
    outcome::Reason,
    readiness::Part,
    session::{
        cookies::OtherProject,
        token::{ClaimMismatch, TokenError},
    },
};

/// An error, with the details that a client may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// The query's `scope` is unknown or given twice.
    UnsupportedScope,
    /// The request has a header twice that may occur only once.
    DuplicateHeader,
    /// The request could not be read to its end.
    MalformedRequest,
    /// The request has no credential.
    CredentialMissing,
    /// The request has no credential of this project, but a session cookie of another project.
    CredentialOfOtherProject(Box<OtherProject>),
    /// A Bearer token that is not of this project, beside a session cookie of another one.
    BearerBesideOtherProject(Box<OtherProject>),
    /// The credential is not genuine: its signature, a claim or its form.
    CredentialInvalid(TokenError),
    /// The token is genuine, but the configuration does not accept its issuer or audience.
    ClaimNotAccepted(Box<ClaimMismatch>),
    /// The access token has expired and nothing can refresh it.
    CredentialExpired,
    /// GoTrue does not know the session.
    SessionNotFound,
    /// The gateway's revocation list has the session: it was logged out.
    SessionRevoked,
    /// The request has no CSRF token, or no CSRF cookie.
    CsrfMissing,
    /// The CSRF token does not belong to this session.
    CsrfInvalid,
    /// A page of another site sent the request.
    CsrfCrossSite(Option<Box<CrossSiteError>>),
    /// The path does not exist.
    NotFound,
    /// The path does not allow the method.
    MethodNotAllowed,
    /// The body has more than 8 KiB.
    PayloadTooLarge,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// The admin listener does not answer to the host that the request names.
    MisdirectedRequest,
    /// GoTrue answered 429.
    RateLimited {
        /// GoTrue's `Retry-After`, passed on unchanged.
        retry_after: Option<RetryAfter>,
    },
    /// GoTrue could not be reached.
    AuthServiceUnavailable,
    /// GoTrue did not answer in time.
    AuthServiceTimeout,
    /// GoTrue failed, or gave an answer that GoTrue itself never gives.
    AuthServiceFailed,
    /// GoTrue refuses a banned user, whose session stays active.
    UserBanned,
    /// The gateway has a bug, such as a panic.
    Internal,
    /// The requests in flight hold all the places that this request might take.
    Overloaded,
    /// A part of the gateway that the request needs is missing.
    NotReady(Part),
    /// A part of the gateway is missing, in the response of `/readyz`: with the time since when it is
    /// missing.
    NotReadySince(Part, Timestamp),
}

/// `Retry-After` of [`Error::Overloaded`].
static ONE_SECOND: HeaderValue = HeaderValue::from_static("1");

/// The parts of an error response.
struct ErrorBody<'e> {
    status: StatusCode,
    code: &'static str,
    /// The envelope leaves the reason out if it equals the code.
    reason: Reason,
    message: &'static str,
    retry_after: Option<&'e HeaderValue>,
    since: Option<Timestamp>,
}

impl ErrorBody<'_> {
    fn new(status: StatusCode, code: &'static str, reason: Reason, message: &'static str) -> Self {
        Self { status, code, reason, message, retry_after: None, since: None }
    }

    /// An error whose code is its only reason.
    fn plain(status: StatusCode, reason: Reason, message: &'static str) -> Self {
        Self::new(status, reason.as_str(), reason, message)
    }

    fn bad_request(reason: Reason, message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", reason, message)
    }

    fn not_authenticated(reason: Reason, message: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "NOT_AUTHENTICATED", reason, message)
    }

    fn csrf_failed(reason: Reason, message: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "CSRF_FAILED", reason, message)
    }

    fn logout_failed(reason: Reason, message: &'static str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "LOGOUT_FAILED", reason, message)
    }

    fn not_ready(part: Part) -> Self {
        let message = match part {
            Part::KeySet => "The project's keys are not known yet.",
            Part::AuthService => "The authentication service does not answer.",
            Part::Store => "The store of ended sessions does not answer.",
            Part::ShuttingDown => "The gateway is shutting down.",
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "NOT_READY", part.reason(), message)
    }
}

impl Error {
    #[rustfmt::skip] // A table with one line for each error.
    fn body(&self) -> ErrorBody<'_> {
        use ErrorBody as B;
        use StatusCode as S;
        match self {
            Self::UnsupportedScope => B::bad_request(Reason::UnsupportedScope, "The scope must be local, others or global, given once."),
            Self::DuplicateHeader => B::bad_request(Reason::DuplicateHeader, "A header was sent twice."),
            Self::MalformedRequest => B::bad_request(Reason::MalformedRequest, "The request could not be read."),
            Self::CredentialMissing | Self::CredentialOfOtherProject(_) => B::not_authenticated(Reason::Missing, "No session was given."),
            Self::CredentialInvalid(_) | Self::ClaimNotAccepted(_) | Self::BearerBesideOtherProject(_) => B::not_authenticated(Reason::Invalid, "The session is not valid."),
            Self::CredentialExpired => B::not_authenticated(Reason::Expired, "The session has expired."),
            Self::SessionNotFound => B::not_authenticated(Reason::NotFound, "The session no longer exists."),
            Self::SessionRevoked => B::not_authenticated(Reason::Revoked, "The session was logged out."),
            Self::CsrfMissing => B::csrf_failed(Reason::Missing, "The CSRF token is missing."),
            Self::CsrfInvalid => B::csrf_failed(Reason::Invalid, "The CSRF token is not valid."),
            Self::CsrfCrossSite(_) => B::csrf_failed(Reason::CrossSite, "The request comes from another site."),
            Self::NotFound => B::plain(S::NOT_FOUND, Reason::UnknownPath, "There is nothing at this path."),
            Self::MethodNotAllowed => B::plain(S::METHOD_NOT_ALLOWED, Reason::MethodNotAllowed, "This path does not take this method."),
            Self::PayloadTooLarge => B::plain(S::PAYLOAD_TOO_LARGE, Reason::PayloadTooLarge, "The body is larger than 8 KiB."),
            Self::UnsupportedMediaType => B::plain(S::UNSUPPORTED_MEDIA_TYPE, Reason::UnsupportedMediaType, "A body must be application/json."),
            Self::MisdirectedRequest => B::plain(S::MISDIRECTED_REQUEST, Reason::MisdirectedRequest, "This listener does not answer to this host name."),
            Self::RateLimited { retry_after } => B {
                retry_after: retry_after.as_ref().map(RetryAfter::as_header),
                ..B::plain(S::TOO_MANY_REQUESTS, Reason::RateLimited, "The authentication service asks to try again later.")
            },
            Self::AuthServiceUnavailable => B::logout_failed(Reason::AuthServiceUnavailable, "The authentication service cannot be reached."),
            Self::AuthServiceTimeout => B::logout_failed(Reason::AuthServiceTimeout, "The authentication service did not answer in time."),
            Self::AuthServiceFailed => B::logout_failed(Reason::AuthServiceError, "The authentication service failed."),
            Self::UserBanned => B::logout_failed(Reason::UserBanned, "The user is banned, the session could not be ended."),
            Self::Internal => B::plain(S::INTERNAL_SERVER_ERROR, Reason::Internal, "Something went wrong."),
            Self::Overloaded => B {
                retry_after: Some(&ONE_SECOND),
                ..B::plain(S::SERVICE_UNAVAILABLE, Reason::Overloaded, "Too many requests at once.")
            },
            Self::NotReady(part) => B::not_ready(*part),
            Self::NotReadySince(part, since) => B { since: Some(*since), ..B::not_ready(*part) },
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.body().status
    }

    pub(crate) fn code(&self) -> &'static str {
        self.body().code
    }

    /// The reason for logs and metrics: the envelope's `reason`, or its `code` if the envelope has no reason.
    pub(crate) fn reason(&self) -> Reason {
        self.body().reason
    }

    pub(crate) fn message(&self) -> &'static str {
        self.body().message
    }

    /// The cause in the audit line: what an operator needs to know beyond the reason.
    pub(crate) fn cause(&self) -> Option<String> {
        match self {
            Self::CredentialInvalid(error) => Some(error.to_string()),
            Self::CredentialOfOtherProject(other) => Some(other.to_string()),
            Self::BearerBesideOtherProject(other) => {
                Some(format!("the Bearer token is not of this project; {other}"))
            }
            Self::ClaimNotAccepted(mismatch) => Some(mismatch.to_string()),
            Self::CsrfCrossSite(Some(origins)) => Some(origins.to_string()),
            _ => None,
        }
    }

    /// The body of the response to the request with this id.
    pub(crate) fn envelope(&self, request_id: &str) -> ErrorEnvelope {
        let ErrorBody { code, reason, message, since, .. } = self.body();
        let since = since.map(|since| since.to_string());
        let reason = Some(reason.as_str()).filter(|reason| *reason != code);
        let request_id = request_id.to_owned();
        ErrorEnvelope { error: Details { code, reason, message, request_id, since } }
    }
}

/// The body of every error.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = Error, example = json!({"error": {
    "code": "NOT_AUTHENTICATED", "reason": "expired", "message": "The session has expired.",
    "request_id": "9af1c0c2-1d1f-4a43-9f0e-6f6f0a3b6a52"}})))]
pub(crate) struct ErrorEnvelope {
    error: Details,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = ErrorDetails))]
struct Details {
    /// The kind of error, for programs.
    #[cfg_attr(test, schema(example = "NOT_AUTHENTICATED"))]
    code: &'static str,
    /// The cause of the error, for programs; absent if the code has only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(example = "expired"))]
    reason: Option<&'static str>,
    /// A fixed text, for people.
    #[cfg_attr(test, schema(example = "The session has expired."))]
    message: &'static str,
    /// The `X-Request-Id` of this response.
    #[cfg_attr(test, schema(example = "9af1c0c2-1d1f-4a43-9f0e-6f6f0a3b6a52"))]
    request_id: String,
    /// At `/readyz` only: the time when the part became unavailable, as in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(example = "2027-01-15T08:00:00Z"))]
    since: Option<String>,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let ErrorBody { status, retry_after, .. } = self.body();
        let mut response = status.into_response();
        let headers = response.headers_mut();
        headers.extend(retry_after.map(|value| (header::RETRY_AFTER, value.clone())));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}
