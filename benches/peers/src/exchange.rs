//! One request with the response that must come back. A fast wrong answer is not a result, so a response that
//! differs ends the benchmark.

use std::net::SocketAddr;

use memchr::memmem;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A request, and what its response must have.
pub(crate) struct Exchange {
    pub(crate) request: Vec<u8>,
    pub(crate) status: u16,
    /// Texts that the response's head must contain, such as a header with its value.
    pub(crate) head: Vec<String>,
    /// The exact body; `None` for any.
    pub(crate) body: Option<&'static [u8]>,
}

impl Exchange {
    /// A request with this request line's method and target and with these header lines.
    pub(crate) fn new(method: &str, target: &str, headers: &str, status: u16) -> Self {
        let request =
            format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n").into_bytes();
        Self { request, status, head: Vec::new(), body: None }
    }

    pub(crate) fn with_head(mut self, text: impl Into<String>) -> Self {
        self.head.push(text.into());
        self
    }

    pub(crate) fn with_body(mut self, body: &'static [u8]) -> Self {
        self.body = Some(body);
        self
    }

    /// Panics unless the response is the expected one.
    fn check(&self, response: &Response<'_>) {
        let is_right = response.status == self.status
            && self.body.is_none_or(|body| body == response.body)
            && self.head.iter().all(|text| memmem::find(response.head, text.as_bytes()).is_some());
        assert!(
            is_right,
            "expected {} with {:?} and {:?}, but got {}{}\nfor {}",
            self.status,
            self.head,
            self.body.map(String::from_utf8_lossy),
            String::from_utf8_lossy(response.head),
            String::from_utf8_lossy(response.body),
            String::from_utf8_lossy(&self.request),
        );
    }
}

/// A response in the buffer of its connection.
pub(crate) struct Response<'b> {
    pub(crate) status: u16,
    head: &'b [u8],
    pub(crate) body: &'b [u8],
}

/// A connection that stays open between requests, as those of a reverse proxy do.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(8192) })
    }

    /// Sends the request and checks its response.
    pub(crate) async fn exchange(&mut self, exchange: &Exchange) {
        exchange.check(&self.response(&exchange.request).await.unwrap());
    }

    /// Sends the request; returns its response. An error if the server closes the connection.
    pub(crate) async fn response(&mut self, request: &[u8]) -> std::io::Result<Response<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (head, body) = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let Some(head) = memmem::find(&self.buffer, b"\r\n\r\n").map(|end| end + 4) else {
                continue;
            };
            let body = content_length(&self.buffer[..head]);
            if self.buffer.len() >= head + body {
                break (head, body);
            }
        };
        let (head, rest) = self.buffer.split_at(head);
        assert_eq!(rest.len(), body, "a response is longer than its Content-Length");
        let status = std::str::from_utf8(&head[9..12]).unwrap().parse().unwrap();
        Ok(Response { status, head, body: rest })
    }
}

/// The value of `Content-Length`; 0 if there is none, as in a response with status 204. No server of this
/// benchmark sends chunks: such a response fails because its body is longer.
fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    let lines = memchr::memchr_iter(b'\n', head).map(|end| &head[end + 1..]);
    let value = lines.filter(|line| line.len() > NAME.len()).find_map(|line| {
        line[..NAME.len()].eq_ignore_ascii_case(NAME).then(|| &line[NAME.len()..])
    });
    let digits = |value: &[u8]| {
        let end = memchr::memchr(b'\r', value).unwrap();
        std::str::from_utf8(&value[..end]).unwrap().trim().parse().unwrap()
    };
    value.map_or(0, digits)
}
