//! Gives every error response the contract's JSON envelope with the request's id, and counts the error.

use axum::{
    Json,
    body::{Body, HttpBody as _},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    http::{context::RequestContext, error::Error},
    telemetry::metrics::Metrics,
};

/// Puts the envelope of `error` into a response, counts the error, and logs an internal error.
pub(super) fn apply(
    response: Response,
    error: &Error,
    method: &Method,
    context: &RequestContext,
    metrics: &Metrics,
) -> Response {
    if *error == Error::Internal {
        // The log line of a panic does not have the request's id.
        let request_id = context.request_id();
        tracing::error!(
            request_id,
            "the gateway answered 500 because of a bug: report it with the log line of the panic"
        );
    }
    count_refusal(metrics, error);
    // A redirect answers a form and needs no body: the browser follows it and shows none.
    if response.status() == StatusCode::SEE_OTHER {
        response
    } else {
        envelope(response, error, method, context)
    }
}

fn envelope(
    response: Response,
    error: &Error,
    method: &Method,
    context: &RequestContext,
) -> Response {
    let (mut parts, _) = response.into_parts();
    let json = Json(error.envelope(context.request_id())).into_response();
    let (json_parts, body) = json.into_parts();
    parts.headers.extend(json_parts.headers);
    // The router has set the length of the body that this one replaces.
    parts.headers.remove(header::CONTENT_LENGTH);
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    // A response to HEAD has the headers alone (RFC 9110, section 9.3.2).
    let body = if method == Method::HEAD { Body::empty() } else { body };
    Response::from_parts(parts, body)
}

/// Counts the refusals that are the same for every route. Other errors are counted by their route.
fn count_refusal(metrics: &Metrics, error: &Error) {
    match error {
        Error::CsrfMissing | Error::CsrfInvalid | Error::CsrfCrossSite(_) => {
            metrics.csrf_refused(error.reason());
        }
        Error::UnsupportedScope
        | Error::DuplicateHeader
        | Error::MalformedRequest
        | Error::NotFound
        | Error::MethodNotAllowed
        | Error::PayloadTooLarge
        | Error::UnsupportedMediaType
        | Error::MisdirectedRequest
        | Error::Overloaded => metrics.refused(error.reason()),
        Error::CredentialMissing
        | Error::CredentialOfOtherProject(_)
        | Error::BearerBesideOtherProject(_)
        | Error::ClaimNotAccepted(_)
        | Error::CredentialInvalid(_)
        | Error::CredentialExpired
        | Error::SessionNotFound
        | Error::SessionRevoked
        | Error::RateLimited { .. }
        | Error::AuthServiceUnavailable
        | Error::AuthServiceTimeout
        | Error::AuthServiceFailed
        | Error::UserBanned
        | Error::Internal
        | Error::NotReady(_)
        | Error::NotReadySince(..) => {}
    }
}
