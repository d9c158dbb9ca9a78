//! The first layer of the CSRF protection: checks which page sent the request.
//!
//! 1. `Sec-Fetch-Site: same-origin` or `none` passes, whatever `Origin` says, because no page can forge it. A
//!    page with `Referrer-Policy: no-referrer` posts its form with `Origin: null`.
//! 2. `cross-site` and `same-site` pass only from an allowed origin.
//! 3. Without `Sec-Fetch-Site` the `Origin` decides, and without `Origin` the `Referer`: it must be the
//!    gateway's own origin or an allowed one. `Origin: null` is never allowed: every sandboxed frame sends it.
//! 4. A request with none of these headers does not come from a browser: the other two layers decide.

use std::{collections::HashSet, fmt};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;

use crate::config::serialised_origin;

/// The header by which a browser says how the page's site relates to the gateway's (W3C, Fetch Metadata Request
/// Headers).
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
    /// [`CrossSiteError`], if that page may not send requests.
    pub fn check(&self, headers: &HeaderMap, own: Option<&str>) -> Result<(), Box<CrossSiteError>> {
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
            // The request has neither `Origin` nor `Referer`: refuse an unknown value of `Sec-Fetch-Site`.
            RequestOrigin::Absent => site.is_none(),
            RequestOrigin::Opaque | RequestOrigin::Unreadable => false,
        };
        if is_allowed {
            return Ok(());
        }
        Err(Box::new(CrossSiteError::new(&origin, own)))
    }
}

/// The origin of a page that may not send the request, and the gateway's own origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrossSiteError {
    /// The origin of the page, or why it cannot be logged.
    page: String,
    /// The gateway's own origin, or why it cannot be logged.
    own: String,
}

/// The most characters of an origin that a log line shows.
const MOST_CHARACTERS: usize = 200;
/// The most characters of a part of a host name (RFC 1035, section 2.3.4).
const MOST_LABEL_CHARACTERS: usize = 63;

impl CrossSiteError {
    fn new(origin: &RequestOrigin, own: Option<&str>) -> Self {
        let page = match origin {
            RequestOrigin::Page(origin) => loggable(origin),
            RequestOrigin::Opaque => "null",
            RequestOrigin::Unreadable => NOT_READABLE,
            RequestOrigin::Absent => "not named",
        };
        Self { page: page.to_owned(), own: own.map_or("not known", loggable).to_owned() }
    }
}

const NOT_READABLE: &str = "not readable";

/// The origin, or [`NOT_READABLE`] if a log line must not show it. A client can send any text as `Origin` and
/// `Host`, even a token or a cookie. So the log shows only texts that look like an origin of a browser: no
/// capitals, few special characters, and short labels.
fn loggable(origin: &str) -> &str {
    let is_plain = |text: &str, others: &[u8]| {
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || others.contains(&b);
        text.len() <= MOST_LABEL_CHARACTERS && text.bytes().all(is_plain)
    };
    let is_loggable = origin.split_once("://").is_some_and(|(scheme, host)| {
        is_plain(scheme, b"+-.") && host.split('.').all(|label| is_plain(label, b"-_:[]"))
    });
    if is_loggable && origin.len() <= MOST_CHARACTERS { origin } else { NOT_READABLE }
}

/// The cause in the audit line, for an operator.
impl fmt::Display for CrossSiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { page, own } = self;
        write!(
            f,
            "the page's origin is {page}, the gateway's own is {own}: if the page is yours, add its origin to \
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
    let Some(referer) = headers.get(header::REFERER) else { return RequestOrigin::Absent };
    let page = referer.to_str().ok().and_then(|text| Url::parse(text).ok());
    let origin = page.and_then(|page| serialised_origin(&page));
    origin.map_or(RequestOrigin::Unreadable, RequestOrigin::Page)
}
