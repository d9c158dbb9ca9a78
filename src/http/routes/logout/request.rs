//! Scope and body of a logout.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use crate::{http::error::Error, outcome::Scope};

const LARGEST_BODY: usize = 8 * 1024;

/// The query's `scope`, given at most once.
pub(super) fn scope(query: Option<&str>) -> Result<Option<Scope>, Error> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut scopes = pairs.filter(|(name, _)| name == "scope");
    match (scopes.next(), scopes.next()) {
        (None, _) => Ok(None),
        (Some((_, scope)), None) => scope.parse().map(Some).map_err(|_| Error::UnsupportedScope),
        (Some(_), Some(_)) => Err(Error::UnsupportedScope),
    }
}

/// Reads the body to its end, `patience` long at most: what comes after it on the connection is the
/// next request.
pub(super) async fn read(
    body: Body,
    headers: &HeaderMap,
    patience: Duration,
) -> Result<Vec<u8>, Error> {
    let declared =
        headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > LARGEST_BODY as u64) {
        return Err(Error::PayloadTooLarge);
    }
    timeout(patience, copy(body)).await.unwrap_or(Err(Error::MalformedRequest))
}

/// Copies the frames of `body` into one buffer of [`LARGEST_BODY`] at most. A kept `Bytes` would hold
/// the whole read buffer that it is a part of, which may be 8 KiB for each octet of the body.
async fn copy(mut body: Body) -> Result<Vec<u8>, Error> {
    let mut copied = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Error::MalformedRequest)?;
        let Some(data) = frame.data_ref() else { continue };
        if data.len() > LARGEST_BODY - copied.len() {
            return Err(Error::PayloadTooLarge);
        }
        copied.extend_from_slice(data);
    }
    Ok(copied)
}

/// A body that nobody needs may be empty, or must name itself JSON.
pub(super) fn ignore(body: &[u8], headers: &HeaderMap) -> Result<(), Error> {
    let ignored = body.is_empty() || is_of_type(headers, "application/json");
    if ignored { Ok(()) } else { Err(Error::UnsupportedMediaType) }
}

/// Whatever the parameters: JSON and forms have none that matter (RFC 8259, section 11; URL standard,
/// section 5).
pub(super) fn is_of_type(headers: &HeaderMap, essence: &str) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let given = content_type.and_then(|value| value.split(';').next());
    given.is_some_and(|given| given.trim().eq_ignore_ascii_case(essence))
}
