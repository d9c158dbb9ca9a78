//! An HTTP/1.1 client without a library, so that tests control every byte of a request and see every header
//! line of a response.

use std::net::SocketAddr;

use super::{
    connect::{Stream, connect},
    leak_check,
};
use logout_gateway::ListenAddress;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::either::Either;

/// A response as the server sent it, except that header names are in lower case.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Names, in lower case, and values of the header lines, in the order of the response.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    /// The value of the header, or `None`; the test fails if the response has the header more than once.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.header_values(name);
        assert!(all.len() <= 1, "the response has {name} more than once: {all:?}");
        all.first().copied()
    }

    /// The values of all header lines with this name, in the order of the response.
    pub fn header_values(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    }

    pub fn set_cookies(&self) -> Vec<&str> {
        self.header_values("set-cookie")
    }

    /// The names of the cookies that the response deletes; the test fails if a `Set-Cookie` line sets a
    /// cookie.
    #[track_caller]
    pub fn deleted_cookies(&self) -> Vec<&str> {
        let deletion = |line: &&str| {
            let (name, rest) = line.split_once('=').unwrap();
            assert!(rest.starts_with("; ") && rest.contains("Max-Age=0"), "{line}");
            line.split_at(name.len()).0.len()
        };
        let lines = self.set_cookies();
        lines.iter().map(|line| &line[..deletion(line)]).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("the body is not JSON: {self:?}"))
    }
}

/// A request that a test builds line by line.
#[derive(Clone, Debug)]
pub struct Request {
    address: ListenAddress,
    method: String,
    target: String,
    host: Option<String>,
    lines: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

impl Request {
    pub fn new(address: SocketAddr, method: &str, target: &str) -> Self {
        Self::to(address.into(), method, target)
    }

    /// A request to a server that may listen on a unix socket.
    pub fn to(address: ListenAddress, method: &str, target: &str) -> Self {
        let host = address.tcp().map_or("localhost".to_owned(), |address| address.to_string());
        Self {
            address,
            method: method.to_owned(),
            target: target.to_owned(),
            host: Some(host),
            lines: Vec::new(),
            body: None,
        }
    }

    /// Sets the `Host` header, which is by default the address of the server, or `localhost` at a unix socket.
    pub fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// Adds a header line, even if the request has a line with this name already.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.lines.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub fn headers(self, lines: &[(&str, &str)]) -> Self {
        lines.iter().fold(self, |request, (name, value)| request.header(name, value))
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// Adds one `Cookie` line with the names and values in `pairs`, or no line if `pairs` is empty.
    pub fn cookies<N: AsRef<str>, V: AsRef<str>>(self, pairs: &[(N, V)]) -> Self {
        let pairs =
            pairs.iter().map(|(name, value)| format!("{}={}", name.as_ref(), value.as_ref()));
        let line = pairs.collect::<Vec<_>>().join("; ");
        if line.is_empty() { self } else { self.header("Cookie", line) }
    }

    /// Sets the body and `Content-Length`, but no `Content-Type`.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The request as bytes, with `Connection: close` if `close` is true.
    pub fn bytes(&self, close: bool) -> Vec<u8> {
        for (name, value) in &self.lines {
            leak_check::record_header(name, value);
        }
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        if let Some(host) = &self.host {
            bytes.extend(format!("Host: {host}\r\n").into_bytes());
        }
        for (name, value) in &self.lines {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if let Some(body) = &self.body {
            bytes.extend(format!("Content-Length: {}\r\n", body.len()).into_bytes());
        }
        if close {
            bytes.extend(b"Connection: close\r\n");
        }
        bytes.extend(b"\r\n");
        bytes.extend(self.body.iter().flatten());
        bytes
    }

    /// Sends the request on a new connection; returns the response.
    pub async fn send(self) -> Reply {
        let mut connection = Connection::open_to(&self.address).await;
        connection.write(&self.bytes(true)).await;
        connection.reply(self.method == "HEAD").await.expect("the server responds")
    }
}

/// A connection on which a test can send several requests.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    read: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        Self::open_to(&address.into()).await
    }

    /// Connects to a server that may listen on a unix socket.
    pub async fn open_to(address: &ListenAddress) -> Self {
        Self { stream: connect(address).await.unwrap(), read: Vec::new() }
    }

    /// Connects to the address of `request`; returns `None` if no server listens there.
    pub async fn try_open(request: &Request) -> Option<Self> {
        Some(Self { stream: connect(&request.address).await.ok()?, read: Vec::new() })
    }

    /// Writes the bytes and ignores errors: a server that refuses a request may close its side before it has
    /// read the whole request, and only its response matters.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Reads the next response; returns `None` if the server closes the connection without one.
    /// `without_body` must be true for responses to `HEAD`.
    pub async fn reply(&mut self, without_body: bool) -> Option<Reply> {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if !self.read_more().await {
                assert!(
                    self.read.is_empty(),
                    "the connection was closed in the middle of a head: {:?}",
                    self.read
                );
                return None;
            }
        };
        let head = String::from_utf8(self.read.drain(..end + 4).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        for (name, value) in &headers {
            leak_check::record_header(name, value.as_bytes());
        }
        let mut reply = Reply { status, headers, body: Vec::new() };
        let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
        let length: usize = if without_body { 0 } else { length };
        reply.body = match reply.header("transfer-encoding") {
            None => self.read_exact(length).await,
            Some(coding) => {
                assert_eq!(coding, "chunked");
                self.read_chunks().await
            }
        };
        Some(reply)
    }

    /// Reads exactly `length` bytes; panics if the connection ends before.
    async fn read_exact(&mut self, length: usize) -> Vec<u8> {
        while self.read.len() < length {
            assert!(self.read_more().await, "the connection was closed in the middle of a body");
        }
        self.read.drain(..length).collect()
    }

    /// Reads a chunked body (RFC 9112, section 7.1), as proxies send it.
    async fn read_chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match self.read.windows(2).position(|window| window == b"\r\n") {
                    Some(at) => break at,
                    None => assert!(self.read_more().await, "the connection was closed in a chunk"),
                }
            };
            let size = self.read_exact(end + 2).await;
            let size = usize::from_str_radix(std::str::from_utf8(&size[..end]).unwrap(), 16);
            let chunk = self.read_exact(size.unwrap() + 2).await;
            if chunk.len() == 2 {
                return body;
            }
            body.extend(&chunk[..chunk.len() - 2]);
        }
    }

    /// Reads until the server closes the connection; returns the response, or `None` if its head is
    /// incomplete.
    pub async fn reply_if_complete(mut self) -> Option<Reply> {
        while self.read_more().await {}
        let whole = self.read.windows(4).any(|window| window == b"\r\n\r\n");
        if whole { self.reply(false).await } else { None }
    }

    /// Waits for bytes and reads those that are available; returns `false` at the end of the connection.
    async fn read_more(&mut self) -> bool {
        self.read.reserve(16 * 1024);
        self.stream.read_buf(&mut self.read).await.is_ok_and(|length| length > 0)
    }

    /// Closes the writing side of the connection; the test can still read the response.
    pub async fn shutdown_write(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Resets the connection (TCP `RST`), as the kernel does when a client crashes.
    pub fn reset(self) {
        match self.stream {
            Either::Left(stream) => stream.set_zero_linger().unwrap(),
            Either::Right(_) => panic!("a unix socket has no reset"),
        }
    }

    /// Returns whether unread bytes arrive, or the server closes the connection, within a millisecond.
    pub async fn has_unread_bytes(&mut self) -> bool {
        let more = tokio::time::timeout(std::time::Duration::from_millis(1), self.read_more());
        more.await.is_ok()
    }

    /// Waits until bytes arrive or the server closes the connection; returns whether it has closed.
    pub async fn is_closed_by_peer(&mut self) -> bool {
        !self.read_more().await
    }
}
