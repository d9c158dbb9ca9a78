//! GoTrue's CORS headers: any origin is allowed. The control routes have them as well, because the
//! page of the demo calls them from another origin.

use axum::{
    http::{
        HeaderMap, HeaderValue, Method, Request, StatusCode,
        header::{
            ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS,
            ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
        },
    },
    response::{IntoResponse, Response},
};

use crate::settings::Settings;

const EXPOSED_HEADERS: &str = "X-Total-Count, Link, X-Supabase-Api-Version";
const PREFLIGHT_VARY: &str =
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/// The request headers that GoTrue allows, besides those that the Fetch standard always allows.
const ALLOWED_HEADERS: [&str; 8] = [
    "accept",
    "authorization",
    "content-type",
    "x-client-ip",
    "x-client-info",
    "x-jwt-aud",
    "x-use-cookie",
    "x-supabase-api-version",
];
const ALLOWED_METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// The answer to a preflight; `None` if the request is not a preflight. A preflight that asks for what is not allowed gets no
/// CORS header (recorded: `preflight-evil-otp`, `preflight-unknown-header`).
pub(crate) fn preflight<B>(request: &Request<B>, settings: &Settings) -> Option<Response> {
    let is_options = request.method() == Method::OPTIONS;
    let request = request.headers();
    let requested_method = request.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| is_options)?;
    let names = request.get(ACCESS_CONTROL_REQUEST_HEADERS);
    let is_allowed = ALLOWED_METHODS.iter().any(|method| requested_method == method)
        && (settings.allows_any_header || names.is_none_or(are_allowed));
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static(PREFLIGHT_VARY));
    if is_allowed && request.contains_key(ORIGIN) {
        allow_any_origin(headers);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, requested_method.clone());
        headers.extend(names.map(|names| (ACCESS_CONTROL_ALLOW_HEADERS, names.clone())));
    }
    Some(response)
}

fn are_allowed(names: &HeaderValue) -> bool {
    let names = names.to_str().unwrap_or_default().split(',').map(str::trim);
    names
        .into_iter()
        .all(|name| ALLOWED_HEADERS.iter().any(|allowed| name.eq_ignore_ascii_case(allowed)))
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
