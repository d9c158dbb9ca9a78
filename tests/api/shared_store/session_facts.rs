//! A logout needs facts about its session. A gateway that has not read the whole revocation list must ask
//! Redis for these facts.

use gotrue_mock::Tokens;
use serde_json::json;

use super::{GatewayPair, assert_revoked, verify_in_process};
use crate::harness::{
    Reply, Setup, TestApp, assert_error, assert_not_ready, assert_success, eventually,
};

/// Starts a third gateway, without waiting until it has read its store.
async fn start_late_gateway(pair: &GatewayPair) -> TestApp {
    let setup =
        Setup::new().flag("supabase-url", pair.in_process.mock.url()).without_readiness_check();
    let late = setup
        .start_time(pair.in_process.clock.now())
        .flag("store", &pair.redis.url())
        .start()
        .await;
    let reason = async || late.get("/readyz").send().await.json()["error"]["reason"] == "store";
    eventually("only the store is missing", reason).await;
    late
}

/// Starts a third gateway that may ask Redis about single sessions, but may not read the whole revocation
/// list.
async fn start_late_gateway_without_list(pair: &GatewayPair) -> TestApp {
    pair.redis.command::<()>(&["ACL", "SETUSER", "default", "-zscan"]);
    start_late_gateway(pair).await
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
    let pair = GatewayPair::start().await;
    let (alive, ended) = (pair.in_process.sign_up(), pair.in_process.sign_up());
    pair.log_out_at_binary(&ended, "local").await;
    let late = start_late_gateway_without_list(&pair).await;
    // While the gateway cannot read the whole list, it must ask Redis about single sessions.
    assert_eq!(verify_in_process(&late, &alive).send().await.status, 200);
    assert_revoked(&verify_in_process(&late, &ended).send().await);
    assert_not_ready(&late.get("/readyz").send().await, "store");
    pair.redis.command::<()>(&["ACL", "SETUSER", "default", "+zscan"]);
    let ready = async || late.get("/readyz").send().await.status == 200;
    eventually("the list is read", ready).await;
}

#[tokio::test]
async fn a_repeated_global_logout_sets_no_second_cut_off_at_a_restarted_gateway() {
    for scope in ["global", "others"] {
        let pair = GatewayPair::start().await;
        let asker = pair.in_process.sign_up();
        pair.in_process
            .inject_fault(json!({"operation": "logout", "kind": "status", "status": 400}));
        assert_eq!(outcome(&log_out(&pair.in_process, &asker, scope).await), Some("failed"));
        pair.in_process.advance_time(1);
        let later = pair.in_process.sign_in_again(&asker);
        pair.in_process.advance_time(1);
        let late = start_late_gateway_without_list(&pair).await;
        for _ in 0..2 {
            assert_eq!(outcome(&log_out(&late, &asker, scope).await), Some("failed"));
            assert_eq!(verify_in_process(&late, &later).send().await.status, 200, "{scope}");
        }
    }
}

#[tokio::test]
async fn a_restarted_gateway_sends_no_repeated_local_logout_to_gotrue() {
    let pair = GatewayPair::start().await;
    let tokens = pair.in_process.sign_up();
    pair.log_out_at_binary(&tokens, "local").await;
    let late = start_late_gateway_without_list(&pair).await;
    let calls_before = pair.in_process.gotrue_calls("logout").len();
    let reply = log_out(&late, &tokens, "local").await;
    assert_success(&reply, "/logout", tokens.user_id, "already-ended");
    assert_eq!(pair.in_process.gotrue_calls("logout").len(), calls_before);
}

/// Queues a `global` logout that is not due for ten minutes.
async fn queue_global_logout(pair: &GatewayPair, tokens: &Tokens) {
    pair.in_process
        .inject_fault(json!({"operation": "logout", "kind": "status", "status": 429, "times": 1,
        "headers": {"Retry-After": "600"}}));
    assert_eq!(outcome(&log_out(&pair.in_process, tokens, "global").await), Some("queued"));
}

#[tokio::test]
async fn a_restarted_gateway_does_the_queued_logouts_of_a_session_first() {
    let pair = GatewayPair::start().await;
    let tokens = pair.in_process.sign_up();
    let sibling = pair.in_process.sign_in_again(&tokens);
    queue_global_logout(&pair, &tokens).await;
    let late = start_late_gateway_without_list(&pair).await;
    let reply = log_out(&late, &tokens, "local").await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(
        !pair.in_process.is_alive(&tokens) && !pair.in_process.is_alive(&sibling),
        "the queued global logout was done"
    );
}

#[tokio::test]
async fn an_unreadable_queue_loses_no_queued_global_logout_and_blocks_no_other_session() {
    let pair = GatewayPair::start().await;
    let tokens = pair.in_process.sign_up();
    let (sibling, another) = (pair.in_process.sign_in_again(&tokens), pair.in_process.sign_up());
    queue_global_logout(&pair, &tokens).await;
    pair.redis.command::<()>(&["ACL", "SETUSER", "default", "-hget"]);
    let reply = log_out(&pair.in_process, &tokens, "local").await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
    assert_eq!(outcome(&reply), Some("failed"));
    assert!(
        pair.in_process.is_alive(&tokens),
        "the session must stay until its queued global logout is done"
    );
    let reply = log_out(&pair.in_process, &another, "local").await;
    assert_success(&reply, "/logout", another.user_id, "revoked");

    pair.redis.command::<()>(&["ACL", "SETUSER", "default", "+hget"]);
    let reply = log_out(&pair.in_process, &tokens, "local").await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(
        !pair.in_process.is_alive(&tokens) && !pair.in_process.is_alive(&sibling),
        "the queued global logout was done"
    );
}

#[tokio::test]
async fn without_redis_a_failing_global_logout_revokes_only_the_asking_session() {
    let pair = GatewayPair::start().await;
    let asker = pair.in_process.sign_up();
    let sibling = pair.in_process.sign_in_again(&asker);
    pair.in_process.advance_time(1);
    pair.redis.kill();
    let late = start_late_gateway(&pair).await;
    pair.in_process.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500}));
    assert_eq!(outcome(&log_out(&late, &asker, "global").await), Some("failed"));
    assert_revoked(&verify_in_process(&late, &asker).send().await);
    pair.redis.restart().await;
    let is_accepted = async || verify_in_process(&late, &sibling).send().await.status == 200;
    eventually("Redis answers about the sibling", is_accepted).await;
    assert_revoked(&verify_in_process(&late, &asker).send().await);
}
