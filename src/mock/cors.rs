//! CORS as GoTrue's: any origin, preflights answered, and the same for the control routes, which a
//! demo page calls from another origin.

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

const EXPOSED: &str = "X-Total-Count, Link, X-Supabase-Api-Version";
const VARIES: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/// The answer to a preflight; `None` if the request is none.
///
/// Every header asked for is allowed: `apikey` is not on GoTrue's own list, but the API gateway in
/// front of every real one allows it.
pub(super) fn preflight(method: &Method, request: &HeaderMap) -> Option<Response> {
    let asked = request.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| method == Method::OPTIONS)?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static(VARIES));
    if request.contains_key(ORIGIN) {
        allow(headers);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, asked.clone());
        if let Some(names) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
    }
    Some(response)
}

/// What every other response carries.
pub(super) fn expose(response: &mut HeaderMap, has_origin: bool) {
    response.insert(VARY, HeaderValue::from_static("Origin"));
    if has_origin {
        allow(response);
        response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
}

fn allow(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
}
