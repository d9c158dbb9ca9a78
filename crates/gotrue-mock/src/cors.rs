//! GoTrue's CORS headers: any origin is allowed. The control routes have them as well, because the
//! page of the demo calls them from another origin.

use axum::{
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{
            ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS,
            ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
        },
    },
    response::{IntoResponse, Response},
};

const EXPOSED_HEADERS: &str = "X-Total-Count, Link, X-Supabase-Api-Version";
const PREFLIGHT_VARY: &str =
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/// The answer to a preflight; `None` if the request is not a preflight.
///
/// Every requested header is allowed: GoTrue's own list lacks `apikey`, but the API gateway in
/// front of a hosted GoTrue allows it.
pub(crate) fn preflight(method: &Method, request: &HeaderMap) -> Option<Response> {
    let requested_method =
        request.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| method == Method::OPTIONS)?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static(PREFLIGHT_VARY));
    if request.contains_key(ORIGIN) {
        allow_any_origin(headers);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, requested_method.clone());
        if let Some(names) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
    }
    Some(response)
}

/// Adds the CORS headers of every response that does not answer a preflight.
pub(crate) fn add_headers(response: &mut HeaderMap, has_origin: bool) {
    response.insert(VARY, HeaderValue::from_static("Origin"));
    if has_origin {
        allow_any_origin(response);
        response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
    }
}

fn allow_any_origin(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
}
