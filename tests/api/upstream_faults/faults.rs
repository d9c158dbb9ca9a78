//! The table: every way in which an upstream goes wrong, and what comes of it for each operation.

use std::{net::SocketAddr, time::Duration};

use crate::harness::{
    FaultStep::{
        self, Close, Forward, ForwardAndDropReply, Hang, Reset, ResetUnread, Send, SendByteByByte,
        SendRepeatedly,
    },
    Operation,
};

/// What the gateway makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As if nothing had happened.
    Done,
    Unavailable,
    Timeout,
    Error,
    /// With the `Retry-After` that came.
    RateLimited,
}

/// How many calls arrive, and what is made of it.
pub(super) type Expected = (usize, Verdict);

pub(super) struct Row {
    pub(super) fault: String,
    /// How often it acts.
    pub(super) times: usize,
    pub(super) steps: Vec<FaultStep>,
    logout: Expected,
    token: Expected,
    user: Expected,
    /// What tells, or that nothing does, is there only when the budget is used up.
    pub(super) takes_the_budget: bool,
}

impl Row {
    fn new(fault: &str, steps: impl Into<Vec<FaultStep>>, all: Expected) -> Self {
        let (fault, steps) = (fault.to_owned(), steps.into());
        let takes_the_budget = all == TIMEOUT;
        let times = usize::MAX;
        Self { fault, times, steps, logout: all, token: all, user: all, takes_the_budget }
    }

    fn once(fault: &str, steps: impl Into<Vec<FaultStep>>) -> Self {
        Self { times: 1, ..Self::new(fault, steps, (2, Verdict::Done)) }
    }

    pub(super) fn expected(&self, operation: Operation) -> Expected {
        match operation {
            Operation::Logout => self.logout,
            Operation::Token => self.token,
            // Of a key set, too, the body is what counts.
            Operation::User | Operation::KeySet => self.user,
        }
    }

    /// GoTrue did what it was asked, whatever the answer says of it.
    pub(super) fn takes_effect(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, ForwardAndDropReply | Forward(_)))
    }
}

const DONE: Expected = (1, Verdict::Done);
const ERROR: Expected = (1, Verdict::Error);
pub(super) const TIMEOUT: Expected = (1, Verdict::Timeout);
const RATE_LIMITED: Expected = (1, Verdict::RateLimited);
/// After its one retry.
const UNAVAILABLE: Expected = (2, Verdict::Unavailable);
const TIMEOUT_TOLD: Expected = (2, Verdict::Timeout);

pub(super) const RETRY_AFTER: &str = "17";
const SLOWLY: Duration = Duration::from_millis(50);

fn text(octets: impl AsRef<[u8]>) -> FaultStep {
    Send(octets.as_ref().to_owned())
}

/// The end of a head, and what there is of a body.
const NOTHING: &str = "Content-Length: 2\r\n\r\n{}";
const ENDLESS: &str = "Transfer-Encoding: chunked\r\n\r\n";
const SOME_OF: &str = "Content-Length: 500\r\n\r\n{\"code\":";

fn head(status: u16, lines: &str) -> FaultStep {
    text(format!(
        "HTTP/1.1 {status} \r\nContent-Type: application/json\r\nRetry-After: {RETRY_AFTER}\r\n{lines}"
    ))
}

/// `{"padding":"xxx…`, in chunks.
fn chunks() -> [FaultStep; 2] {
    [
        text("c\r\n{\"padding\":\"\r\n"),
        SendRepeatedly(format!("1000\r\n{}\r\n", "x".repeat(4096)).into()),
    ]
}

/// `{"code":403,"error_code":"session_not_found"}`, compressed.
fn gzip(status: &str) -> FaultStep {
    const BODY: &[u8] = include_bytes!("session_not_found.json.gz");
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        BODY.len()
    );
    text([head.as_bytes(), BODY].concat())
}

/// What happens to connections and to octets.
pub(super) fn on_the_wire() -> Vec<Row> {
    let silent = |fault, steps: &[FaultStep]| Row::new(fault, steps, UNAVAILABLE);
    let late = |fault, steps: &[FaultStep]| Row::new(fault, steps, TIMEOUT);
    let wrong = |fault, steps: &[FaultStep]| Row::new(fault, steps, ERROR);
    let send_in_pieces = |octets: &str| SendByteByByte(octets.into(), SLOWLY);
    let [open, more] = chunks();
    vec![
        silent("reset before the request is read", &[ResetUnread]),
        Row::once("reset once before the request is read", [ResetUnread]),
        silent("reset after the request was read", &[Reset]),
        Row::once("reset once after the request was read", [Reset]),
        Row::once("reset once after it took effect", [ForwardAndDropReply, Reset]),
        Row::once("a 503 once after it took effect", [ForwardAndDropReply, head(503, NOTHING)]),
        Row::once("hangs once in the body of a 503", [head(503, SOME_OF), Hang]),
        wrong("a 200 after it took effect", &[ForwardAndDropReply, head(200, NOTHING)]),
        silent("closed without a word", &[Close]),
        late("hangs before the head", &[Hang]),
        late("hangs before the head after it took effect", &[ForwardAndDropReply, Hang]),
        late("hangs in the head", &[text("HTTP/1.1 204 No Con"), Hang]),
        Row { logout: ERROR, ..late("hangs in the body of a 200", &[head(200, SOME_OF), Hang]) },
        late("hangs in the body of a 403", &[head(403, SOME_OF), Hang]),
        Row {
            takes_the_budget: true,
            ..Row::new("hangs in the body of a 429", [head(429, SOME_OF), Hang], RATE_LIMITED)
        },
        Row {
            takes_the_budget: true,
            ..wrong("hangs in the body of a 500", &[head(500, SOME_OF), Hang])
        },
        silent("hangs in the body of a 503", &[head(503, SOME_OF), Hang]),
        wrong(
            "hangs in the body of a 403 whose head says why",
            &[head(403, &format!("X-Sb-Error-Code: no_authorization\r\n{SOME_OF}")), Hang],
        ),
        late(
            "drips a head that takes too long",
            &[send_in_pieces("HTTP/1.1 204 No Content\r\nServer: sloth/1.0\r\n\r\n")],
        ),
        late(
            "drips a body that takes too long",
            &[
                head(403, "Content-Length: 45\r\n\r\n"),
                send_in_pieces("{\"code\":403,\"error_code\":\"session_not_found\"}"),
            ],
        ),
        Row::new("drips its answer in time", [Forward(Duration::from_millis(1))], DONE),
        Row::new("closes after its answer", [Forward(Duration::ZERO), Close], DONE),
        silent("truncated in the head", &[text("HTTP/1.1 204 No Content\r\nDate: Mon"), Close]),
        Row {
            // A refresh that breaks off is no answer: it says nothing about the request.
            token: (1, Verdict::Unavailable),
            ..wrong("truncated in the body of a 200", &[head(200, SOME_OF), Close])
        },
        wrong("truncated in the body of a 403", &[head(403, SOME_OF), Close]),
        wrong("truncated between chunks", &[head(403, ENDLESS), text("7\r\n{\"code\"\r\n"), Close]),
        silent("garbage", &[text(b"\x16\x03\x01\x00\xff\xfe\xff\r\n\r\n\x00\x00"), Close]),
        silent("another protocol", &[text("SSH-2.0-OpenSSH_9.9\r\n"), Close]),
        silent(
            "two lengths",
            &[head(403, "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "), Close],
        ),
        silent(
            "a head without end",
            &[
                text("HTTP/1.1 204 No Content\r\n"),
                SendRepeatedly("X-Padding: x\r\n".repeat(2000).into()),
            ],
        ),
        wrong("gzip nobody asked for, of a 200", &[gzip("200 OK")]),
        wrong("gzip nobody asked for, of a 403", &[gzip("403 Forbidden")]),
        Row {
            logout: DONE,
            ..wrong(
                "a 204 that says gzip",
                &[
                    ForwardAndDropReply,
                    text("HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\n"),
                ],
            )
        },
        wrong("a 200 without end", &[head(200, ENDLESS), open.clone(), more.clone()]),
        wrong("a 403 without end", &[head(403, ENDLESS), open.clone(), more.clone()]),
        silent("a 503 without end", &[head(503, ENDLESS), open, more]),
        Row::new(
            "100, 102 and 103 before the answer",
            [100, 102, 103]
                .map(|status| text(format!("HTTP/1.1 {status} \r\nLink: </x>\r\n\r\n")))
                .into_iter()
                .chain([Forward(Duration::ZERO)])
                .collect::<Vec<_>>(),
            DONE,
        ),
        wrong("101", &[text("HTTP/1.1 101 \r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), Hang]),
        late("102 for ever", &[SendRepeatedly("HTTP/1.1 102 Processing\r\n\r\n".into())]),
    ]
}

/// Redirects to a listener that must see no connection.
pub(super) fn redirects(to: SocketAddr) -> Vec<Row> {
    let row = |status: u16| {
        let location = format!("Location: http://{to}/auth/v1/logout\r\nContent-Length: 0\r\n\r\n");
        Row::new(&format!("a redirect, {status}"), [head(status, &location)], ERROR)
    };
    [301, 302, 303, 307, 308].map(row).into()
}

/// Answers that are no success: of GoTrue in both API versions, of an API gateway, of any web server.
pub(super) fn answers() -> Vec<Row> {
    const STATUSES: [u16; 12] = [200, 202, 400, 401, 403, 404, 409, 429, 500, 502, 503, 504];
    STATUSES.into_iter().flat_map(bodies).collect()
}

fn bodies(status: u16) -> [Row; 5] {
    // With a 5xx nothing is believed, least of all that the session is gone.
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
    bodies.map(|(whose, body, coded)| {
        let coded = if coded { format!("X-Sb-Error-Code: {code}\r\n") } else { String::new() };
        let answer = format!("{coded}Content-Length: {}\r\n\r\n{body}", body.len());
        let expected = match status {
            429 => RATE_LIMITED,
            502 | 503 => UNAVAILABLE,
            504 => TIMEOUT_TOLD,
            _ => ERROR,
        };
        Row::new(&format!("{status} of {whose}"), [head(status, &answer)], expected)
    })
}
