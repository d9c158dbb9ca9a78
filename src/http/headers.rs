//! The names of the gateway's own request and response headers, and the rule that some headers may occur only
//! once.

use axum::http::{HeaderMap, HeaderName, header};

use super::error::Error;
use crate::csrf::origin::SEC_FETCH_SITE;

/// The id of the request: the client's, or one that the gateway made.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The double-submit CSRF token.
pub(crate) const X_CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");
pub(crate) const X_LOGOUT_OUTCOME: HeaderName = HeaderName::from_static("x-logout-outcome");
/// The number of cookies whose deletion did not fit into the response, so that the next logout has to delete
/// them.
pub(crate) const X_LOGOUT_COOKIES_LEFT: HeaderName =
    HeaderName::from_static("x-logout-cookies-left");

/// Headers that may occur only once: of two, a proxy might read one and the gateway the other.
const SINGLE: [HeaderName; 4] =
    [header::AUTHORIZATION, X_CSRF_TOKEN, header::ORIGIN, SEC_FETCH_SITE];

/// Refuses a request that carries a header of [`SINGLE`] twice.
pub(super) fn refuse_duplicates(headers: &HeaderMap) -> Result<(), Error> {
    let is_repeated = |name| headers.get_all(name).iter().nth(1).is_some();
    if SINGLE.iter().any(is_repeated) { Err(Error::DuplicateHeader) } else { Ok(()) }
}

/// Whether the `Content-Type` is the media type `essence`. Its parameters are ignored: those of JSON and
/// forms have no meaning (RFC 8259, section 11; URL standard, section 5).
pub(super) fn has_content_type(headers: &HeaderMap, essence: &str) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let given = content_type.and_then(|value| value.split(';').next());
    given.is_some_and(|given| given.trim().eq_ignore_ascii_case(essence))
}
