//! Parses HTTP messages.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The headers of a head; invalid lines are skipped.
#[must_use]
pub fn headers(head: &[u8]) -> HeaderMap {
    let lines = head.split(|byte| *byte == b'\n');
    let lines = lines.filter_map(|line| split(line.strip_suffix(b"\r").unwrap_or(line), b":"));
    let headers = lines.filter_map(|(name, value)| {
        let value = HeaderValue::from_bytes(value.trim_ascii()).ok()?;
        Some((HeaderName::from_bytes(name).ok()?, value))
    });
    headers.collect()
}

/// The bytes before and after the first `by`.
#[must_use]
pub fn split<'b>(bytes: &'b [u8], by: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = bytes.windows(by.len()).position(|window| window == by)?;
    Some((&bytes[..at], &bytes[at + by.len()..]))
}
