//! Redirects as Go's `http.Redirect` writes them.

use axum::{
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};

/// A redirect: with a page in the answer to GET, without in the answer to other methods. `appended` is what GoTrue writes
/// after the page.
pub(crate) fn redirect(
    status: StatusCode,
    location: &str,
    method: &Method,
    appended: &str,
) -> Response {
    let header = HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("/"));
    if *method != Method::GET {
        return (status, [(header::LOCATION, header)], appended.to_owned()).into_response();
    }
    let reason = status.canonical_reason().unwrap_or_default();
    let page = format!("<a href=\"{}\">{reason}</a>.\n\n{appended}", escape_html(location));
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    (status, [(header::LOCATION, header), (header::CONTENT_TYPE, html)], page).into_response()
}

/// Escapes a text for HTML, in elements and in attributes.
pub(crate) fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}
