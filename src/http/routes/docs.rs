//! Serves the description of the HTTP API: OpenAPI for programs, a page for people. The tests write both files from
//! the annotations of the handlers, so the gateway does not make them at each start.

#[cfg(test)]
mod description;

use std::sync::LazyLock;

use axum::{
    Router,
    http::{HeaderValue, header},
    response::{Html, IntoResponse},
    routing::get,
};

use super::page_policy;

const OPENAPI: &[u8] = include_bytes!("docs/openapi.json");
const PAGE: &str = include_str!("docs/page.html");

/// Allows the page's own style and icon, and nothing else.
static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let after = PAGE.split_once("<style>").map_or("", |(_, after)| after);
    let style = after.split_once("</style>").map_or("", |(style, _)| style);
    page_policy::allowing(style)
});

pub(in crate::http) fn router() -> Router {
    Router::new()
        .route("/openapi.json", get(openapi))
        .route("/openapi.json/", get(openapi))
        .route("/docs", get(page))
        .route("/docs/", get(page))
}

/// The description of this API for programs, as OpenAPI 3.1.
#[cfg_attr(test, utoipa::path(
    get, path = "/openapi.json", tag = "documents",
    responses((status = 200, description = "The description.", body = Object))
))]
async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

/// The same description for people: this page.
#[cfg_attr(test, utoipa::path(
    get, path = "/docs", tag = "documents",
    responses((status = 200, description = "The page. It has no script and loads nothing.", body = String, content_type = "text/html"))
))]
async fn page() -> impl IntoResponse {
    ([(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.clone())], Html(PAGE))
}
