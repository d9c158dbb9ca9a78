//! The table of every fault of an upstream, with the expected result for each operation.

use std::{net::SocketAddr, time::Duration};

use crate::harness::{
    FaultStep::{
        self, Close, Forward, ForwardAndDropReply, Hang, Reset, ResetUnread, Send, SendByteByByte,
        SendRepeatedly,
    },
    Operation,
};

/// The result that the gateway must report for a request with a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The request must succeed.
    Done,
    Unavailable,
    Timeout,
    Error,
    /// The response must be a 429 with the `Retry-After` of the upstream.
    RateLimited,
}

/// The number of requests that must arrive at the upstream, and the result that the gateway must report.
pub(super) type Expected = (usize, Verdict);

pub(super) struct Row {
    pub(super) fault: String,
    /// The number of times that the fault occurs.
    pub(super) times: usize,
    pub(super) steps: Vec<FaultStep>,
    logout: Expected,
    token: Expected,
    user: Expected,
    /// Whether the gateway knows the result only when the upstream timeout has passed.
    pub(super) uses_up_timeout: bool,
}

impl Row {
    fn new(fault: &str, steps: impl Into<Vec<FaultStep>>, all: Expected) -> Self {
        let (fault, steps) = (fault.to_owned(), steps.into());
        let uses_up_timeout = all == TIMEOUT;
        let times = usize::MAX;
        Self { fault, times, steps, logout: all, token: all, user: all, uses_up_timeout }
    }

    fn once(fault: &str, steps: impl Into<Vec<FaultStep>>) -> Self {
        Self { times: 1, ..Self::new(fault, steps, (2, Verdict::Done)) }
    }

    pub(super) fn expected(&self, operation: Operation) -> Expected {
        match operation {
            Operation::Logout => self.logout,
            Operation::Token => self.token,
            // The gateway needs the body of a key set as it needs that of a user, so a fault must have the
            // same result for both operations.
            Operation::User | Operation::KeySet => self.user,
        }
    }

    /// Whether GoTrue carries out the request, whatever its response is.
    pub(super) fn takes_effect(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, ForwardAndDropReply | Forward(_)))
    }
}

const DONE: Expected = (1, Verdict::Done);
const ERROR: Expected = (1, Verdict::Error);
pub(super) const TIMEOUT: Expected = (1, Verdict::Timeout);
const RATE_LIMITED: Expected = (1, Verdict::RateLimited);
/// The upstream is unavailable at the first try and at the one retry, so two requests arrive.
const UNAVAILABLE: Expected = (2, Verdict::Unavailable);
/// The upstream itself answers 504 to the first try and to the one retry, so two requests arrive.
const GATEWAY_TIMEOUT: Expected = (2, Verdict::Timeout);

pub(super) const RETRY_AFTER: &str = "17";
const BYTE_INTERVAL: Duration = Duration::from_millis(50);

fn text(octets: impl AsRef<[u8]>) -> FaultStep {
    Send(octets.as_ref().to_owned())
}

/// The end of a response head with a complete body.
const SHORT_BODY: &str = "Content-Length: 2\r\n\r\n{}";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n";
const PARTIAL: &str = "Content-Length: 500\r\n\r\n{\"code\":";

fn head(status: u16, lines: &str) -> FaultStep {
    text(format!(
        "HTTP/1.1 {status} \r\nContent-Type: application/json\r\nRetry-After: {RETRY_AFTER}\r\n{lines}"
    ))
}

/// The beginning of a chunked JSON body, `{"padding":"xxx…`, that never ends.
fn chunks() -> [FaultStep; 2] {
    [
        text("c\r\n{\"padding\":\"\r\n"),
        SendRepeatedly(format!("1000\r\n{}\r\n", "x".repeat(4096)).into()),
    ]
}

/// A response with the body `{"code":403,"error_code":"session_not_found"}`, compressed with gzip.
fn gzip(status: &str) -> FaultStep {
    const BODY: &[u8] = include_bytes!("session_not_found.json.gz");
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        BODY.len()
    );
    text([head.as_bytes(), BODY].concat())
}

/// Faults of the connection and of the bytes of a response.
pub(super) fn on_the_wire() -> Vec<Row> {
    let unavailable = |fault, steps: &[FaultStep]| Row::new(fault, steps, UNAVAILABLE);
    let timeout = |fault, steps: &[FaultStep]| Row::new(fault, steps, TIMEOUT);
    let error = |fault, steps: &[FaultStep]| Row::new(fault, steps, ERROR);
    let send_in_pieces = |octets: &str| SendByteByByte(octets.into(), BYTE_INTERVAL);
    let [open, more] = chunks();
    vec![
        unavailable("reset before the request is read", &[ResetUnread]),
        Row::once("reset once before the request is read", [ResetUnread]),
        unavailable("reset after the request was read", &[Reset]),
        Row::once("reset once after the request was read", [Reset]),
        Row::once("reset once after it took effect", [ForwardAndDropReply, Reset]),
        Row::once("a 503 once after it took effect", [ForwardAndDropReply, head(503, SHORT_BODY)]),
        Row::once("hangs once in the body of a 503", [head(503, PARTIAL), Hang]),
        error("a 200 after it took effect", &[ForwardAndDropReply, head(200, SHORT_BODY)]),
        unavailable("closed without a response", &[Close]),
        timeout("hangs before the head", &[Hang]),
        timeout("hangs before the head after it took effect", &[ForwardAndDropReply, Hang]),
        timeout("hangs in the head", &[text("HTTP/1.1 204 No Con"), Hang]),
        Row { logout: ERROR, ..timeout("hangs in the body of a 200", &[head(200, PARTIAL), Hang]) },
        timeout("hangs in the body of a 403", &[head(403, PARTIAL), Hang]),
        Row {
            uses_up_timeout: true,
            ..Row::new("hangs in the body of a 429", [head(429, PARTIAL), Hang], RATE_LIMITED)
        },
        Row {
            uses_up_timeout: true,
            ..error("hangs in the body of a 500", &[head(500, PARTIAL), Hang])
        },
        unavailable("hangs in the body of a 503", &[head(503, PARTIAL), Hang]),
        error(
            "hangs in the body of a 403 whose head has the error code",
            &[head(403, &format!("X-Sb-Error-Code: no_authorization\r\n{PARTIAL}")), Hang],
        ),
        timeout(
            "drips a head that takes too long",
            &[send_in_pieces("HTTP/1.1 204 No Content\r\nServer: sloth/1.0\r\n\r\n")],
        ),
        timeout(
            "drips a body that takes too long",
            &[
                head(403, "Content-Length: 45\r\n\r\n"),
                send_in_pieces("{\"code\":403,\"error_code\":\"session_not_found\"}"),
            ],
        ),
        Row::new("drips its answer in time", [Forward(Duration::from_millis(1))], DONE),
        Row::new("closes after its answer", [Forward(Duration::ZERO), Close], DONE),
        unavailable(
            "truncated in the head",
            &[text("HTTP/1.1 204 No Content\r\nDate: Mon"), Close],
        ),
        Row {
            // A refresh needs the body of its 200, so a body that breaks off must count as no answer.
            token: (1, Verdict::Unavailable),
            ..error("truncated in the body of a 200", &[head(200, PARTIAL), Close])
        },
        error("truncated in the body of a 403", &[head(403, PARTIAL), Close]),
        error("truncated between chunks", &[head(403, CHUNKED), text("7\r\n{\"code\"\r\n"), Close]),
        unavailable("garbage", &[text(b"\x16\x03\x01\x00\xff\xfe\xff\r\n\r\n\x00\x00"), Close]),
        unavailable("another protocol", &[text("SSH-2.0-OpenSSH_9.9\r\n"), Close]),
        unavailable(
            "two lengths",
            &[head(403, "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "), Close],
        ),
        unavailable(
            "a head without end",
            &[
                text("HTTP/1.1 204 No Content\r\n"),
                SendRepeatedly("X-Padding: x\r\n".repeat(2000).into()),
            ],
        ),
        error("a 200 with gzip that was not requested", &[gzip("200 OK")]),
        error("a 403 with gzip that was not requested", &[gzip("403 Forbidden")]),
        Row {
            logout: DONE,
            ..error(
                "a 204 that says gzip",
                &[
                    ForwardAndDropReply,
                    text("HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\n"),
                ],
            )
        },
        error("a 200 without end", &[head(200, CHUNKED), open.clone(), more.clone()]),
        error("a 403 without end", &[head(403, CHUNKED), open.clone(), more.clone()]),
        unavailable("a 503 without end", &[head(503, CHUNKED), open, more]),
        Row::new(
            "100, 102 and 103 before the answer",
            [100, 102, 103]
                .map(|status| text(format!("HTTP/1.1 {status} \r\nLink: </x>\r\n\r\n")))
                .into_iter()
                .chain([Forward(Duration::ZERO)])
                .collect::<Vec<_>>(),
            DONE,
        ),
        error("101", &[text("HTTP/1.1 101 \r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), Hang]),
        timeout("endless 102", &[SendRepeatedly("HTTP/1.1 102 Processing\r\n\r\n".into())]),
    ]
}

/// Redirects to a listener to which the gateway must not connect.
pub(super) fn redirects(to: SocketAddr) -> Vec<Row> {
    let row = |status: u16| {
        let location = format!("Location: http://{to}/auth/v1/logout\r\nContent-Length: 0\r\n\r\n");
        Row::new(&format!("a redirect, {status}"), [head(status, &location)], ERROR)
    };
    [301, 302, 303, 307, 308].map(row).into()
}

/// Responses other than success: of GoTrue in both API versions, of an API gateway and of a web server.
pub(super) fn answers() -> Vec<Row> {
    const STATUSES: [u16; 12] = [200, 202, 400, 401, 403, 404, 409, 429, 500, 502, 503, 504];
    STATUSES.into_iter().flat_map(bodies).collect()
}

fn bodies(status: u16) -> [Row; 5] {
    // The error code of a 5xx says here that the session is gone, but the gateway must not use it.
    let code = match status {
        500.. => "session_not_found",
        429 => "over_request_rate_limit",
        _ => "no_authorization",
    };
    let bodies = [
        ("GoTrue", format!(r#"{{"code":"{code}","message":"…"}}"#), true),
        (
            "an older GoTrue",
            format!(r#"{{"code":{status},"error_code":"{code}","msg":"…"}}"#),
            true,
        ),
        ("GoTrue without the header", format!(r#"{{"code":"{code}","message":"…"}}"#), false),
        ("an API gateway", r#"{"message":"…"}"#.to_owned(), false),
        ("a web server", "<html><h1>…</h1></html>".to_owned(), false),
    ];
    bodies.map(|(sender, body, has_code_header)| {
        let code_header =
            if has_code_header { format!("X-Sb-Error-Code: {code}\r\n") } else { String::new() };
        let answer = format!("{code_header}Content-Length: {}\r\n\r\n{body}", body.len());
        let expected = match status {
            429 => RATE_LIMITED,
            502 | 503 => UNAVAILABLE,
            504 => GATEWAY_TIMEOUT,
            _ => ERROR,
        };
        Row::new(&format!("{status} of {sender}"), [head(status, &answer)], expected)
    })
}
