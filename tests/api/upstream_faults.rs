//! Sections 4 and 8 of the contract: faults of GoTrue or of the network, of every kind and for every
//! operation. `faults` has the table of all faults.
//!
//! For each row the tests check the number of requests that arrive, the response to the client, the cookies,
//! the session, and the time of the response. A fault applies only to the request with its request id, so all
//! rows can run concurrently.

mod connections;
mod faults;
mod key_set;
mod logout;
mod user;

use std::{
    io::ErrorKind,
    net::TcpListener,
    time::{Duration, Instant},
};

use tokio::time::timeout;

use self::faults::{Row, Verdict};
use crate::harness::{Reply, Request, assert_error};

/// The upstream timeout for faults that last until the timeout.
const SHORT_TIMEOUT: Duration = Duration::from_millis(800);
/// The upstream timeout for all other faults, which is long because the machine may be slow.
const LONG_TIMEOUT: Duration = Duration::from_secs(20);
/// The time that a response may take in addition to the upstream timeout.
const MARGIN: Duration = Duration::from_secs(10);

/// The listener to which redirects point. The gateway must not follow them, so it must get no connection.
struct RedirectTarget(TcpListener);

impl RedirectTarget {
    fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn assert_no_connection(&self) {
        let accepted = self.0.accept().map(|(_, from)| from);
        assert_eq!(
            accepted.unwrap_err().kind(),
            ErrorKind::WouldBlock,
            "the redirect was followed"
        );
    }
}

/// The rows of the table in two lists: those that use up the upstream timeout, and the others.
fn table(redirect_target: &RedirectTarget) -> (Vec<Row>, Vec<Row>) {
    let redirects = faults::redirects(redirect_target.0.local_addr().unwrap());
    let rows = faults::on_the_wire().into_iter().chain(redirects).chain(faults::answers());
    rows.partition(|row| row.uses_up_timeout)
}

/// Asserts that the response to a logout, or to a request for a CSRF token that needs GoTrue, is the error
/// for `verdict`.
fn assert_failed(reply: &Reply, verdict: Verdict) {
    let reason = match verdict {
        Verdict::Unavailable => "auth_service_unavailable",
        Verdict::Timeout => "auth_service_timeout",
        Verdict::Error => "auth_service_error",
        Verdict::RateLimited => {
            assert_eq!(reply.header("retry-after"), Some(faults::RETRY_AFTER));
            return assert_error(reply, 429, "RATE_LIMITED", None);
        }
        Verdict::Done => unreachable!("the request succeeds"),
    };
    assert_error(reply, 500, "LOGOUT_FAILED", Some(reason));
}

/// Asserts that a response took at most [`MARGIN`] longer than the upstream timeout.
#[track_caller]
fn assert_in_time(took: Duration, upstream_timeout: Duration) {
    assert!(took < upstream_timeout + MARGIN, "the response took {took:?}");
}

/// Sends all requests concurrently. Returns the replies in the order of the requests, each with the time that
/// it took.
async fn send_concurrently<T: Send + 'static>(
    requests: Vec<(T, Request)>,
) -> Vec<(T, Reply, Duration)> {
    let send = |(case, request): (T, Request)| async move {
        let begun = Instant::now();
        let reply = timeout(LONG_TIMEOUT + MARGIN, request.send()).await;
        (case, reply.expect("a reply"), begun.elapsed())
    };
    let tasks: Vec<_> = requests.into_iter().map(|one| tokio::spawn(send(one))).collect();
    let mut replies = Vec::new();
    for task in tasks {
        replies.push(task.await.unwrap());
    }
    replies
}
