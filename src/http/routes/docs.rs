//! Serves the description of the HTTP API: OpenAPI for programs, Swagger UI for people. The page loads
//! nothing from other servers.

#[cfg(test)]
mod description;

use std::{borrow::Cow, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, rejection::PathRejection},
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use utoipa_swagger_ui::Config;

use crate::http::error::Error;

/// Allows the page's own scripts and styles, and the request for `/openapi.json`.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The description, which the tests write from the annotations of the handlers: the gateway does not build it at
/// each start.
const OPENAPI: &[u8] = include_bytes!("docs/openapi.json");

/// Without "none" the page would send the description to a server of the Swagger project.
const INITIALIZER: &str = r##"SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", validatorUrl: "none" });
"##;

pub(in crate::http) fn router() -> Router {
    let document = async || ([(header::CONTENT_TYPE, "application/json")], OPENAPI);
    let initializer =
        async || ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], INITIALIZER);
    let config = Arc::new(Config::default());
    Router::new()
        .route("/openapi.json", get(document))
        .route("/openapi.json/", get(document))
        .route("/docs/swagger-initializer.js", get(initializer))
        .route("/docs", get(async || page("docs/")))
        .route("/docs/", get(async || page("")))
        .route(
            "/docs/{file}",
            get(move |name: Result<Path<String>, PathRejection>| async move {
                // A name that is not UTF-8 names no file.
                name.map_or_else(|_| Error::NotFound.into_response(), |Path(n)| file(&n, config))
            }),
        )
}

/// The HTML of `/docs` and `/docs/`. `directory` is the prefix of its links, which are relative to the path of
/// the page. The library's own page is not used, because it is stored compressed.
fn page(directory: &str) -> impl IntoResponse {
    let page = PAGE.replace("{directory}", directory);
    ([(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY)], Html(page))
}

const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>logout-gateway: HTTP API</title>
<link rel="stylesheet" href="{directory}swagger-ui.css">
<link rel="icon" type="image/png" href="{directory}favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{directory}swagger-ui-bundle.js"></script>
<script src="{directory}swagger-initializer.js"></script>
</body>
</html>
"#;

fn file(name: &str, config: Arc<Config<'static>>) -> Response {
    let Ok(Some(file)) = utoipa_swagger_ui::serve(name, config) else {
        return Error::NotFound.into_response();
    };
    let policy = (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    // Do not copy the file: the copy for each request would stay in memory until a slow client has read it.
    let bytes = match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    let mut response = ([policy], bytes).into_response();
    if let Ok(content_type) = HeaderValue::try_from(file.content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    if file.gzpipped {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
