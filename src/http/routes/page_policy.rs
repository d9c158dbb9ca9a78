//! The Content-Security-Policy of a page that has no script and whose style stands in it.

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::HeaderValue;
use base64::{Engine as _, prelude::BASE64_STANDARD};

/// Allows the style sheet `style`, which is the text of the page's `<style>`, and an icon in a `data:` URL. The page
/// may load nothing else.
pub(super) fn allowing(style: &str) -> HeaderValue {
    let hash = BASE64_STANDARD.encode(digest(&SHA256, style.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}
