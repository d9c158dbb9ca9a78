//! Serves the demo page with its scripts, styles and settings, which are compiled into the binary.
//!
//! The page's Content-Security-Policy allows only scripts and styles from the gateway's origin, and requests
//! to the gateway and to the mock of GoTrue.

use axum::{
    Router,
    http::{
        HeaderValue,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, InvalidHeaderValue},
    },
    routing::get,
};
use bytes::Bytes;
use serde_json::json;

use super::User;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const CSS: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
const JAVASCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

const FILES: [(&str, HeaderValue, &str); 6] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/demo.css", CSS, concat!(include_str!("../page.css"), include_str!("page/demo.css"))),
    ("/demo.js", JAVASCRIPT, include_str!("page/demo.js")),
    ("/demo-session.js", JAVASCRIPT, include_str!("page/demo-session.js")),
    ("/demo-view.js", JAVASCRIPT, include_str!("page/demo-view.js")),
    ("/logout-gateway-client.js", JAVASCRIPT, include_str!("../../clients/js/index.js")),
];

/// The values that the page's scripts and its policy need.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    /// The URL of the mock, `http://<address>`. GoTrue's API is below `/auth/v1`, and the mock's control
    /// routes are below `/mock`.
    pub(crate) gotrue: &'a str,
    /// The name of the session cookie of @supabase/ssr.
    pub(crate) cookie_name: &'a str,
    /// The user whose e-mail address and password the page fills in.
    pub(crate) user: User,
}

impl Page<'_> {
    /// The routes of the page, which the gateway serves beside its own.
    ///
    /// # Errors
    /// [`InvalidHeaderValue`] if the mock's URL cannot be part of a header.
    pub(crate) fn router(&self) -> Result<Router, InvalidHeaderValue> {
        let policy = HeaderValue::try_from(self.content_security_policy())?;
        let settings = ("/demo.json", JSON, Bytes::from(self.settings()));
        let files =
            FILES.map(|(path, kind, text)| (path, kind, Bytes::from_static(text.as_bytes())));
        let serve = |router: Router, (path, kind, content): (&str, HeaderValue, Bytes)| {
            let headers = [(CONTENT_TYPE, kind), (CONTENT_SECURITY_POLICY, policy.clone())];
            router.route(path, get(move || async move { (headers, content) }))
        };
        Ok(files.into_iter().chain([settings]).fold(Router::new(), serve))
    }

    fn content_security_policy(&self) -> String {
        format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {}; \
             img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            self.gotrue
        )
    }

    fn settings(&self) -> String {
        let gotrue = self.gotrue;
        json!({
            "gotrue": format!("{gotrue}/auth/v1"),
            "control": format!("{gotrue}/mock"),
            "cookie_name": self.cookie_name,
            "csrf": "/api/auth/csrf",
            "verify": "/api/auth/verify",
            "logouts": [
                { "path": "/api/auth/logout", "answer": "200, {\"data\":{\"success\":true}}" },
                { "path": "/api/v1/auth/logout", "answer": "204, no body" },
                { "path": "/logout", "answer": "200, a message with the user\u{2019}s id" },
            ],
            "user": self.user,
        })
        .to_string()
    }
}
