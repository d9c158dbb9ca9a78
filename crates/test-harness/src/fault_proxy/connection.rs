//! One connection from the gateway to the [`FaultProxy`](super::FaultProxy), which reads requests and
//! forwards them, or runs the steps of a fault.

use std::{
    net::SocketAddr,
    slice::Chunks,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, tcp::WriteHalf},
    sync::watch,
};

use super::{super::Connection, CallKey, State};

/// GoTrue's endpoints that the gateway calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Logout,
    Token,
    User,
    KeySet,
}

impl Operation {
    fn of(path: &str) -> Option<Self> {
        match path.rsplit('/').next()? {
            "logout" => Some(Self::Logout),
            "token" => Some(Self::Token),
            "user" => Some(Self::User),
            "jwks.json" => Some(Self::KeySet),
            _ => None,
        }
    }
}

/// A step of a fault. The proxy runs the steps of a request one after the other. After the last step it reads
/// the next request of the connection, unless a step has closed the connection.
#[derive(Clone, Debug)]
pub enum FaultStep {
    /// Resets the connection (TCP `RST`) before the proxy has read the request; allowed only as the first
    /// step.
    ResetUnread,
    /// Forwards the request to GoTrue and drops the reply.
    ForwardAndDropReply,
    /// Forwards the request and sends the reply in pieces of 16 bytes, with the given pause before each
    /// piece. With a zero pause the proxy sends the reply at once.
    Forward(Duration),
    /// Sends the bytes to the gateway in place of GoTrue's reply.
    Send(Vec<u8>),
    /// Sends the bytes to the gateway one at a time, with the given pause before each byte.
    SendByteByByte(Vec<u8>, Duration),
    /// Sends the bytes to the gateway a thousand times a second until the gateway closes the connection.
    SendRepeatedly(Vec<u8>),
    /// Sends nothing until the gateway closes the connection.
    Hang,
    Close,
    /// Resets the connection (TCP `RST`).
    Reset,
}

/// The response that nginx sends if a request head is over its limit.
const HEAD_TOO_LARGE: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 34\r\n\r\n\
                              Request Header Or Cookie Too Large";

pub(super) async fn serve(
    mut stream: TcpStream,
    state: Arc<State>,
    mut mock_address: watch::Receiver<Option<SocketAddr>>,
) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    loop {
        let (call, length) = peek_request(&stream).await?;
        let steps = call.and_then(|call| state.record_call(&call));
        let steps = steps.unwrap_or_else(|| vec![FaultStep::Forward(Duration::ZERO)]);
        if let [FaultStep::ResetUnread, ..] = steps[..] {
            return stream.set_zero_linger().ok();
        }
        let mut request = vec![0; length];
        stream.read_exact(&mut request).await.ok()?;
        let max_head_bytes = state.max_head_bytes.load(SeqCst);
        let head = request.windows(4).position(|window| window == b"\r\n\r\n")?;
        if max_head_bytes > 0 && head > max_head_bytes {
            stream.write_all(HEAD_TOO_LARGE.as_bytes()).await.ok()?;
            continue;
        }
        let mock = mock_address.wait_for(Option::is_some).await.ok()?.unwrap();
        for step in steps {
            run_step(&step, &mut stream, &request, mock, &state.held_connections).await?;
        }
    }
}

/// Returns the key and the length in bytes of the next request, which stays unread. The key is `None` if the
/// path is no [`Operation`]; the result is `None` if the gateway closes the connection.
async fn peek_request(stream: &TcpStream) -> Option<(Option<CallKey>, usize)> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let available = stream.peek(&mut buffer).await.ok().filter(|length| *length > 0)?;
        if let Some(end) = buffer[..available].windows(4).position(|window| window == b"\r\n\r\n") {
            let head = std::str::from_utf8(&buffer[..end]).unwrap();
            let value = |name: &str| {
                let lines = head.lines().filter_map(|line| line.split_once(": "));
                lines.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
            };
            let target = head.split(' ').nth(1)?;
            let operation = Operation::of(target.split('?').next()?);
            let id = value("x-request-id").unwrap_or_default().to_owned();
            let length = value("content-length").map_or(0, |length| length.parse().unwrap());
            return Some((operation.map(|operation| (operation, id)), end + 4 + length));
        }
        // Peeked bytes stay in the socket and keep it readable, so the runtime cannot report that more bytes
        // have arrived. Poll instead.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Runs one step of a fault; returns `None` if the connection is to be closed.
async fn run_step(
    step: &FaultStep,
    stream: &mut TcpStream,
    request: &[u8],
    mock: SocketAddr,
    held_connections: &AtomicUsize,
) -> Option<()> {
    match step {
        FaultStep::Reset | FaultStep::ResetUnread => {
            let _ = stream.set_zero_linger();
            None
        }
        FaultStep::Close => None,
        FaultStep::ForwardAndDropReply => call_gotrue(mock, request).await.map(drop),
        FaultStep::Forward(pace) => {
            let answer = call_gotrue(mock, request).await?;
            if pace.is_zero() {
                return stream.write_all(&answer).await.ok();
            }
            unless_peer_closes(stream, held_connections, async |to| {
                send_in_pieces(to, answer.chunks(16), *pace).await;
            })
            .await
        }
        FaultStep::Send(octets) => stream.write_all(octets).await.ok(),
        FaultStep::SendByteByByte(octets, pace) => {
            unless_peer_closes(stream, held_connections, async |to| {
                send_in_pieces(to, octets.chunks(1), *pace).await;
            })
            .await
        }
        FaultStep::SendRepeatedly(octets) => {
            let again = async |to: &mut WriteHalf<'_>| {
                while to.write_all(octets).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            unless_peer_closes(stream, held_connections, again).await;
            None
        }
        FaultStep::Hang => {
            unless_peer_closes(stream, held_connections, async |_| std::future::pending().await)
                .await;
            None
        }
    }
}

/// Forwards the request to the mock on a new connection; returns the reply as HTTP/1.1 bytes, or `None` if
/// the mock closes the connection without one.
async fn call_gotrue(mock: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let mut connection = Connection::open(mock).await;
    connection.write(request).await;
    let reply = connection.reply(false).await?;
    let mut answer = format!("HTTP/1.1 {} \r\n", reply.status);
    for (name, value) in &reply.headers {
        answer.extend([name, ": ", value, "\r\n"]);
    }
    Some([answer.as_bytes(), b"\r\n", &reply.body].concat())
}

/// Runs `writing`; returns `None` if the gateway closed its side before `writing` was done.
async fn unless_peer_closes(
    stream: &mut TcpStream,
    held_connections: &AtomicUsize,
    writing: impl AsyncFnOnce(&mut WriteHalf<'_>),
) -> Option<()> {
    held_connections.fetch_add(1, SeqCst);
    let (mut from, mut to) = stream.split();
    let mut octet = [0];
    let written = tokio::select! {
        biased;
        () = writing(&mut to) => Some(()),
        _ = from.read(&mut octet) => None,
    };
    held_connections.fetch_sub(1, SeqCst);
    written
}

async fn send_in_pieces(to: &mut WriteHalf<'_>, drops: Chunks<'_, u8>, pace: Duration) {
    for drop in drops {
        tokio::time::sleep(pace).await;
        if to.write_all(drop).await.is_err() {
            return;
        }
    }
}
