//! Parses HTTP messages that are part of an input.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The headers in the head of an HTTP message. Lines that are no valid headers are skipped.
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

/// The bytes before and after the first occurrence of `by`; `None` if `by` does not occur.
#[must_use]
pub fn split<'b>(bytes: &'b [u8], by: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = bytes.windows(by.len()).position(|window| window == by)?;
    Some((&bytes[..at], &bytes[at + by.len()..]))
}
