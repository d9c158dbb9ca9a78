//! A response of GoTrue as the text of an input: a line that describes the request, then status, headers and
//! body.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    body::HttpBody,
    http::{HeaderMap, Response},
};
use bytes::Bytes;
use http_body_util::BodyExt;
use logout_gateway::internals::{gotrue::Operation, outcome::Scope};

use crate::message::{headers, split};

/// The length, in bytes, of the body of a response that the input marks as `large`.
const LARGE: usize = 200 * 1024;
/// The most bytes of the body that arrive at once.
pub const PIECE: usize = 16 * 1024;

/// A request to GoTrue and the response to it.
#[derive(Debug)]
pub struct ServerResponse {
    /// The operation that the request calls.
    pub operation: Operation,
    /// The scope of the logout, if the request is a logout.
    pub scope: Scope,
    /// Whether an earlier attempt of the same request may have had its effect.
    pub is_retry: bool,
    /// Whether the connection breaks after the body.
    pub broken: bool,
    /// The HTTP status, which has three digits.
    pub status: u16,
    /// The headers of the response that are valid in HTTP.
    pub headers: HeaderMap,
    /// The body of the response as GoTrue sent it.
    pub body: Bytes,
}

impl ServerResponse {
    /// Parses an input; returns `None` if the input describes no response that HTTP allows.
    #[must_use]
    pub fn parse(input: &[u8]) -> Option<Self> {
        let (request, response) = split(input, b"\n")?;
        let (status, response) = split(response, b"\r\n")?;
        let (head, body) = split(response, b"\r\n\r\n").unwrap_or_else(|| {
            let body = response.strip_prefix(b"\r\n");
            body.map_or((response, [].as_slice()), |body| ([].as_slice(), body))
        });
        let request = std::str::from_utf8(request).ok()?;
        let status = std::str::from_utf8(status).ok()?.parse().ok()?;
        let has = |word| request.contains(word);
        let operation = match request {
            _ if has("/logout") => Operation::Logout,
            _ if has("/token") => Operation::Token,
            _ if has("/user") => Operation::User,
            _ if has("jwks") => Operation::Jwks,
            _ => Operation::Health,
        };
        let scope = match request {
            _ if has("others") => Scope::Others,
            _ if has("global") => Scope::Global,
            _ => Scope::Local,
        };
        let body = if has("large") && !body.is_empty() {
            body.iter().copied().cycle().take(LARGE).collect()
        } else {
            Bytes::copy_from_slice(body)
        };
        let on_the_wire = (100..1000).contains(&status);
        on_the_wire.then(|| Self {
            operation,
            scope,
            is_retry: has("again"),
            broken: has("broken"),
            status,
            headers: headers(head),
            body,
        })
    }

    /// The response as the HTTP client returns it. `bytes_read` counts the bytes of the body that the gateway
    /// reads.
    #[must_use]
    pub fn to_http_response(&self, bytes_read: Arc<AtomicUsize>) -> reqwest::Response {
        let body = Pieces { left: self.body.clone(), broken: self.broken, bytes_read };
        let mut response = Response::new(reqwest::Body::wrap(body.map_err(std::io::Error::other)));
        *response.status_mut() = self.status.try_into().expect("a status of three digits");
        response.headers_mut().clone_from(&self.headers);
        response.into()
    }
}

struct Pieces {
    left: Bytes,
    broken: bool,
    bytes_read: Arc<AtomicUsize>,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        if self.left.is_empty() {
            return Poll::Ready(self.broken.then_some(Err("broken")));
        }
        let length = self.left.len().min(PIECE);
        self.bytes_read.fetch_add(length, Ordering::Relaxed);
        Poll::Ready(Some(Ok(http_body::Frame::data(self.left.split_to(length)))))
    }
}
