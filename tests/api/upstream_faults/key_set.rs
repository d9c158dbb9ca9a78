//! Faults of the key set: the gateway must accept tokens of known keys, refuse tokens of unknown keys, and
//! recover by itself.

use std::time::{Duration, Instant};

use super::{
    RedirectTarget, assert_failed, assert_in_time,
    faults::{self, Row, Verdict},
};
use crate::harness::{
    Browser, CookieFormat, FaultProxy, Operation, Setup, TestApp, assert_error, assert_not_ready,
    assert_success, claims_of, eventually, forged_token, run_concurrently,
};

const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(2);
const ROUTE: &str = "/api/auth/logout";

#[test]
fn a_gateway_without_a_key_set_is_not_ready_and_recovers_by_itself() {
    let redirect_target = RedirectTarget::listen();
    let redirect = faults::redirects(redirect_target.0.local_addr().unwrap()).into_iter().take(1);
    let senders = ["of GoTrue", "of an API gateway", "of a web server"];
    let answers = faults::answers();
    let answers = answers.into_iter().filter(|row| senders.iter().any(|w| row.fault.ends_with(w)));
    let rows = faults::on_the_wire().into_iter().filter(breaks_a_key_set);
    let rows = rows.chain(redirect).chain(answers);
    run_concurrently(rows.map(with_name), check_fault_at_the_start);
    redirect_target.assert_no_connection();
}

#[test]
fn a_gateway_with_a_key_set_keeps_its_keys_and_accepts_no_others() {
    let faults =
        ["closed without a response", "hangs before the head", "garbage", "a 200 without end"];
    let rows = faults::on_the_wire().into_iter().filter(|row| faults.contains(&&*row.fault));
    let rows: Vec<_> = rows.map(with_name).collect();
    assert_eq!(rows.len(), faults.len());
    run_concurrently(rows, check_fault_of_a_later_fetch);
}

fn with_name(row: Row) -> (String, Row) {
    (row.fault.clone(), row)
}

/// Whether a fault makes the fetch of the key set fail. A fault that occurs only once does not, because of
/// the retry.
fn breaks_a_key_set(row: &Row) -> bool {
    row.expected(Operation::KeySet).1 != Verdict::Done
}

fn setup() -> Setup {
    Setup::new().flag("upstream-timeout", &format!("{}ms", UPSTREAM_TIMEOUT.as_millis()))
}

async fn check_fault_at_the_start(row: Row) {
    let proxy = FaultProxy::start();
    proxy.inject_fault(Operation::KeySet, "", usize::MAX, &row.steps);
    let app = proxy.start_unready_app(setup()).await;

    let tokens = app.sign_up();
    let mut browser = Browser::signed_in_without_csrf(&app, &tokens, CookieFormat::Base64);
    let begun = Instant::now();
    let reply = browser.request("POST", ROUTE).bearer(&tokens.access_token).send().await;
    assert_in_time(begun.elapsed(), UPSTREAM_TIMEOUT);
    assert_failed(&reply, Verdict::Unavailable);
    assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
    browser.store_cookies(&reply);
    assert!(browser.jar.is_empty());
    assert!(app.is_alive(&tokens) && app.gotrue_call_count() == 0);

    let begun = Instant::now();
    let reply = app.get("/api/auth/verify").bearer(&tokens.access_token).send().await;
    assert_error(&reply, 503, "NOT_READY", Some("key_set"));
    assert_not_ready(&app.get("/readyz").send().await, "key_set");
    assert_eq!(app.get("/healthz").send().await.status, 200);
    assert_in_time(begun.elapsed(), UPSTREAM_TIMEOUT);

    proxy.clear_faults();
    let calls = proxy.call_count(Operation::KeySet, "");
    let is_fetched_again = || async { proxy.call_count(Operation::KeySet, "") > calls };
    eventually("the key set is fetched again", is_fetched_again).await;
    eventually("ready", || async { app.get("/readyz").send().await.status == 200 }).await;
    proxy.wait_until_connections_dropped().await;
    assert_accepted_and_logged_out(&app, &tokens).await;
}

async fn check_fault_of_a_later_fetch(row: Row) {
    let proxy = FaultProxy::start();
    let app = proxy.start_app(setup()).await;
    let tokens = app.sign_up();
    proxy.inject_fault(Operation::KeySet, "", usize::MAX, &row.steps);

    let unknown = forged_token(
        r#"{"alg":"ES256","kid":"made-up"}"#,
        &claims_of(&tokens.access_token).to_string(),
    );
    let begun = Instant::now();
    let reply = app.get("/api/auth/verify").bearer(&unknown).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    assert_in_time(begun.elapsed(), UPSTREAM_TIMEOUT);
    assert_eq!(proxy.call_count(Operation::KeySet, ""), 2, "at the start, and for the unknown key");
    assert!(app.is_alive(&tokens));
    proxy.wait_until_connections_dropped().await;
    assert_accepted_and_logged_out(&app, &tokens).await;
    assert_eq!(proxy.call_count(Operation::KeySet, ""), 2, "a known key causes no fetch");
}

/// Asserts that `verify` accepts the token, and that a logout ends its session.
async fn assert_accepted_and_logged_out(app: &TestApp, tokens: &gotrue_mock::Tokens) {
    assert_eq!(app.verify(tokens).await, 200);
    let reply = app.post(ROUTE).bearer(&tokens.access_token).send().await;
    assert_success(&reply, ROUTE, tokens.user_id, "revoked");
    assert!(!app.is_alive(tokens));
}

#[tokio::test]
async fn the_current_key_set_of_a_gotrue_that_starts_late_is_fetched_without_a_request() {
    let (proxy, socket) = FaultProxy::bind_without_listening();
    let app = proxy.start_unready_app(setup()).await;
    let before = app.sign_up();
    let reply = app.post(ROUTE).bearer(&before.access_token).send().await;
    assert_failed(&reply, Verdict::Unavailable);
    assert_eq!(app.verify(&before).await, 503);
    assert_not_ready(&app.get("/readyz").send().await, "key_set");
    assert!(app.is_alive(&before));

    app.mock.rotate_keys().unwrap();
    let after = app.sign_up();
    proxy.listen(socket);
    eventually("ready", || async { app.get("/readyz").send().await.status == 200 }).await;
    assert_accepted_and_logged_out(&app, &after).await;
    assert_eq!(app.verify(&before).await, 401);
    assert!(app.is_alive(&before));
}
