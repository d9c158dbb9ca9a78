//! Redis is killed, restarted with and without its data, and paused.

use std::time::{Duration, Instant};

use logout_gateway::internals::store::redis::STALENESS_BOUND;
use serde_json::json;

use super::{Pair, assert_revoked, refused_within_the_bound, verify_here, verify_there};
use crate::harness::{
    Browser, CookieFormat, Request, Setup, assert_error, assert_not_ready, assert_success,
    eventually,
};

/// Longer than anybody is kept waiting by a Redis that does not answer, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks until nobody can tell, and asserts that nobody was let in later than the bound allows.
async fn unknown_within_the_bound(since: Instant, request: &Request) {
    loop {
        let asked = Instant::now();
        let reply = request.clone().send().await;
        assert!(asked.elapsed() < PATIENCE, "answered after {:?}", asked.elapsed());
        if reply.status != 200 {
            assert_error(&reply, 503, "NOT_READY", Some("store"));
            return;
        }
        assert!(
            asked.duration_since(since) < STALENESS_BOUND,
            "let in after {:?}",
            since.elapsed()
        );
    }
}

/// What happens to Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outage {
    Killed,
    KilledAndEmptied,
    Paused,
}

impl Outage {
    fn begins(self, pair: &Pair) {
        match self {
            Self::Killed | Self::KilledAndEmptied => pair.redis.kill(),
            Self::Paused => pair.redis.pause(),
        }
    }

    async fn ends(self, pair: &Pair) {
        match self {
            Self::Killed => pair.redis.restart().await,
            Self::KilledAndEmptied => pair.redis.restart_empty().await,
            Self::Paused => pair.redis.resume(),
        }
    }
}

async fn no_token_is_accepted_on_a_guess(outage: Outage) {
    let mut pair = Pair::start().await;
    let [alive, before, during] = [(); 3].map(|()| pair.here.sign_up());
    pair.log_out_there(&before, "local").await;
    let refused = async || verify_here(&pair.here, &before).send().await.status == 401;
    eventually("the other has heard of it", refused).await;
    pair.accepted_by_both(&alive).await;

    outage.begins(&pair);
    let since = Instant::now();
    for request in pair.both(&alive) {
        unknown_within_the_bound(since, &request).await;
    }
    for request in pair.both(&before) {
        assert_revoked(&request.send().await);
    }
    let asked = Instant::now();
    pair.log_out_there(&during, "local").await;
    assert!(asked.elapsed() < PATIENCE, "a logout took {:?}", asked.elapsed());
    assert!(!pair.here.is_alive(&during));
    let [here, there] = pair.both(&during);
    assert_revoked(&there.clone().send().await);
    assert_error(&here.clone().send().await, 503, "NOT_READY", Some("store"));
    assert_not_ready(&pair.here.get("/readyz").send().await, "store");

    pair.there
        .wait_for_log("the store cannot follow the revocation list in Redis and asks Redis about each token until it can");
    outage.ends(&pair).await;
    let refused = async || here.clone().send().await.status == 401;
    eventually("what could not be written is", refused).await;
    pair.accepted_by_both(&alive).await;
    for request in pair.both(&before).into_iter().chain(pair.both(&during)) {
        assert_revoked(&request.send().await);
    }
    assert_eq!(pair.here.get("/readyz").send().await.status, 200);
    // Whoever comes now has no copy: Redis knows everything again.
    let third = Setup::new().flag("supabase-url", pair.here.mock.url());
    let third =
        third.start_time(pair.here.clock.now()).flag("store", &pair.redis.url()).start().await;
    for tokens in [&before, &during] {
        assert_revoked(&verify_here(&third, tokens).send().await);
    }
    assert_eq!(verify_here(&third, &alive).send().await.status, 200);

    let Pair { mut there, .. } = pair;
    there.wait_for_log("the store follows the revocation list in Redis again");
    let log = there.stop();
    let said = |text: &str| log.lines.iter().any(|line| line["message"] == text);
    for text in [
        "the store failed to save a revocation: it retries, and a restart before it succeeds loses the revocation",
        "the store did not answer whether a session is revoked, so verify answers 503: check GATEWAY_STORE",
    ] {
        assert!(said(text), "{text}: {}", log.text);
    }
}

#[tokio::test]
async fn no_token_is_accepted_on_a_guess_while_redis_is_killed() {
    no_token_is_accepted_on_a_guess(Outage::Killed).await;
}

#[tokio::test]
async fn no_token_is_accepted_on_a_guess_while_redis_is_killed_and_loses_its_data() {
    no_token_is_accepted_on_a_guess(Outage::KilledAndEmptied).await;
}

#[tokio::test]
async fn no_token_is_accepted_on_a_guess_while_redis_is_paused() {
    no_token_is_accepted_on_a_guess(Outage::Paused).await;
}

#[tokio::test]
async fn failures_while_redis_was_killed_are_in_the_failure_log_once_it_is_back() {
    let pair = Pair::start().await;
    pair.here.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500}));
    pair.redis.kill();
    let tokens = pair.here.sign_up();
    let logout = pair.there.request("POST", "/logout").bearer(&tokens.access_token);
    assert_error(&logout.send().await, 500, "LOGOUT_FAILED", Some("auth_service_error"));
    let since = Instant::now();
    eventually("a write has failed", async || since.elapsed() > PATIENCE).await;
    pair.redis.restart().await;
    let log =
        || pair.redis.command::<Vec<String>>(&["LRANGE", "logout-gateway:failures", "0", "-1"]);
    eventually("it is there", async || !log().is_empty()).await;
    assert!(log()[0].contains(&tokens.session_id.to_string()), "{:?}", log());
}

#[tokio::test]
async fn a_reply_does_not_wait_for_the_failure_log() {
    /// So long a command to Redis is waited for.
    const PATIENCE: Duration = Duration::from_secs(1);
    let pair = Pair::start().await;
    let tokens = pair.here.sign_up();
    let mut browser = Browser::signed_in(&pair.here, &tokens, CookieFormat::Base64).await;
    // What is about the request is neither queued nor, of a stale session, on the list.
    pair.here.advance_time(3600);
    pair.here.inject_fault(json!({"operation": "token", "kind": "status", "status": 400,
        "code": "no_code_of_gotrue"}));
    pair.redis.pause();
    let asked = Instant::now();
    // A `local` logout would look into the queue first.
    let reply = browser.logout("/logout?scope=global").await;
    let waited = asked.elapsed();
    pair.redis.resume();
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
    assert!(waited < PATIENCE, "{waited:?}");
    assert!(pair.here.is_alive(&tokens));
    let noted = async || pair.redis.command::<usize>(&["LLEN", "logout-gateway:failures"]) == 1;
    eventually("it is noted all the same", noted).await;
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_tells_nothing() {
    let pair = Pair::start().await;
    let (alive, ended) = (pair.here.sign_up(), pair.here.sign_up());
    pair.log_out_there(&ended, "local").await;
    pair.accepted_by_both(&alive).await;
    for (case, failing, well) in [
        ("deposed", ["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]),
        (
            "without replicas",
            ["CONFIG", "SET", "min-replicas-to-write=1"],
            ["CONFIG", "SET", "min-replicas-to-write=0"],
        ),
    ] {
        let ask = |words: [&str; 3]| {
            let words: Vec<&str> = words.iter().flat_map(|word| word.split('=')).collect();
            pair.redis.command::<String>(&words)
        };
        assert_eq!(ask(failing), "OK", "{case}");
        let since = Instant::now();
        for request in pair.both(&alive) {
            unknown_within_the_bound(since, &request).await;
        }
        for request in pair.both(&ended) {
            assert_revoked(&request.send().await);
        }
        assert_eq!(ask(well), "OK", "{case}");
        pair.accepted_by_both(&alive).await;
    }
}

#[tokio::test]
async fn a_full_redis_answers_lookups_and_takes_revocations() {
    let pair = Pair::start().await;
    let [alive, here_first, there_first] = [(); 3].map(|()| pair.here.sign_up());
    pair.accepted_by_both(&alive).await;
    let full: String = pair.redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(full, "OK");
    let since = Instant::now();
    while since.elapsed() < STALENESS_BOUND + STALENESS_BOUND / 2 {
        for request in pair.both(&alive) {
            assert_eq!(request.send().await.status, 200);
        }
    }
    pair.log_out_there(&there_first, "local").await;
    refused_within_the_bound(Instant::now(), &verify_here(&pair.here, &there_first)).await;
    let logout = pair.here.post("/logout").bearer(&here_first.access_token).send().await;
    assert_success(&logout, "/logout", here_first.user_id, "revoked");
    refused_within_the_bound(Instant::now(), &verify_there(&pair.there, &here_first)).await;
    // Nothing can be queued: the reply promises nothing.
    pair.here.inject_fault(json!({"operation": "logout", "kind": "status", "status": 503}));
    let logout = pair.there.request("POST", "/logout").bearer(&alive.access_token).send().await;
    assert_error(&logout, 500, "LOGOUT_FAILED", Some("auth_service_unavailable"));
}

#[tokio::test]
async fn a_gateway_that_starts_before_redis_keeps_connecting() {
    let pair = Pair::start().await;
    let tokens = pair.here.sign_up();
    pair.redis.kill();
    let late = Setup::new().flag("supabase-url", pair.here.mock.url()).without_readiness_check();
    let late =
        late.start_time(pair.here.clock.now()).flag("store", &pair.redis.url()).start().await;
    let ready = async || late.get("/readyz").send().await;
    let keys = async || ready().await.json()["error"]["reason"] == "store";
    eventually("all but the store is there", keys).await;
    let verify = verify_here(&late, &tokens);
    assert_error(&verify.clone().send().await, 503, "NOT_READY", Some("store"));
    let reply = late.post("/logout").bearer(&tokens.access_token).send().await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert_revoked(&verify.send().await);

    pair.redis.restart().await;
    eventually("ready", async || ready().await.status == 200).await;
    let [here, there] = pair.both(&tokens);
    for request in [here, there] {
        let refused = async || request.clone().send().await.status == 401;
        eventually("the others hear of it", refused).await;
    }
}
