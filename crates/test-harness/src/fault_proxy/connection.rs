//! One connection of the wire: what is told from the request, and what happens to it.

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

/// What GoTrue is asked for.
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

/// What happens on the wire, one after the other. After the last one the connection goes on, unless
/// that ended it.
#[derive(Clone, Debug)]
pub enum FaultStep {
    /// A TCP `RST` while the request lies there unread; only as the first step.
    ResetUnread,
    /// GoTrue gets the request and does what it asks; its answer is lost.
    ForwardAndDropReply,
    /// GoTrue answers, 16 octets at a time, each so much later.
    Forward(Duration),
    Send(Vec<u8>),
    /// The same octet by octet, each so much later.
    SendByteByByte(Vec<u8>, Duration),
    /// Again and again, a thousand times a second, until the gateway has had enough.
    SendRepeatedly(Vec<u8>),
    /// Nothing more, until the gateway has had enough.
    Hang,
    Close,
    /// A TCP `RST`.
    Reset,
}

/// What nginx answers to a request head over its limit.
const HEAD_TOO_LARGE: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 34\r\n\r\n\
                              Request Header Or Cookie Too Large";

pub(super) async fn serve(
    mut stream: TcpStream,
    state: Arc<State>,
    mut known: watch::Receiver<Option<SocketAddr>>,
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
        let mock = known.wait_for(Option::is_some).await.ok()?.unwrap();
        for step in steps {
            run_step(&step, &mut stream, &request, mock, &state.held_connections).await?;
        }
    }
}

/// What the next request is, and how long; it is left unread.
async fn peek_request(stream: &TcpStream) -> Option<(Option<CallKey>, usize)> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let there = stream.peek(&mut buffer).await.ok().filter(|length| *length > 0)?;
        if let Some(end) = buffer[..there].windows(4).position(|window| window == b"\r\n\r\n") {
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
        // What is peeked at stays readable: nothing tells when more is there.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// `None` ends the connection.
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

/// GoTrue's answer to the request, as it came.
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

/// `None` if the gateway closed its side first.
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
