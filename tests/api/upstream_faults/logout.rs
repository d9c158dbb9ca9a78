//! `logout`, and `token` before it: by cookie and CSRF token, as a browser does it.

use std::time::Duration;

use gotrue_mock::Tokens;

use super::{
    Elsewhere, LONG_BUDGET, SHORT_BUDGET, all_at_once, assert_failed, assert_in_time,
    faults::{Row, TIMEOUT, Verdict},
    table,
};
use crate::harness::{
    Browser, CookieFormat, CookieJar, FaultProxy, Operation, Page, Reply, Setup, TestApp,
    assert_success,
};

const ROUTE: &str = "/api/auth/logout";

#[tokio::test]
async fn a_logout_with_an_upstream_fault_is_reported_truthfully_in_time() {
    at_every_row(Operation::Logout).await;
}

#[tokio::test]
async fn a_refresh_with_an_upstream_fault_is_reported_truthfully_in_time() {
    at_every_row(Operation::Token).await;
}

async fn at_every_row(operation: Operation) {
    let elsewhere = Elsewhere::listen();
    let (late, prompt) = table(&elsewhere);
    tokio::join!(
        run_concurrently(operation, late, SHORT_BUDGET),
        run_concurrently(operation, prompt, LONG_BUDGET),
    );
    elsewhere.assert_no_connection();
}

/// A browser whose logout goes wrong as the row says.
struct Case {
    row: Row,
    tokens: Tokens,
    jar: CookieJar,
}

/// All rows at one gateway.
async fn run_concurrently(operation: Operation, rows: Vec<Row>, budget: Duration) {
    let proxy = FaultProxy::start();
    let setup = Setup::new().flag("upstream-timeout", &format!("{}ms", budget.as_millis()));
    let app = proxy.start_app(setup).await;
    let mut asked = Vec::new();
    for (n, row) in rows.into_iter().enumerate() {
        let tokens = app.sign_up();
        let browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
        let request = browser.logout_request(ROUTE).header("X-Request-Id", id(n));
        proxy.inject_fault(operation, &id(n), row.times, &row.steps);
        asked.push((Case { row, tokens, jar: browser.jar }, request));
    }
    if operation == Operation::Token {
        app.advance_time(3600);
    }
    for (n, (case, reply, took)) in all_at_once(asked).await.into_iter().enumerate() {
        let expected = case.row.expected(operation);
        println!("{operation:?}: {}: {expected:?}, {} in {took:?}", case.row.fault, reply.status);
        assert_in_time(took, budget);
        assert!(took >= budget || expected != TIMEOUT, "given up before");
        assert_eq!(proxy.call_count(operation, &id(n)), expected.0, "calls that arrived");
        if operation == Operation::Token {
            let done = usize::from(expected.1 == Verdict::Done);
            assert_eq!(proxy.call_count(Operation::Logout, &id(n)), done, "logouts");
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
    let unheard = operation == Operation::Logout && row.takes_effect();
    assert_eq!(app.is_alive(&tokens), !done && !unheard, "the session");
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
