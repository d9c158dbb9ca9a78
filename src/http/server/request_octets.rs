//! Bounds the octets that a client may send for one request.
//!
//! hyper bounds a request head and its own buffer. It does not bound the digits of a chunk's size, nor the
//! line breaks before a request line, and it scans all those line breaks again for each new octet.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most octets of a body as sent. A body of 8 KiB in chunks of one octet each takes 48 KiB.
const MAX_BODY_OCTETS: usize = 64 * 1024;
/// The most octets of line breaks before a request line; RFC 9112, section 2.2, requires to ignore one line
/// break. Line breaks in a body also count, because this layer does not see where a request begins; no body
/// needs so many.
const MAX_LINE_BREAK_OCTETS: usize = 64;

/// Counts the octets that are read between two responses. If there are too many, the next read fails. hyper
/// reads only while a request is incomplete, so pipelined requests do no harm.
#[derive(Debug)]
pub(super) struct BoundedRequests<S> {
    stream: S,
    max_request_octets: usize,
    /// Octets read since the last response.
    read: usize,
    /// The octets of the latest reads that had nothing but line breaks.
    line_breaks: usize,
    /// Whether the client does not read the response.
    is_write_blocked: bool,
}

impl<S> BoundedRequests<S> {
    /// Bounds the requests on `stream`, whose heads may have `max_head_octets`.
    pub(super) fn new(stream: S, max_head_octets: usize) -> Self {
        Self {
            stream,
            max_request_octets: max_head_octets.saturating_add(MAX_BODY_OCTETS),
            read: 0,
            line_breaks: 0,
            is_write_blocked: false,
        }
    }

    /// Resets the count when a write begins or makes progress. Further tries to write to a client that does not
    /// read do not reset it.
    fn reset_after_write(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if !self.is_write_blocked || written.is_ready() {
            self.read = 0;
        }
        self.is_write_blocked = written.is_pending();
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for BoundedRequests<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read > self.max_request_octets || self.line_breaks > MAX_LINE_BREAK_OCTETS {
            return Poll::Ready(Err(io::Error::other("the request has too many octets")));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        self.read += read.len();
        let only_line_breaks = read.iter().all(|octet| matches!(octet, b'\r' | b'\n'));
        self.line_breaks = if only_line_breaks { self.line_breaks + read.len() } else { 0 };
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BoundedRequests<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, octets);
        self.reset_after_write(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.reset_after_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
