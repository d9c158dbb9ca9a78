//! A gateway that does not know the whole list asks Redis what a logout needs to know of its session.

use gotrue_mock::Tokens;
use serde_json::json;

use super::{Pair, assert_revoked, verify_here};
use crate::harness::{
    Reply, Setup, TestApp, assert_error, assert_not_ready, assert_success, eventually,
};

/// A gateway that waits for its store, beside those of the pair.
async fn late(pair: &Pair) -> TestApp {
    let setup = Setup::new().flag("supabase-url", pair.here.mock.url()).without_readiness_check();
    let late =
        setup.start_time(pair.here.clock.now()).flag("store", &pair.redis.url()).start().await;
    let reason = async || late.get("/readyz").send().await.json()["error"]["reason"] == "store";
    eventually("all but the store is there", reason).await;
    late
}

/// A gateway that may ask Redis about single sessions, but cannot read the list.
async fn late_without_list(pair: &Pair) -> TestApp {
    pair.redis.command::<()>(&["ACL", "SETUSER", "default", "-zscan"]);
    late(pair).await
}

async fn log_out(app: &TestApp, tokens: &Tokens, scope: &str) -> Reply {
    let target = format!("/logout?scope={scope}");
    app.post(&target).bearer(&tokens.access_token).send().await
}

fn outcome(reply: &Reply) -> Option<&str> {
    reply.header("x-logout-outcome")
}

#[tokio::test]
async fn readyz_is_503_until_the_whole_list_was_read() {
    let pair = Pair::start().await;
    let (alive, ended) = (pair.here.sign_up(), pair.here.sign_up());
    pair.log_out_there(&ended, "local").await;
    let late = late_without_list(&pair).await;
    // Redis answers for single sessions all the while.
    assert_eq!(verify_here(&late, &alive).send().await.status, 200);
    assert_revoked(&verify_here(&late, &ended).send().await);
    assert_not_ready(&late.get("/readyz").send().await, "store");
    pair.redis.command::<()>(&["ACL", "SETUSER", "default", "+zscan"]);
    let ready = async || late.get("/readyz").send().await.status == 200;
    eventually("the list is read", ready).await;
}

#[tokio::test]
async fn a_repeated_global_sets_no_second_cut_off_at_a_gateway_that_was_restarted() {
    for scope in ["global", "others"] {
        let pair = Pair::start().await;
        let asker = pair.here.sign_up();
        pair.here.inject_fault(json!({"operation": "logout", "kind": "status", "status": 400}));
        assert_eq!(outcome(&log_out(&pair.here, &asker, scope).await), Some("failed"));
        pair.here.advance_time(1);
        let later = pair.here.sign_in_again(&asker);
        pair.here.advance_time(1);
        let late = late_without_list(&pair).await;
        for _ in 0..2 {
            assert_eq!(outcome(&log_out(&late, &asker, scope).await), Some("failed"));
            assert_eq!(verify_here(&late, &later).send().await.status, 200, "{scope}");
        }
    }
}

#[tokio::test]
async fn a_repeated_local_logout_is_not_asked_of_gotrue_by_a_gateway_that_was_restarted() {
    let pair = Pair::start().await;
    let tokens = pair.here.sign_up();
    pair.log_out_there(&tokens, "local").await;
    let late = late_without_list(&pair).await;
    let asked = pair.here.gotrue_calls("logout").len();
    let reply = log_out(&late, &tokens, "local").await;
    assert_success(&reply, "/logout", tokens.user_id, "already-ended");
    assert_eq!(pair.here.gotrue_calls("logout").len(), asked);
}

/// A queued `global` whose time has not come.
async fn global_is_queued(pair: &Pair, tokens: &Tokens) {
    pair.here
        .inject_fault(json!({"operation": "logout", "kind": "status", "status": 429, "times": 1,
        "headers": {"Retry-After": "600"}}));
    assert_eq!(outcome(&log_out(&pair.here, tokens, "global").await), Some("queued"));
}

#[tokio::test]
async fn a_restarted_gateway_does_the_queued_logouts_of_a_session_first() {
    let pair = Pair::start().await;
    let tokens = pair.here.sign_up();
    let sibling = pair.here.sign_in_again(&tokens);
    global_is_queued(&pair, &tokens).await;
    let late = late_without_list(&pair).await;
    let reply = log_out(&late, &tokens, "local").await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(!pair.here.is_alive(&tokens) && !pair.here.is_alive(&sibling), "what it was promised");
}

#[tokio::test]
async fn a_queue_that_cannot_be_read_costs_no_queued_global_and_no_logout_of_others() {
    let pair = Pair::start().await;
    let tokens = pair.here.sign_up();
    let (sibling, another) = (pair.here.sign_in_again(&tokens), pair.here.sign_up());
    global_is_queued(&pair, &tokens).await;
    pair.redis.command::<()>(&["ACL", "SETUSER", "default", "-hget"]);
    let reply = log_out(&pair.here, &tokens, "local").await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
    assert_eq!(outcome(&reply), Some("failed"));
    assert!(pair.here.is_alive(&tokens), "else the others would live on for ever");
    let reply = log_out(&pair.here, &another, "local").await;
    assert_success(&reply, "/logout", another.user_id, "revoked");

    pair.redis.command::<()>(&["ACL", "SETUSER", "default", "+hget"]);
    let reply = log_out(&pair.here, &tokens, "local").await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(!pair.here.is_alive(&tokens) && !pair.here.is_alive(&sibling), "what it was promised");
}

#[tokio::test]
async fn while_redis_is_away_a_failing_global_enters_the_asking_session_alone() {
    let pair = Pair::start().await;
    let asker = pair.here.sign_up();
    let sibling = pair.here.sign_in_again(&asker);
    pair.here.advance_time(1);
    pair.redis.kill();
    let late = late(&pair).await;
    pair.here.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500}));
    assert_eq!(outcome(&log_out(&late, &asker, "global").await), Some("failed"));
    assert_revoked(&verify_here(&late, &asker).send().await);
    pair.redis.restart().await;
    let let_in = async || verify_here(&late, &sibling).send().await.status == 200;
    eventually("Redis tells of the sibling", let_in).await;
    assert_revoked(&verify_here(&late, &asker).send().await);
}
