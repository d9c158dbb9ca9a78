//! What a connection that is kept for the next request may not do to it.

use std::time::Duration;

use super::{all_at_once, assert_failed, faults::Verdict};
use crate::harness::{FaultProxy, FaultStep, Operation, Request, Setup, TestApp, assert_success};

const ROUTE: &str = "/api/auth/logout";

fn logout(app: &TestApp, token: &str, id: &str) -> Request {
    app.post(ROUTE).bearer(token).header("X-Request-Id", id)
}

/// Some logouts, so slow that each needs a connection of its own; then all of these idle.
async fn fill_the_pool(proxy: &FaultProxy, app: &TestApp) -> usize {
    let asked = ["a", "b", "c", "d", "e"].map(|id| {
        let slowly = [FaultStep::Forward(Duration::from_millis(10))];
        proxy.inject_fault(Operation::Logout, id, 1, &slowly);
        ((), logout(app, &app.sign_up().access_token, id))
    });
    for ((), reply, _) in all_at_once(asked.into()).await {
        assert_eq!(reply.status, 200);
    }
    proxy.connection_count()
}

/// The HTTP library sends again by itself what never left it; never what did.
#[tokio::test]
async fn connections_that_die_in_the_pool_cost_one_retry_and_no_more() {
    let proxy = FaultProxy::start();
    let app = proxy.start_app(Setup::new()).await;
    let pooled = fill_the_pool(&proxy, &app).await;
    assert!(pooled >= 3, "{pooled}");
    for (id, times) in [("once", 1), ("always", usize::MAX)] {
        let tokens = app.sign_up();
        proxy.inject_fault(Operation::Logout, id, times, &[FaultStep::ResetUnread]);
        let reply = logout(&app, &tokens.access_token, id).send().await;
        if times == 1 {
            assert_success(&reply, ROUTE, tokens.user_id, "revoked");
        } else {
            assert_failed(&reply, Verdict::Unavailable);
        }
        assert_eq!(proxy.call_count(Operation::Logout, id), 2, "{id}");
        assert_eq!(app.is_alive(&tokens), times != 1, "{id}");
    }
    assert_eq!(proxy.connection_count(), pooled, "they died where they idled");
}

/// An answer that nobody asked for is not the next one's: that would be a success out of nothing.
#[tokio::test]
async fn an_answer_too_many_ends_no_session() {
    let proxy = FaultProxy::start();
    let app = proxy.start_app(Setup::new()).await;
    let refusal = "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}";
    let success = "HTTP/1.1 204 No Content\r\n\r\n";
    let together = vec![FaultStep::Send([refusal, success].concat().into())];
    let apart = vec![FaultStep::Send(refusal.into()), FaultStep::Send(success.into())];
    for (n, steps) in [together, apart].into_iter().enumerate() {
        for id in [format!("{n}-first"), format!("{n}-second")] {
            let tokens = app.sign_up();
            proxy.inject_fault(Operation::Logout, &id, 1, &steps);
            let reply = logout(&app, &tokens.access_token, &id).send().await;
            assert_failed(&reply, Verdict::Error);
            assert_eq!(proxy.call_count(Operation::Logout, &id), 1);
            assert!(app.is_alive(&tokens), "{id}");
        }
        let tokens = app.sign_up();
        let reply = logout(&app, &tokens.access_token, &format!("{n}-last")).send().await;
        assert_success(&reply, ROUTE, tokens.user_id, "revoked");
        assert!(!app.is_alive(&tokens));
    }
}
