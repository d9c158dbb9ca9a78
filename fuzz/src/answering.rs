//! GoTrue's answer as text: a line that says to what, then status, headers and body.

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

/// As long as the body of a `large` answer becomes.
const LARGE: usize = 200 * 1024;
/// Bytes that arrive at once.
pub const PIECE: usize = 16 * 1024;

/// What GoTrue was asked, and what came.
#[derive(Debug)]
pub struct Answering {
    /// What for.
    pub operation: Operation,
    /// Of a logout.
    pub scope: Scope,
    /// An earlier try may have had its effect.
    pub again: bool,
    /// The connection breaks after the body.
    pub broken: bool,
    /// Any that can stand on the wire.
    pub status: u16,
    /// Those that can stand on the wire.
    pub headers: HeaderMap,
    /// As sent.
    pub body: Bytes,
}

impl Answering {
    /// Reads an input; `None` where no such answer can be.
    #[must_use]
    pub fn read(input: &[u8]) -> Option<Self> {
        let (asked, answer) = split(input, b"\n")?;
        let (status, answer) = split(answer, b"\r\n")?;
        let (head, body) = split(answer, b"\r\n\r\n").unwrap_or_else(|| {
            let body = answer.strip_prefix(b"\r\n");
            body.map_or((answer, [].as_slice()), |body| ([].as_slice(), body))
        });
        let asked = std::str::from_utf8(asked).ok()?;
        let status = std::str::from_utf8(status).ok()?.parse().ok()?;
        let has = |word| asked.contains(word);
        let operation = match asked {
            _ if has("/logout") => Operation::Logout,
            _ if has("/token") => Operation::Token,
            _ if has("/user") => Operation::User,
            _ if has("jwks") => Operation::Jwks,
            _ => Operation::Health,
        };
        let scope = match asked {
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
            again: has("again"),
            broken: has("broken"),
            status,
            headers: headers(head),
            body,
        })
    }

    /// As the HTTP client hands it over; counts the bytes of the body that were asked for.
    #[must_use]
    pub fn response(&self, taken: Arc<AtomicUsize>) -> reqwest::Response {
        let body = Pieces { left: self.body.clone(), broken: self.broken, taken };
        let mut response = Response::new(reqwest::Body::wrap(body.map_err(std::io::Error::other)));
        *response.status_mut() = self.status.try_into().expect("a status of three digits");
        response.headers_mut().clone_from(&self.headers);
        response.into()
    }
}

struct Pieces {
    left: Bytes,
    broken: bool,
    taken: Arc<AtomicUsize>,
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
        self.taken.fetch_add(length, Ordering::Relaxed);
        Poll::Ready(Some(Ok(http_body::Frame::data(self.left.split_to(length)))))
    }
}
