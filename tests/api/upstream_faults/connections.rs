//! What a connection that is kept for the next request may not do to it.

use std::time::Duration;

use super::{all_at_once, assert_failed, faults::Verdict};
use crate::harness::{Operation, Request, Setup, Stage, Step, Upstream, assert_success};

const ROUTE: &str = "/api/auth/logout";

fn logout(stage: &Stage, token: &str, id: &str) -> Request {
    stage.post(ROUTE).bearer(token).header("X-Request-Id", id)
}

/// Some logouts, so slow that each needs a connection of its own; then all of these idle.
async fn fill_the_pool(upstream: &Upstream, stage: &Stage) -> usize {
    let asked = ["a", "b", "c", "d", "e"].map(|id| {
        let slowly = [Step::PassOn(Duration::from_millis(10))];
        upstream.misbehave(Operation::Logout, id, 1, &slowly);
        ((), logout(stage, &stage.sign_up().access_token, id))
    });
    for ((), reply, _) in all_at_once(asked.into()).await {
        assert_eq!(reply.status, 200);
    }
    upstream.connections()
}

/// The HTTP library sends again by itself what never left it; never what did.
#[tokio::test]
async fn connections_that_die_in_the_pool_cost_one_retry_and_no_more() {
    let upstream = Upstream::start();
    let stage = upstream.stage(Setup::new()).await;
    let pooled = fill_the_pool(&upstream, &stage).await;
    assert!(pooled >= 3, "{pooled}");
    for (id, times) in [("once", 1), ("always", usize::MAX)] {
        let tokens = stage.sign_up();
        upstream.misbehave(Operation::Logout, id, times, &[Step::ResetUnread]);
        let reply = logout(&stage, &tokens.access_token, id).send().await;
        if times == 1 {
            assert_success(&reply, ROUTE, tokens.user_id, "revoked");
        } else {
            assert_failed(&reply, Verdict::Unavailable);
        }
        assert_eq!(upstream.calls(Operation::Logout, id), 2, "{id}");
        assert_eq!(stage.alive(&tokens), times != 1, "{id}");
    }
    assert_eq!(upstream.connections(), pooled, "they died where they idled");
}

/// An answer that nobody asked for is not the next one's: that would be a success out of nothing.
#[tokio::test]
async fn an_answer_too_many_ends_no_session() {
    let upstream = Upstream::start();
    let stage = upstream.stage(Setup::new()).await;
    let refusal = "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}";
    let success = "HTTP/1.1 204 No Content\r\n\r\n";
    let together = vec![Step::Send([refusal, success].concat().into())];
    let apart = vec![Step::Send(refusal.into()), Step::Send(success.into())];
    for (n, steps) in [together, apart].into_iter().enumerate() {
        for id in [format!("{n}-first"), format!("{n}-second")] {
            let tokens = stage.sign_up();
            upstream.misbehave(Operation::Logout, &id, 1, &steps);
            let reply = logout(&stage, &tokens.access_token, &id).send().await;
            assert_failed(&reply, Verdict::Error);
            assert_eq!(upstream.calls(Operation::Logout, &id), 1);
            assert!(stage.alive(&tokens), "{id}");
        }
        let tokens = stage.sign_up();
        let reply = logout(&stage, &tokens.access_token, &format!("{n}-last")).send().await;
        assert_success(&reply, ROUTE, tokens.user_id, "revoked");
        assert!(!stage.alive(&tokens));
    }
}
