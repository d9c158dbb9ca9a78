//! GoTrue's endpoints that the mock does not have. Each is answered with status 501 and its name, unless the settings
//! switch its feature off: then the answer is GoTrue's.

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, Method, Uri},
    routing::on,
};

use crate::{
    endpoints::MISSING, error::GotrueError, mock::Mock, mounted::route,
    routes::unrouted::check_caller, settings::Feature,
};

/// Adds the endpoints.
pub(crate) fn add_to(router: Router<Mock>) -> Router<Mock> {
    MISSING.into_iter().fold(router, |router, (path, methods)| {
        let answer = move |State(mock): State<Mock>, request: (Method, Uri, HeaderMap)| async move {
            missing(&mock, path, &request)
        };
        route(router, path, on(methods, answer))
    })
}

fn missing(
    mock: &Mock,
    path: &str,
    (method, uri, headers): &(Method, Uri, HeaderMap),
) -> GotrueError {
    if let Err(error) = check_caller(mock, uri.path(), headers) {
        return error;
    }
    let disabled = feature(path).filter(|feature| mock.settings().disabled.contains(feature));
    disabled.map_or_else(
        || GotrueError::not_implemented(&format!("{method} {path}")),
        Feature::disabled_error,
    )
}

fn feature(path: &str) -> Option<Feature> {
    let starts = |prefix| path.starts_with(prefix);
    if starts("/passkeys") {
        Some(Feature::Passkeys)
    } else if starts("/sso") {
        Some(Feature::Saml)
    } else if starts("/scim") {
        Some(Feature::Scim)
    } else if path.contains("oauth") {
        Some(Feature::OauthServer)
    } else {
        None
    }
}
