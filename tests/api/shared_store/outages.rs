//! Outages of Redis: it is killed, restarted with and without its data, and paused.

use std::time::{Duration, Instant};

use logout_gateway::internals::store::redis::STALENESS_BOUND;
use serde_json::json;

use super::{
    GatewayPair, assert_revoked, verify_at_binary, verify_in_process,
    wait_until_refused_within_the_bound,
};
use crate::harness::{
    Browser, CookieFormat, Request, Setup, assert_error, assert_not_ready, assert_success,
    eventually,
};

/// A time that is longer than a response takes on a busy machine while Redis does not answer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Repeats the request until the response is 503. Asserts that the gateway accepts no request later than
/// `STALENESS_BOUND` allows.
async fn wait_until_unknown_within_the_bound(since: Instant, request: &Request) {
    loop {
        let sent_at = Instant::now();
        let reply = request.clone().send().await;
        assert!(sent_at.elapsed() < RESPONSE_TIMEOUT, "answered after {:?}", sent_at.elapsed());
        if reply.status != 200 {
            assert_error(&reply, 503, "NOT_READY", Some("store"));
            return;
        }
        assert!(
            sent_at.duration_since(since) < STALENESS_BOUND,
            "accepted after {:?}",
            since.elapsed()
        );
    }
}

/// A way in which Redis fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outage {
    Killed,
    KilledAndEmptied,
    Paused,
}

impl Outage {
    fn start(self, pair: &GatewayPair) {
        match self {
            Self::Killed | Self::KilledAndEmptied => pair.redis.kill(),
            Self::Paused => pair.redis.pause(),
        }
    }

    async fn end(self, pair: &GatewayPair) {
        match self {
            Self::Killed => pair.redis.restart().await,
            Self::KilledAndEmptied => pair.redis.restart_empty().await,
            Self::Paused => pair.redis.resume(),
        }
    }
}

/// Asserts that during the outage `verify` refuses revoked sessions and answers 503 for all others, and that
/// after the outage every gateway refuses a session that was logged out during it.
async fn check_outage(outage: Outage) {
    let mut pair = GatewayPair::start().await;
    let [alive, before, during] = [(); 3].map(|()| pair.in_process.sign_up());
    pair.log_out_at_binary(&before, "local").await;
    let refused = async || verify_in_process(&pair.in_process, &before).send().await.status == 401;
    eventually("the other gateway knows of the logout", refused).await;
    pair.wait_until_accepted_by_both(&alive).await;

    outage.start(&pair);
    let since = Instant::now();
    for request in pair.verify_requests(&alive) {
        wait_until_unknown_within_the_bound(since, &request).await;
    }
    for request in pair.verify_requests(&before) {
        assert_revoked(&request.send().await);
    }
    let sent_at = Instant::now();
    pair.log_out_at_binary(&during, "local").await;
    assert!(sent_at.elapsed() < RESPONSE_TIMEOUT, "a logout took {:?}", sent_at.elapsed());
    assert!(!pair.in_process.is_alive(&during));
    let [in_process, binary] = pair.verify_requests(&during);
    assert_revoked(&binary.clone().send().await);
    assert_error(&in_process.clone().send().await, 503, "NOT_READY", Some("store"));
    assert_not_ready(&pair.in_process.get("/readyz").send().await, "store");

    pair.binary.wait_for_log(
        "the store cannot follow the revocation list in Redis and asks Redis about each token until it can",
    );
    outage.end(&pair).await;
    let refused = async || in_process.clone().send().await.status == 401;
    eventually("the failed write is repeated", refused).await;
    pair.wait_until_accepted_by_both(&alive).await;
    for request in pair.verify_requests(&before).into_iter().chain(pair.verify_requests(&during)) {
        assert_revoked(&request.send().await);
    }
    assert_eq!(pair.in_process.get("/readyz").send().await.status, 200);
    // A new gateway has no replica of the revocation list yet, so it must find all revocations in Redis.
    let third = Setup::new().flag("supabase-url", pair.in_process.mock.url());
    let third = third
        .start_time(pair.in_process.clock.now())
        .flag("store", &pair.redis.url())
        .start()
        .await;
    for tokens in [&before, &during] {
        assert_revoked(&verify_in_process(&third, tokens).send().await);
    }
    assert_eq!(verify_in_process(&third, &alive).send().await.status, 200);

    let GatewayPair { mut binary, .. } = pair;
    binary.wait_for_log("the store follows the revocation list in Redis again");
    let log = binary.stop();
    let is_logged = |text: &str| log.lines.iter().any(|line| line["message"] == text);
    for text in [
        "the store failed to save a revocation: it retries, and a restart before it succeeds loses the revocation",
        "the store did not answer whether a session is revoked, so verify answers 503: check GATEWAY_STORE",
    ] {
        assert!(is_logged(text), "{text}: {}", log.text);
    }
}

#[tokio::test]
async fn no_token_is_accepted_on_a_guess_while_redis_is_killed() {
    check_outage(Outage::Killed).await;
}

#[tokio::test]
async fn no_token_is_accepted_on_a_guess_while_redis_is_killed_and_loses_its_data() {
    check_outage(Outage::KilledAndEmptied).await;
}

#[tokio::test]
async fn no_token_is_accepted_on_a_guess_while_redis_is_paused() {
    check_outage(Outage::Paused).await;
}

#[tokio::test]
async fn failures_while_redis_was_killed_are_in_the_failure_log_once_it_is_back() {
    let pair = GatewayPair::start().await;
    pair.in_process.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500}));
    pair.redis.kill();
    let tokens = pair.in_process.sign_up();
    let logout = pair.binary.request("POST", "/logout").bearer(&tokens.access_token);
    assert_error(&logout.send().await, 500, "LOGOUT_FAILED", Some("auth_service_error"));
    let since = Instant::now();
    eventually("a write has failed", async || since.elapsed() > RESPONSE_TIMEOUT).await;
    pair.redis.restart().await;
    let log =
        || pair.redis.command::<Vec<String>>(&["LRANGE", "logout-gateway:failures", "0", "-1"]);
    eventually("the failure log has the entry", async || !log().is_empty()).await;
    assert!(log()[0].contains(&tokens.session_id.to_string()), "{:?}", log());
}

#[tokio::test]
async fn a_reply_does_not_wait_for_the_failure_log() {
    /// The time for which the gateway waits for Redis to answer a command.
    const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);
    let pair = GatewayPair::start().await;
    let tokens = pair.in_process.sign_up();
    let mut browser = Browser::signed_in(&pair.in_process, &tokens, CookieFormat::Base64).await;
    // Cause an error that concerns the request, which is not queued, with an expired session, which is not
    // revoked.
    pair.in_process.advance_time(3600);
    pair.in_process.inject_fault(json!({"operation": "token", "kind": "status", "status": 400,
        "code": "no_code_of_gotrue"}));
    pair.redis.pause();
    let sent_at = Instant::now();
    // Use the scope `global`, because a `local` logout would read the queue in Redis first.
    let reply = browser.logout("/logout?scope=global").await;
    let waited = sent_at.elapsed();
    pair.redis.resume();
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
    assert!(waited < COMMAND_TIMEOUT, "{waited:?}");
    assert!(pair.in_process.is_alive(&tokens));
    let is_logged = async || pair.redis.command::<usize>(&["LLEN", "logout-gateway:failures"]) == 1;
    eventually("the failure is logged later", is_logged).await;
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_is_not_trusted() {
    let pair = GatewayPair::start().await;
    let (alive, ended) = (pair.in_process.sign_up(), pair.in_process.sign_up());
    pair.log_out_at_binary(&ended, "local").await;
    pair.wait_until_accepted_by_both(&alive).await;
    for (case, failing, recovery) in [
        ("demoted to a replica", ["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]),
        (
            "without replicas",
            ["CONFIG", "SET", "min-replicas-to-write=1"],
            ["CONFIG", "SET", "min-replicas-to-write=0"],
        ),
    ] {
        let run_command = |words: [&str; 3]| {
            let words: Vec<&str> = words.iter().flat_map(|word| word.split('=')).collect();
            pair.redis.command::<String>(&words)
        };
        assert_eq!(run_command(failing), "OK", "{case}");
        let since = Instant::now();
        for request in pair.verify_requests(&alive) {
            wait_until_unknown_within_the_bound(since, &request).await;
        }
        for request in pair.verify_requests(&ended) {
            assert_revoked(&request.send().await);
        }
        assert_eq!(run_command(recovery), "OK", "{case}");
        pair.wait_until_accepted_by_both(&alive).await;
    }
}

#[tokio::test]
async fn a_full_redis_answers_lookups_and_takes_revocations() {
    let pair = GatewayPair::start().await;
    let [alive, logged_out_in_process, logged_out_at_binary] =
        [(); 3].map(|()| pair.in_process.sign_up());
    pair.wait_until_accepted_by_both(&alive).await;
    let full: String = pair.redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(full, "OK");
    let since = Instant::now();
    while since.elapsed() < STALENESS_BOUND + STALENESS_BOUND / 2 {
        for request in pair.verify_requests(&alive) {
            assert_eq!(request.send().await.status, 200);
        }
    }
    pair.log_out_at_binary(&logged_out_at_binary, "local").await;
    wait_until_refused_within_the_bound(
        Instant::now(),
        &verify_in_process(&pair.in_process, &logged_out_at_binary),
    )
    .await;
    let logout =
        pair.in_process.post("/logout").bearer(&logged_out_in_process.access_token).send().await;
    assert_success(&logout, "/logout", logged_out_in_process.user_id, "revoked");
    wait_until_refused_within_the_bound(
        Instant::now(),
        &verify_at_binary(&pair.binary, &logged_out_in_process),
    )
    .await;
    // The gateway cannot queue the logout without Redis, so the response must be an error.
    pair.in_process.inject_fault(json!({"operation": "logout", "kind": "status", "status": 503}));
    let logout = pair.binary.request("POST", "/logout").bearer(&alive.access_token).send().await;
    assert_error(&logout, 500, "LOGOUT_FAILED", Some("auth_service_unavailable"));
}

#[tokio::test]
async fn a_gateway_that_starts_before_redis_keeps_connecting() {
    let pair = GatewayPair::start().await;
    let tokens = pair.in_process.sign_up();
    pair.redis.kill();
    let late =
        Setup::new().flag("supabase-url", pair.in_process.mock.url()).without_readiness_check();
    let late =
        late.start_time(pair.in_process.clock.now()).flag("store", &pair.redis.url()).start().await;
    let ready = async || late.get("/readyz").send().await;
    let only_store_is_missing = async || ready().await.json()["error"]["reason"] == "store";
    eventually("only the store is missing", only_store_is_missing).await;
    let verify = verify_in_process(&late, &tokens);
    assert_error(&verify.clone().send().await, 503, "NOT_READY", Some("store"));
    let reply = late.post("/logout").bearer(&tokens.access_token).send().await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert_revoked(&verify.send().await);

    pair.redis.restart().await;
    eventually("ready", async || ready().await.status == 200).await;
    let [in_process, binary] = pair.verify_requests(&tokens);
    for request in [in_process, binary] {
        let refused = async || request.clone().send().await.status == 401;
        eventually("the other gateways know of the logout", refused).await;
    }
}
