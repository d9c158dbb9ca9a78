//! Section 9 of the contract: a logout at one gateway takes effect at all gateways. In these tests two
//! gateways share one Redis, which is killed, restarted and paused.

mod credentials;
mod outages;
mod queue;
mod session_facts;

use std::time::{Duration, Instant};

use gotrue_mock::Tokens;
use logout_gateway::{Clock, internals::store::redis::STALENESS_BOUND};
use rstest::rstest;
use serde_json::json;

use crate::harness::{
    GatewayProcess, RedisServer, Reply, Request, Setup, TestApp, assert_error, assert_success,
    eventually,
};

/// Two gateways that share one Redis: one in this process, and one that is the real binary. Both call one
/// mock.
struct GatewayPair {
    redis: RedisServer,
    in_process: TestApp,
    binary: GatewayProcess,
}

impl GatewayPair {
    async fn start() -> Self {
        Self::start_with(RedisServer::start().await, "", "").await
    }

    /// Starts both gateways on one Redis. `in_process` and `binary` are appended to the Redis URL of the
    /// gateway with that name.
    async fn start_with(redis: RedisServer, in_process: &str, binary: &str) -> Self {
        let url = redis.url();
        let app = Setup::new().start_time(Clock::system().unix_seconds());
        let in_process = app.flag("store", &format!("{url}{in_process}")).start().await;
        let binary =
            GatewayProcess::start(&in_process, &[("GATEWAY_STORE", &format!("{url}{binary}"))])
                .await;
        Self { redis, in_process, binary }
    }

    /// The same request to `verify` for each of the two gateways.
    fn verify_requests(&self, tokens: &Tokens) -> [Request; 2] {
        [verify_in_process(&self.in_process, tokens), verify_at_binary(&self.binary, tokens)]
    }

    async fn wait_until_accepted_by_both(&self, tokens: &Tokens) {
        for request in self.verify_requests(tokens) {
            let is_accepted = async || request.clone().send().await.status == 200;
            eventually("each gateway accepts the token", is_accepted).await;
        }
    }

    async fn log_out_at_binary(&self, tokens: &Tokens, scope: &str) {
        let reply = self.binary.request("POST", &format!("/logout?scope={scope}"));
        let reply = reply.bearer(&tokens.access_token).send().await;
        assert_success(&reply, "/logout", tokens.user_id, "revoked");
    }
}

fn verify_in_process(app: &TestApp, tokens: &Tokens) -> Request {
    app.get("/api/auth/verify").bearer(&tokens.access_token)
}

fn verify_at_binary(gateway: &GatewayProcess, tokens: &Tokens) -> Request {
    gateway.request("GET", "/api/auth/verify").bearer(&tokens.access_token)
}

/// Waits until the gateway accepts a request without a lookup in Redis, because its replica is up to date.
async fn wait_until_no_lookup_is_sent(redis: &RedisServer, request: &Request) {
    let causes_no_lookup = async || {
        // Only lookups and logouts send the Redis command ZSCORE, and no logout runs here.
        let before = redis.command_calls("zscore");
        assert_eq!(request.clone().send().await.status, 200);
        redis.command_calls("zscore") == before
    };
    eventually("the gateway trusts its replica", causes_no_lookup).await;
}

fn assert_revoked(reply: &Reply) {
    assert_error(reply, 401, "NOT_AUTHENTICATED", Some("revoked"));
}

/// Repeats the request until the gateway refuses it. Asserts that the gateway accepts no request that is sent
/// later than `STALENESS_BOUND` after `since`; returns the time from `since` to the refusal.
async fn wait_until_refused_within_the_bound(since: Instant, request: &Request) -> Duration {
    loop {
        let sent_at = Instant::now();
        let reply = request.clone().send().await;
        if reply.status != 200 {
            assert_revoked(&reply);
            return since.elapsed();
        }
        assert!(
            sent_at.duration_since(since) < STALENESS_BOUND,
            "accepted after {:?}",
            since.elapsed()
        );
    }
}

#[rstest]
#[case::local("local", true, false)]
#[case::global("global", true, true)]
#[case::others("others", false, true)]
#[tokio::test]
async fn a_session_that_was_logged_out_at_one_gateway_is_refused_at_the_other(
    #[case] scope: &str,
    #[case] own_ends: bool,
    #[case] other_ends: bool,
) {
    let pair = GatewayPair::start().await;
    for _ in 0..3 {
        let tokens = pair.in_process.sign_up();
        let other = pair.in_process.sign_in_again(&tokens);
        // Advance the clock, so that the logout is in a later second than the sign-ins.
        pair.in_process.advance_time(1);
        for request in pair.verify_requests(&tokens).into_iter().chain(pair.verify_requests(&other))
        {
            assert_eq!(request.send().await.status, 200);
        }
        pair.log_out_at_binary(&tokens, scope).await;
        let logged_out = Instant::now();
        for (tokens, ends) in [(&tokens, own_ends), (&other, other_ends)] {
            let [in_process, binary] = pair.verify_requests(tokens);
            if ends {
                assert_revoked(&binary.send().await);
                let late = wait_until_refused_within_the_bound(logged_out, &in_process).await;
                println!("{scope}: refused after {late:?}");
            } else {
                assert_eq!(
                    (in_process.send().await.status, binary.send().await.status),
                    (200, 200)
                );
            }
            assert_eq!(pair.in_process.is_alive(tokens), !ends);
        }
    }
}

#[tokio::test]
async fn a_lookup_in_a_trusted_replica_sends_nothing_to_redis() {
    let pair = GatewayPair::start().await;
    let (alive, ended) = (pair.in_process.sign_up(), pair.in_process.sign_up());
    pair.log_out_at_binary(&ended, "global").await;
    let refused = async || verify_in_process(&pair.in_process, &ended).send().await.status == 401;
    eventually("the other gateway knows of the logout", refused).await;
    wait_until_no_lookup_is_sent(&pair.redis, &verify_in_process(&pair.in_process, &alive)).await;
    let before = (pair.redis.command_calls("zscore"), pair.redis.command_calls("hgetall"));
    for _ in 0..100 {
        assert_eq!(verify_in_process(&pair.in_process, &alive).send().await.status, 200);
        assert_revoked(&verify_in_process(&pair.in_process, &ended).send().await);
    }
    assert_eq!((pair.redis.command_calls("zscore"), pair.redis.command_calls("hgetall")), before);
}

#[tokio::test]
async fn two_deployments_on_one_redis_share_no_revocations() {
    for (case, in_process, binary) in [
        ("prefixes", "?prefix=one:", "?prefix=two:"),
        ("a prefix", "", "?prefix=two:"),
        ("databases", "/1", "/2"),
    ] {
        let pair = GatewayPair::start_with(RedisServer::start().await, in_process, binary).await;
        let tokens = pair.in_process.sign_up();
        pair.log_out_at_binary(&tokens, "global").await;
        let third = Setup::new().flag("supabase-url", pair.in_process.mock.url());
        let third = third.start_time(pair.in_process.clock.now());
        let third = third.flag("store", &format!("{}{binary}", pair.redis.url())).start().await;
        assert_revoked(&verify_in_process(&third, &tokens).send().await);
        assert_eq!(verify_in_process(&pair.in_process, &tokens).send().await.status, 200, "{case}");
    }
}

#[tokio::test]
async fn a_gateway_that_was_paused_longer_than_changes_are_kept_misses_none() {
    let pair = GatewayPair::start().await;
    let [alive, tokens @ ..] = [(); 3].map(|()| pair.in_process.sign_up());
    pair.wait_until_accepted_by_both(&alive).await;
    pair.binary.signal("STOP");
    for tokens in &tokens {
        let reply = pair.in_process.post("/logout").bearer(&tokens.access_token).send().await;
        assert_success(&reply, "/logout", tokens.user_id, "revoked");
    }
    let logged_out = Instant::now();
    let trimmed: u64 = pair.redis.command(&["XTRIM", "logout-gateway:changes", "MAXLEN", "0"]);
    assert_eq!(trimmed, 4, "the session and the fact of each logout");
    pair.binary.signal("CONT");
    wait_until_refused_within_the_bound(logged_out, &verify_at_binary(&pair.binary, &tokens[0]))
        .await;

    // No request has used the second session since its logout. After Redis is killed, only the replica knows
    // of the logout.
    eventually("the staleness bound has passed", async || logged_out.elapsed() > STALENESS_BOUND)
        .await;
    wait_until_no_lookup_is_sent(&pair.redis, &verify_at_binary(&pair.binary, &alive)).await;
    pair.redis.kill();
    assert_revoked(&verify_at_binary(&pair.binary, &tokens[1]).send().await);
}

#[tokio::test]
async fn a_logout_that_a_killed_gateway_queued_is_done_by_another() {
    let pair = GatewayPair::start().await;
    pair.in_process.inject_fault(json!({"operation": "logout", "kind": "status", "status": 503}));
    let tokens = pair.in_process.sign_up();
    let reply = pair.binary.request("POST", "/logout").bearer(&tokens.access_token).send().await;
    assert_eq!((reply.status, reply.header("x-logout-outcome")), (202, Some("queued")));
    pair.binary.signal("KILL");
    assert!(pair.in_process.is_alive(&tokens));
    pair.in_process.mock.clear_faults();
    pair.in_process.advance_time(60);
    eventually("the other gateway does the queued logout", async || {
        !pair.in_process.is_alive(&tokens)
    })
    .await;
}
