//! A connection that reads no more octets of one request than a request may have.
//!
//! hyper bounds a head and what it buffers, but neither the digits of a chunk's size, which it reads
//! without end, nor the time for line breaks before a request line, all of which it scans again whenever
//! one more arrives.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A body of 8 KiB in chunks of one octet each takes 48 KiB.
const BODY_OCTETS: usize = 64 * 1024;
/// Line breaks before a request line, in octets; RFC 9112, section 2.2, asks to ignore at least one. They
/// count in a body as well: this layer does not see where a request begins, and no body needs as many.
const LINE_BREAK_OCTETS: usize = 64;

/// Counts the octets that are read between two answers. Once they are too many the next read fails: hyper
/// reads only for a request that is incomplete, so pipelined requests that came with it do not matter.
#[derive(Debug)]
pub(super) struct Bounded<S> {
    stream: S,
    request_octets: usize,
    /// Octets read since the last answer.
    read: usize,
    /// Octets of the latest reads that held line breaks alone.
    line_breaks: usize,
    /// The client does not take the answer.
    write_blocked: bool,
}

impl<S> Bounded<S> {
    /// Bounds the requests on `stream`, whose heads may have `head_octets`.
    pub(super) fn new(stream: S, head_octets: usize) -> Self {
        Self {
            stream,
            request_octets: head_octets.saturating_add(BODY_OCTETS),
            read: 0,
            line_breaks: 0,
            write_blocked: false,
        }
    }

    /// Begins to count anew when a write begins or makes progress. A client that takes no answer does not
    /// renew the count with each try to write.
    fn written(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if !self.write_blocked || written.is_ready() {
            self.read = 0;
        }
        self.write_blocked = written.is_pending();
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read > self.request_octets || self.line_breaks > LINE_BREAK_OCTETS {
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, octets);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(written)
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
