//! Sections 4 and 8 of the contract: an upstream that goes wrong on the wire, in every way and at
//! every operation. The table is in `faults`.
//!
//! For each row: how many calls arrive, what the client is told, what becomes of cookies and session,
//! and that it is over when the budget is. A fault finds its call by the request id, so that the rows
//! of a table go wrong side by side.

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

/// Where what goes wrong uses it up.
const SHORT_BUDGET: Duration = Duration::from_millis(800);
/// Where it must not matter how slow this machine is.
const LONG_BUDGET: Duration = Duration::from_secs(20);
/// For everything but waiting for GoTrue.
const MARGIN: Duration = Duration::from_secs(10);

/// Somebody to whom a redirect leads.
struct Elsewhere(TcpListener);

impl Elsewhere {
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

/// Every row, those that use up the budget apart.
fn table(elsewhere: &Elsewhere) -> (Vec<Row>, Vec<Row>) {
    let redirects = faults::redirects(elsewhere.0.local_addr().unwrap());
    let rows = faults::on_the_wire().into_iter().chain(redirects).chain(faults::answers());
    rows.partition(|row| row.takes_the_budget)
}

/// Asserts that the reply of a logout, or of a CSRF token that GoTrue had to judge, says that.
fn assert_failed(reply: &Reply, verdict: Verdict) {
    let reason = match verdict {
        Verdict::Unavailable => "auth_service_unavailable",
        Verdict::Timeout => "auth_service_timeout",
        Verdict::Error => "auth_service_error",
        Verdict::RateLimited => {
            assert_eq!(reply.header("retry-after"), Some(faults::RETRY_AFTER));
            return assert_error(reply, 429, "RATE_LIMITED", None);
        }
        Verdict::Done => unreachable!("it did not fail"),
    };
    assert_error(reply, 500, "LOGOUT_FAILED", Some(reason));
}

/// Asserts that it was over when the budget was.
#[track_caller]
fn assert_in_time(took: Duration, budget: Duration) {
    assert!(took < budget + MARGIN, "it took {took:?}");
}

/// Sends all requests at once; answers them in order, each with the time its reply took.
async fn all_at_once<T: Send + 'static>(asked: Vec<(T, Request)>) -> Vec<(T, Reply, Duration)> {
    let ask = |(about, request): (T, Request)| async move {
        let begun = Instant::now();
        let reply = timeout(LONG_BUDGET + MARGIN, request.send()).await;
        (about, reply.expect("a reply"), begun.elapsed())
    };
    let asking: Vec<_> = asked.into_iter().map(|one| tokio::spawn(ask(one))).collect();
    let mut replies = Vec::new();
    for one in asking {
        replies.push(one.await.unwrap());
    }
    replies
}
