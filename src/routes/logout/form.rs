//! A logout by an HTML form, without script: what it asks for, and the redirect that answers it
//! (RFC 9110, section 15.4.4: 303 makes the browser `GET` what comes next).

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use utoipa::ToSchema;

use super::request::is_of_type;
use crate::{
    app::X_LOGOUT_OUTCOME,
    config::{Redirects, Scope},
    error::Error,
};

/// The parameter that tells a page why nobody was logged out.
const OUTCOME: &str = "logout";

/// Whether that is what the body is.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    is_of_type(headers, "application/x-www-form-urlencoded")
}

/// The fields that count; others are the app's own.
#[derive(Default, ToSchema)]
#[schema(as = LogoutForm)]
pub(super) struct Fields {
    /// What `/api/auth/csrf` answers for this session.
    pub(super) csrf_token: Option<String>,
    /// `local`, `others` or `global`.
    #[schema(value_type = Option<String>)]
    pub(super) scope: Option<Scope>,
    /// A path, or one of `GATEWAY_REDIRECT_URLS`.
    pub(super) redirect_to: Option<String>,
}

impl Fields {
    /// # Errors
    /// One that is given twice, or a scope that is none.
    pub(super) fn read(body: &Bytes) -> Result<Self, Error> {
        let mut fields = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            match &*name {
                "csrf_token" => {
                    once(&mut fields.csrf_token, value.into_owned(), Error::MalformedRequest)?
                }
                "redirect_to" => {
                    once(&mut fields.redirect_to, value.into_owned(), Error::MalformedRequest)?
                }
                "scope" => {
                    let scope = Scope::parse(&value).ok_or(Error::UnsupportedScope)?;
                    once(&mut fields.scope, scope, Error::UnsupportedScope)?;
                }
                _ => {}
            }
        }
        Ok(fields)
    }
}

fn once<T>(field: &mut Option<T>, value: T, twice: Error) -> Result<(), Error> {
    if field.replace(value).is_some() { Err(twice) } else { Ok(()) }
}

/// The same answer as a redirect: to where it went well, or to there with the outcome that did not.
/// The error stays with it, for whoever counts.
pub(super) fn see_other(
    mut answer: Response,
    redirects: &Redirects,
    asked: Option<&str>,
) -> Response {
    let failed = answer.extensions().get::<Error>().is_some();
    let headers = answer.headers_mut();
    let mut destination = redirects.destination(asked);
    if failed {
        let outcome = headers.get(X_LOGOUT_OUTCOME).and_then(|value| value.to_str().ok());
        destination = destination.with(OUTCOME, outcome.unwrap_or("refused"));
    }
    let location = HeaderValue::try_from(destination.location());
    headers.insert(header::LOCATION, location.unwrap_or(HeaderValue::from_static("/")));
    // Of a page that is to be read, not of a redirect.
    for name in [header::WWW_AUTHENTICATE, header::CONTENT_TYPE, header::CONTENT_LENGTH] {
        headers.remove(name);
    }
    *answer.status_mut() = StatusCode::SEE_OTHER;
    *answer.body_mut() = axum::body::Body::empty();
    answer
}
