//! A logout by an HTML form, without a script: reads the form's fields, and makes the response a redirect
//! (RFC 9110, section 15.4.4: 303 makes the browser `GET` the location).

use axum::{
    body::{Body, HttpBody as _},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use secrecy::ExposeSecret as _;

use crate::{
    config::Destination,
    http::{
        error::Error,
        headers::{X_CSRF_TOKEN, X_LOGOUT_OUTCOME, has_content_type},
    },
    outcome::{Outcome, Scope},
    session::{bearer, verifier::Verifier},
};

/// Whether an HTML form sent the request. A request with a Bearer token of this project comes from a script, and
/// so does one with an empty body and the CSRF token in a header: its response is the contract's JSON. Any other
/// Bearer token does not matter, because a hosting platform may have added it.
pub(super) fn is_form(headers: &HeaderMap, body: &Body, verifier: &Verifier) -> bool {
    let empty = headers.contains_key(X_CSRF_TOKEN) && body.is_end_stream();
    let has_bearer =
        bearer(headers).is_some_and(|token| verifier.is_of_project(token.expose_secret()));
    let by_script = has_bearer || empty;
    !by_script && has_content_type(headers, "application/x-www-form-urlencoded")
}

/// The fields that count; others are the app's own.
#[derive(Default)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = LogoutForm))]
pub(super) struct Fields {
    /// The token from `GET /api/auth/csrf`.
    pub(super) csrf_token: Option<String>,
    /// `local`, `others` or `global`.
    #[cfg_attr(test, schema(value_type = Option<String>))]
    pub(super) scope: Option<Scope>,
    /// A path, or one of `GATEWAY_REDIRECT_URLS`.
    pub(super) redirect_to: Option<String>,
}

impl Fields {
    /// Reads the fields. Returns an error beside them if one of them is given twice or the scope is unknown:
    /// even then the form's `redirect_to` is needed, for the redirect of the error.
    pub(super) fn read(body: &[u8]) -> (Self, Result<(), Error>) {
        let mut fields = Self::default();
        let mut checked = Ok(());
        for (name, value) in form_urlencoded::parse(body) {
            let value = value.into_owned();
            checked = checked.and(match &*name {
                "csrf_token" => set_once(&mut fields.csrf_token, value, Error::MalformedRequest),
                "redirect_to" => set_once(&mut fields.redirect_to, value, Error::MalformedRequest),
                "scope" => value
                    .parse()
                    .map_err(|_| Error::UnsupportedScope)
                    .and_then(|scope| set_once(&mut fields.scope, scope, Error::UnsupportedScope)),
                _ => Ok(()),
            });
        }
        (fields, checked)
    }
}

fn set_once<T>(field: &mut Option<T>, value: T, twice: Error) -> Result<(), Error> {
    if field.is_some() {
        return Err(twice);
    }
    *field = Some(value);
    Ok(())
}

/// Makes a response a redirect to `destination`. For an error, the query has the outcome. The error stays in
/// the extensions, where the middleware counts it.
pub(super) fn see_other(mut answer: Response, destination: &Destination) -> Response {
    let error = answer.extensions().get::<Error>().map(Error::status);
    let headers = answer.headers_mut();
    let in_header = headers.get(X_LOGOUT_OUTCOME).and_then(|value| value.to_str().ok());
    let outcome = error.map(|status| match (in_header, status) {
        (Some(outcome), _) => outcome,
        (None, StatusCode::INTERNAL_SERVER_ERROR) => Outcome::Failed.as_str(),
        (None, _) => Outcome::Refused.as_str(),
    });
    let destination = destination.with_outcome(outcome);
    let location = HeaderValue::try_from(destination.location());
    headers.insert(header::LOCATION, location.unwrap_or(HeaderValue::from_static("/")));
    // These headers describe the body, which is removed. In a redirect, `Retry-After` would say when to
    // follow it (RFC 9110, section 10.2.3).
    for name in [
        header::WWW_AUTHENTICATE,
        header::RETRY_AFTER,
        header::CONTENT_TYPE,
        header::CONTENT_LENGTH,
    ] {
        headers.remove(name);
    }
    *answer.status_mut() = StatusCode::SEE_OTHER;
    *answer.body_mut() = Body::empty();
    answer
}
