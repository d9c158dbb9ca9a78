//! Layer 1: which page asks.
//!
//! 1. `Sec-Fetch-Site: same-origin` or `none` passes: no page can forge it.
//! 2. `cross-site` and `same-site` are refused, and so is, lacking that header, an `Origin` (lacking
//!    it, a `Referer`) that is not the gateway's own; unless that origin is allowed.
//! 3. `Origin: null` is never allowed: every sandboxed frame has it.
//! 4. None of these headers: not a browser; the other layers decide.

use std::collections::HashSet;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;

use super::CsrfError;

/// W3C Fetch Metadata.
pub const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Origins, as browsers serialise them, whose pages may ask.
#[derive(Debug)]
pub struct AllowedOrigins(HashSet<String>);

impl AllowedOrigins {
    /// Exactly these.
    #[must_use]
    pub fn new(origins: &[String]) -> Self {
        Self(origins.iter().cloned().collect())
    }

    /// Judges the page that asks; `own` is the gateway's own origin as the browser sees it.
    ///
    /// # Errors
    /// [`CsrfError::CrossSite`].
    pub fn judge(&self, headers: &HeaderMap, own: Option<&str>) -> Result<(), CsrfError> {
        let site = headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
        let asking = asking_origin(headers);
        let allowed = match (site, &asking) {
            (_, Asking::Nobody) => false,
            (Some(b"same-origin" | b"none"), _) => true,
            (Some(b"cross-site" | b"same-site"), Asking::Page(origin)) => self.0.contains(origin),
            (_, Asking::Page(origin)) => own == Some(origin) || self.0.contains(origin),
            // Who says nothing is no browser; who says something unheard of is not believed.
            (site, Asking::NotABrowser) => site.is_none(),
            (_, Asking::Unknown) => false,
        };
        if allowed { Ok(()) } else { Err(CsrfError::CrossSite) }
    }
}

/// Whether a page of another site asks: its cookies follow other rules.
#[must_use]
pub fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site")
}

enum Asking {
    Page(String),
    /// `Origin: null`
    Nobody,
    Unknown,
    NotABrowser,
}

fn asking_origin(headers: &HeaderMap) -> Asking {
    if let Some(origin) = headers.get(header::ORIGIN) {
        return match origin.to_str() {
            Ok("null") => Asking::Nobody,
            Ok(origin) => Asking::Page(origin.to_owned()),
            Err(_) => Asking::Unknown,
        };
    }
    match headers.get(header::REFERER) {
        None => Asking::NotABrowser,
        Some(referer) => match referer.to_str().ok().and_then(|text| Url::parse(text).ok()) {
            Some(page) if page.origin().is_tuple() => {
                Asking::Page(page.origin().ascii_serialization())
            }
            _ => Asking::Unknown,
        },
    }
}
