//! The CORS headers of GoTrue, and of the API gateway in front of other servers: any origin is allowed. The control
//! endpoints have those of GoTrue, because the page of the demo calls them from another origin.

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

/// The answer to a preflight; `None` if the request is not a preflight. A preflight that asks for what is not allowed
/// gets no CORS header (recorded: `preflight-evil-otp`, `preflight-unknown-header`).
pub(crate) fn preflight<B>(request: &Request<B>, settings: &Settings) -> Option<Response> {
    let requested_method = requested_method(request)?;
    let request = request.headers();
    let names = request.get(ACCESS_CONTROL_REQUEST_HEADERS);
    let is_allowed = ALLOWED_METHODS.iter().any(|method| requested_method == method)
        && (settings.allows_any_header || names.is_none_or(are_allowed));
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static(PREFLIGHT_VARY));
    if is_allowed && request.contains_key(ORIGIN) {
        allow_any_origin(headers);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        allow_requested(headers, requested_method, names);
    }
    Some(response)
}

/// The method for which a preflight asks; `None` if the request is not a preflight.
fn requested_method<B>(request: &Request<B>) -> Option<&HeaderValue> {
    let is_options = request.method() == Method::OPTIONS;
    request.headers().get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| is_options)
}

fn allow_requested(headers: &mut HeaderMap, method: &HeaderValue, names: Option<&HeaderValue>) {
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
    headers.extend(names.map(|names| (ACCESS_CONTROL_ALLOW_HEADERS, names.clone())));
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
        response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
    }
}

/// The answer of Supabase's API gateway to a preflight for a server without CORS; `None` if the request is not a
/// preflight.
pub(crate) fn fallback_preflight<B>(request: &Request<B>) -> Option<Response> {
    let method = requested_method(request)?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    add_fallback_headers(headers);
    allow_requested(headers, method, request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS));
    Some(response)
}

/// Adds the CORS headers of Supabase's API gateway to the response of a server without CORS.
pub(crate) fn add_fallback_headers(response: &mut HeaderMap) {
    allow_any_origin(response);
    response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
}

fn allow_any_origin(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
}
