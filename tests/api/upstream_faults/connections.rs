//! What happened on a pooled connection to GoTrue must not change the result of the next request.

use std::time::Duration;

use super::{assert_failed, faults::Verdict, send_concurrently};
use crate::harness::{FaultProxy, FaultStep, Operation, Request, Setup, TestApp, assert_success};

const ROUTE: &str = "/api/auth/logout";

fn logout_request(app: &TestApp, token: &str, id: &str) -> Request {
    app.post(ROUTE).bearer(token).header("X-Request-Id", id)
}

/// Sends several logouts at once, so slowly that each needs its own connection. Returns the number of
/// connections, which are then idle in the pool.
async fn fill_the_pool(proxy: &FaultProxy, app: &TestApp) -> usize {
    let requests = ["a", "b", "c", "d", "e"].map(|id| {
        let slow_steps = [FaultStep::Forward(Duration::from_millis(10))];
        proxy.inject_fault(Operation::Logout, id, 1, &slow_steps);
        ((), logout_request(app, &app.sign_up().access_token, id))
    });
    for ((), reply, _) in send_concurrently(requests.into()).await {
        assert_eq!(reply.status, 200);
    }
    proxy.connection_count()
}

/// The HTTP library repeats a request by itself only if it has not sent a byte of the request.
#[tokio::test]
async fn connections_that_break_in_the_pool_cost_at_most_one_retry() {
    let proxy = FaultProxy::start();
    let app = proxy.start_app(Setup::new()).await;
    let pooled = fill_the_pool(&proxy, &app).await;
    assert!(pooled >= 3, "{pooled}");
    for (id, times) in [("once", 1), ("always", usize::MAX)] {
        let tokens = app.sign_up();
        proxy.inject_fault(Operation::Logout, id, times, &[FaultStep::ResetUnread]);
        let reply = logout_request(&app, &tokens.access_token, id).send().await;
        if times == 1 {
            assert_success(&reply, ROUTE, tokens.user_id, "revoked");
        } else {
            assert_failed(&reply, Verdict::Unavailable);
        }
        assert_eq!(proxy.call_count(Operation::Logout, id), 2, "{id}");
        assert_eq!(app.is_alive(&tokens), times != 1, "{id}");
    }
    assert_eq!(proxy.connection_count(), pooled, "the requests used the pooled connections");
}

/// A surplus response on a connection must not be read as the response to the next request, which would be a
/// false success.
#[tokio::test]
async fn a_surplus_response_ends_no_session() {
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
            let reply = logout_request(&app, &tokens.access_token, &id).send().await;
            assert_failed(&reply, Verdict::Error);
            assert_eq!(proxy.call_count(Operation::Logout, &id), 1);
            assert!(app.is_alive(&tokens), "{id}");
        }
        let tokens = app.sign_up();
        let reply = logout_request(&app, &tokens.access_token, &format!("{n}-last")).send().await;
        assert_success(&reply, ROUTE, tokens.user_id, "revoked");
        assert!(!app.is_alive(&tokens));
    }
}
