//! The first layer of the CSRF protection: checks which page sent the request.
//!
//! 1. `Sec-Fetch-Site: same-origin` or `none` passes, because no page can forge it.
//! 2. `cross-site` and `same-site` pass only from an allowed origin.
//! 3. Without `Sec-Fetch-Site` the `Origin` decides, and without `Origin` the `Referer`: it must be the
//!    gateway's own origin or an allowed one.
//! 4. `Origin: null` is never allowed: every sandboxed frame sends it.
//! 5. A request with none of these headers does not come from a browser: the other two layers decide.

use std::collections::HashSet;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;

use super::CsrfError;

/// The header by which a browser says how the page's site relates to the gateway's (W3C, Fetch Metadata
/// Request Headers).
pub const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The origins whose pages may send requests, in the form that browsers send.
#[derive(Debug)]
pub struct AllowedOrigins(HashSet<String>);

impl AllowedOrigins {
    /// Allows the pages of `origins` and no others.
    pub(crate) fn new(origins: &[String]) -> Self {
        Self(origins.iter().cloned().collect())
    }

    /// Checks the page that sent the request. `own` is the gateway's own origin as the browser sees it.
    ///
    /// # Errors
    /// [`CsrfError::CrossSite`], if that page may not send requests.
    pub fn check(&self, headers: &HeaderMap, own: Option<&str>) -> Result<(), CsrfError> {
        let site = headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
        let origin = request_origin(headers);
        let allowed = match (site, &origin) {
            (_, RequestOrigin::Opaque) => false,
            (Some(b"same-origin" | b"none"), _) => true,
            (Some(b"cross-site" | b"same-site"), RequestOrigin::Page(origin)) => {
                self.0.contains(origin)
            }
            (_, RequestOrigin::Page(origin)) => own == Some(origin) || self.0.contains(origin),
            // The request has neither `Origin` nor `Referer`: refuse an unknown value of `Sec-Fetch-Site`.
            (site, RequestOrigin::Absent) => site.is_none(),
            (_, RequestOrigin::Unreadable) => false,
        };
        if allowed { Ok(()) } else { Err(CsrfError::CrossSite) }
    }
}

/// Whether the browser says that a page of another site sent the request. Cookies for such a page need
/// `SameSite=None` and `Secure`.
#[must_use]
pub fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site")
}

/// The origin of the page that sent a request, by its `Origin` or `Referer`.
enum RequestOrigin {
    Page(String),
    /// `Origin: null`, which sandboxed frames send.
    Opaque,
    /// The header has no valid origin or URL.
    Unreadable,
    /// The request has neither `Origin` nor `Referer`.
    Absent,
}

fn request_origin(headers: &HeaderMap) -> RequestOrigin {
    if let Some(origin) = headers.get(header::ORIGIN) {
        return match origin.to_str() {
            Ok("null") => RequestOrigin::Opaque,
            Ok(origin) => RequestOrigin::Page(origin.to_owned()),
            Err(_) => RequestOrigin::Unreadable,
        };
    }
    match headers.get(header::REFERER) {
        None => RequestOrigin::Absent,
        Some(referer) => match referer.to_str().ok().and_then(|text| Url::parse(text).ok()) {
            Some(page) if page.origin().is_tuple() => {
                RequestOrigin::Page(page.origin().ascii_serialization())
            }
            _ => RequestOrigin::Unreadable,
        },
    }
}
