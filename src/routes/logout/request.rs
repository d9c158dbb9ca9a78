//! Scope and body of a logout.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::{config::Scope, error::Error};

const LARGEST_BODY: usize = 8 * 1024;

/// The query's `scope`, given at most once.
pub(super) fn scope(query: Option<&str>, default: Scope) -> Result<Scope, Error> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut scopes = pairs.filter(|(name, _)| name == "scope");
    match (scopes.next(), scopes.next()) {
        (None, _) => Ok(default),
        (Some((_, scope)), None) => Scope::parse(&scope).ok_or(Error::UnsupportedScope),
        (Some(_), Some(_)) => Err(Error::UnsupportedScope),
    }
}

/// Reads the body to its end, `patience` long at most: it is not needed, but what comes after it on
/// the connection is the next request. One that is not empty must name itself JSON.
pub(super) async fn read_and_ignore(
    body: Body,
    headers: &HeaderMap,
    patience: Duration,
) -> Result<(), Error> {
    let declared =
        headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > LARGEST_BODY as u64) {
        return Err(Error::PayloadTooLarge);
    }
    let read = timeout(patience, Limited::new(body, LARGEST_BODY).collect()).await;
    let body = match read {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Error::PayloadTooLarge),
        Ok(Err(_)) | Err(_) => return Err(Error::MalformedRequest),
    };
    if body.is_empty() || is_json(headers) { Ok(()) } else { Err(Error::UnsupportedMediaType) }
}

/// Whatever the parameters: JSON has none that matter (RFC 8259, section 11).
fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}
