//! Distinguishes HTTP/2 with prior knowledge (RFC 9113, section 3.3) from HTTP/1.1 by the first octets of a
//! connection.
//!
//! hyper-util's `auto::Builder` does the same, but it cannot limit the time that a client takes for these octets, nor
//! put [`BoundedRequests`](super::request_octets::BoundedRequests) around HTTP/1.1 alone.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// The first line of the preface of HTTP/2 (RFC 9113, section 3.4). It differs from every request line of HTTP/1.1.
const PREFACE: [u8; 14] = *b"PRI * HTTP/2.0";

/// The protocol that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Determines the protocol of a connection: reads octets as long as they match the preface of HTTP/2. The
/// returned stream yields these octets again. `None` if the client closes the connection without sending any
/// octet.
pub(super) async fn detect<S: AsyncRead + Unpin>(
    mut stream: S,
) -> io::Result<Option<(Protocol, Rewound<S>)>> {
    let mut octets = [0; PREFACE.len()];
    let mut length = 0;
    while let Some(room) = octets.get_mut(length..).filter(|room| !room.is_empty()) {
        let read = stream.read(room).await?;
        length += read;
        let is_preface = octets.get(..length) == PREFACE.get(..length);
        if read == 0 || !is_preface {
            break;
        }
    }
    let protocol = if octets == PREFACE { Protocol::Http2 } else { Protocol::Http1 };
    Ok((length > 0).then_some((protocol, Rewound { octets, given: 0, length, stream })))
}

/// A stream that first yields the octets that [`detect`] has read from it.
#[derive(Debug)]
pub(super) struct Rewound<S> {
    /// The octets that [`detect`] has read, in the first `length` places.
    octets: [u8; PREFACE.len()],
    /// How many of the octets the stream has yielded again.
    given: usize,
    length: usize,
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = (self.length - self.given).min(buffer.remaining());
        if length == 0 {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let end = self.given + length;
        buffer.put_slice(self.octets.get(self.given..end).unwrap_or_default());
        self.given = end;
        // Also read what has arrived since, so that the reader gets all octets in one read, as it would without
        // `detect`.
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
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

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[rstest]
    #[case::the_preface(&["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], Protocol::Http2)]
    #[case::octet_by_octet(&["P", "R", "I", " * HTTP/2.0"], Protocol::Http2)]
    #[case::get(&["GET / HTTP/1.1\r\n"], Protocol::Http1)]
    #[case::propfind(&["P", "R", "OPFIND / HTTP/1.1\r\n"], Protocol::Http1)]
    #[case::another_method(&["PRINT / HTTP/1.1\r\n"], Protocol::Http1)]
    #[case::another_version(&["PRI * HTTP/1.1\r\n"], Protocol::Http1)]
    #[case::cut_off(&["PR"], Protocol::Http1)]
    #[tokio::test]
    async fn the_first_octets_determine_the_protocol_and_are_read_again(
        #[case] pieces: &'static [&'static str],
        #[case] expected: Protocol,
    ) {
        let (mut client, server) = tokio::io::duplex(64);
        let sending = tokio::spawn(async move {
            for piece in pieces {
                client.write_all(piece.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let (protocol, mut stream) = detect(server).await.unwrap().unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        sending.await.unwrap();
        assert_eq!((protocol, text), (expected, pieces.concat()));
    }

    #[tokio::test]
    async fn a_client_that_sends_nothing_has_no_protocol() {
        let (client, server) = tokio::io::duplex(64);
        drop(client);
        assert!(detect(server).await.unwrap().is_none());
    }
}
