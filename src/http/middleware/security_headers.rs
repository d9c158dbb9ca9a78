//! The security headers of every response (source: OWASP Secure Headers Project).

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// The response may load nothing and no page may frame it. A page of the gateway sets its own policy.
const CONTENT_SECURITY_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

const ALWAYS: [(HeaderName, HeaderValue); 6] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::PRAGMA, HeaderValue::from_static("no-cache")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    // Responses differ by the page that sends the request.
    (header::VARY, HeaderValue::from_static("Origin, Sec-Fetch-Site")),
];

/// Sets the headers. `hsts` is the value of `Strict-Transport-Security`, if the response gets one.
pub(super) fn set(headers: &mut HeaderMap, hsts: Option<&HeaderValue>) {
    // Room for these and the request id, so that the map grows once.
    headers.reserve(ALWAYS.len() + 3);
    for (name, value) in ALWAYS {
        headers.insert(name, value);
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(CONTENT_SECURITY_POLICY);
    if let Some(hsts) = hsts {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
}
