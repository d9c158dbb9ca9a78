//! The request id: the client's own if it is well-formed, else a new one.

use axum::http::{HeaderMap, HeaderValue};
use uuid::{Builder, Uuid};

use crate::http::headers::X_REQUEST_ID;

/// The id of a request with these headers.
pub(super) fn of(headers: &HeaderMap) -> HeaderValue {
    let mut given = headers.get_all(X_REQUEST_ID).iter();
    match (given.next(), given.next()) {
        (Some(id), None) if is_well_formed(id.as_bytes()) => id.clone(),
        _ => {
            let mut text = Uuid::encode_buffer();
            let id = random_id().hyphenated().encode_lower(&mut text);
            HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("unknown"))
        }
    }
}

/// A UUID of version 4. An id may be guessed without harm, and the system's random numbers would cost each request a
/// system call.
fn random_id() -> Uuid {
    Builder::from_random_bytes(fastrand::u128(..).to_ne_bytes()).into_uuid()
}

/// Log lines and requests to GoTrue carry the id, so it has at most 128 characters, none of which has a
/// special meaning there.
fn is_well_formed(id: &[u8]) -> bool {
    (1..=128).contains(&id.len())
        && id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
