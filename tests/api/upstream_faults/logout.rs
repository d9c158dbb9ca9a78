//! Faults of the operation `logout`, and of the operation `token` before it, in logouts by cookie with a CSRF
//! token.

use std::time::Duration;

use gotrue_mock::Tokens;

use super::{
    LONG_TIMEOUT, RedirectTarget, SHORT_TIMEOUT, assert_failed, assert_in_time,
    faults::{Row, TIMEOUT, Verdict},
    send_concurrently, table,
};
use crate::harness::{
    Browser, CookieFormat, CookieJar, FaultProxy, Operation, Page, Reply, Setup, TestApp,
    assert_success,
};

const ROUTE: &str = "/api/auth/logout";

#[tokio::test]
async fn a_logout_with_an_upstream_fault_is_reported_truthfully_in_time() {
    check_every_row(Operation::Logout).await;
}

#[tokio::test]
async fn a_refresh_with_an_upstream_fault_is_reported_truthfully_in_time() {
    check_every_row(Operation::Token).await;
}

async fn check_every_row(operation: Operation) {
    let redirect_target = RedirectTarget::listen();
    let (with_timeout, others) = table(&redirect_target);
    tokio::join!(
        run_concurrently(operation, with_timeout, SHORT_TIMEOUT),
        run_concurrently(operation, others, LONG_TIMEOUT),
    );
    redirect_target.assert_no_connection();
}

/// A browser, and the fault that occurs during its logout.
struct Case {
    row: Row,
    tokens: Tokens,
    jar: CookieJar,
}

/// Runs the cases of all rows at the same time at one gateway.
async fn run_concurrently(operation: Operation, rows: Vec<Row>, upstream_timeout: Duration) {
    let proxy = FaultProxy::start();
    let setup =
        Setup::new().flag("upstream-timeout", &format!("{}ms", upstream_timeout.as_millis()));
    let app = proxy.start_app(setup).await;
    let mut requests = Vec::new();
    for (n, row) in rows.into_iter().enumerate() {
        let tokens = app.sign_up();
        let browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
        let request = browser.logout_request(ROUTE).header("X-Request-Id", id(n));
        proxy.inject_fault(operation, &id(n), row.times, &row.steps);
        requests.push((Case { row, tokens, jar: browser.jar }, request));
    }
    if operation == Operation::Token {
        app.advance_time(3600);
    }
    for (n, (case, reply, took)) in send_concurrently(requests).await.into_iter().enumerate() {
        let expected = case.row.expected(operation);
        println!("{operation:?}: {}: {expected:?}, {} in {took:?}", case.row.fault, reply.status);
        assert_in_time(took, upstream_timeout);
        assert!(
            took >= upstream_timeout || expected != TIMEOUT,
            "the gateway gave up before the upstream timeout"
        );
        assert_eq!(
            proxy.call_count(operation, &id(n)),
            expected.0,
            "the number of requests that arrived"
        );
        if operation == Operation::Token {
            let done = usize::from(expected.1 == Verdict::Done);
            assert_eq!(proxy.call_count(Operation::Logout, &id(n)), done, "the number of logouts");
        }
        check(&app, operation, case, &reply);
    }
    proxy.wait_until_connections_dropped().await;
}

fn id(n: usize) -> String {
    format!("row-{n}")
}

fn check(app: &TestApp, operation: Operation, case: Case, reply: &Reply) {
    let Case { row, tokens, mut jar } = case;
    let (_, verdict) = row.expected(operation);
    let done = verdict == Verdict::Done;
    if done {
        assert_success(reply, ROUTE, tokens.user_id, "revoked");
    } else {
        assert_failed(reply, verdict);
        assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
    }
    let has_ended_unanswered = operation == Operation::Logout && row.takes_effect();
    assert_eq!(app.is_alive(&tokens), !done && !has_ended_unanswered, "whether the session lives");
    for line in reply.set_cookies() {
        jar.store_set_cookie(Page::LOCAL, line);
    }
    assert!(jar.is_empty(), "{:?}", jar.names());
}

#[tokio::test]
async fn a_refused_connection_is_tried_twice_and_reported() {
    for operation in [Operation::Logout, Operation::Token] {
        let proxy = FaultProxy::start();
        let app = proxy.start_app(Setup::new()).await;
        let tokens = app.sign_up();
        let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Chunked).await;
        if operation == Operation::Token {
            app.advance_time(3600);
        }
        proxy.stop_listening();
        let reply = browser.logout(ROUTE).await;
        assert_failed(&reply, Verdict::Unavailable);
        assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
        assert!(browser.jar.is_empty() && app.is_alive(&tokens));
        assert_eq!(app.gotrue_call_count(), 0);
    }
}
