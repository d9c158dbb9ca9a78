//! The first layer of the CSRF protection: checks which page sent the request.
//!
//! 1. `Sec-Fetch-Site` decides if the request has it, because no page can forge it: `same-origin` and `none` pass,
//!    whatever `Origin` says. A page under `no-referrer` posts its form with `Origin: null`.
//! 2. `cross-site` and `same-site` pass only from an allowed origin.
//! 3. Without `Sec-Fetch-Site` the `Origin` decides, and without `Origin` the `Referer`: it must be the
//!    gateway's own origin or an allowed one. `Origin: null` is never allowed: every sandboxed frame sends it.
//! 4. A request with none of these headers does not come from a browser: the other layers decide.

use std::{collections::HashSet, fmt};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;

/// Fetch Metadata Request Headers (W3C).
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
    /// [`CrossSite`].
    pub fn check(&self, headers: &HeaderMap, own: Option<&str>) -> Result<(), Box<CrossSite>> {
        let site = headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
        if matches!(site, Some(b"same-origin" | b"none")) {
            return Ok(());
        }
        let from_other_site = matches!(site, Some(b"cross-site" | b"same-site"));
        let origin = request_origin(headers);
        let is_allowed = match &origin {
            RequestOrigin::Page(origin) => {
                self.0.contains(origin) || (!from_other_site && own == Some(origin))
            }
            // An unknown value of `Sec-Fetch-Site` is not trusted.
            RequestOrigin::Absent => site.is_none(),
            RequestOrigin::Opaque | RequestOrigin::Unreadable => false,
        };
        if is_allowed {
            return Ok(());
        }
        Err(Box::new(CrossSite::new(&origin, own)))
    }
}

/// A page that may not send the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrossSite {
    /// The origin of the page, shortened.
    asked: String,
    /// The gateway's own origin.
    own: String,
}

/// The most characters of an origin that a log line shows.
const MOST_CHARACTERS: usize = 200;

impl CrossSite {
    fn new(origin: &RequestOrigin, own: Option<&str>) -> Self {
        let asked = match origin {
            RequestOrigin::Page(origin) => origin.chars().take(MOST_CHARACTERS).collect(),
            RequestOrigin::Opaque => "null".to_owned(),
            RequestOrigin::Unreadable => "not readable".to_owned(),
            RequestOrigin::Absent => "not named".to_owned(),
        };
        let own = own.unwrap_or("not known").chars().take(MOST_CHARACTERS).collect();
        Self { asked, own }
    }
}

/// The cause for an operator.
impl fmt::Display for CrossSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, own } = self;
        write!(
            f,
            "the page's origin is {asked}, the gateway's own is {own}: if the page is yours, add its origin to \
             GATEWAY_ALLOWED_ORIGINS, or let the proxy pass on the host, the scheme and the port of the browser's URL"
        )
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
