//! Section 9 of the contract: signed out everywhere at once. Two gateways on one Redis, which is killed,
//! restarted and paused.

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

/// A gateway in this process, with the mock on the system's clock, and the real binary beside it.
struct Pair {
    redis: RedisServer,
    here: TestApp,
    there: GatewayProcess,
}

impl Pair {
    async fn start() -> Self {
        Self::on(RedisServer::start().await, "", "").await
    }

    /// With this behind each one's address.
    async fn on(redis: RedisServer, here: &str, there: &str) -> Self {
        let url = redis.url();
        let app = Setup::new().start_time(Clock::system().unix_seconds());
        let here = app.flag("store", &format!("{url}{here}")).start().await;
        let there =
            GatewayProcess::start(&here, &[("GATEWAY_STORE", &format!("{url}{there}"))]).await;
        Self { redis, here, there }
    }

    /// Both are asked about the token.
    fn both(&self, tokens: &Tokens) -> [Request; 2] {
        [verify_here(&self.here, tokens), verify_there(&self.there, tokens)]
    }

    async fn accepted_by_both(&self, tokens: &Tokens) {
        for request in self.both(tokens) {
            let let_in = async || request.clone().send().await.status == 200;
            eventually("both can tell again", let_in).await;
        }
    }

    async fn log_out_there(&self, tokens: &Tokens, scope: &str) {
        let reply = self.there.request("POST", &format!("/logout?scope={scope}"));
        let reply = reply.bearer(&tokens.access_token).send().await;
        assert_success(&reply, "/logout", tokens.user_id, "revoked");
    }
}

fn verify_here(app: &TestApp, tokens: &Tokens) -> Request {
    app.get("/api/auth/verify").bearer(&tokens.access_token)
}

fn verify_there(gateway: &GatewayProcess, tokens: &Tokens) -> Request {
    gateway.request("GET", "/api/auth/verify").bearer(&tokens.access_token)
}

/// Waits until a request that lets in costs no question to Redis.
async fn sends_no_command(redis: &RedisServer, request: &Request) {
    let followed = async || {
        // Nobody but a lookup and a logout asks for a session's score.
        let before = redis.command_calls("zscore");
        assert_eq!(request.clone().send().await.status, 200);
        redis.command_calls("zscore") == before
    };
    eventually("the copy is followed", followed).await;
}

fn assert_revoked(reply: &Reply) {
    assert_error(reply, 401, "NOT_AUTHENTICATED", Some("revoked"));
}

/// Asks until it is refused, and asserts that it was not let in later than the bound allows.
async fn refused_within_the_bound(since: Instant, request: &Request) -> Duration {
    loop {
        let asked = Instant::now();
        let reply = request.clone().send().await;
        if reply.status != 200 {
            assert_revoked(&reply);
            return since.elapsed();
        }
        assert!(
            asked.duration_since(since) < STALENESS_BOUND,
            "let in after {:?}",
            since.elapsed()
        );
    }
}

#[rstest]
#[case::local("local", true, false)]
#[case::global("global", true, true)]
#[case::others("others", false, true)]
#[tokio::test]
async fn a_logout_at_one_gateway_is_refused_at_the_other(
    #[case] scope: &str,
    #[case] own_ends: bool,
    #[case] other_ends: bool,
) {
    let pair = Pair::start().await;
    for _ in 0..3 {
        let tokens = pair.here.sign_up();
        let other = pair.here.sign_in_again(&tokens);
        // A token of the cut-off's own second is not before it.
        pair.here.advance_time(1);
        for request in pair.both(&tokens).into_iter().chain(pair.both(&other)) {
            assert_eq!(request.send().await.status, 200);
        }
        pair.log_out_there(&tokens, scope).await;
        let logged_out = Instant::now();
        for (tokens, ends) in [(&tokens, own_ends), (&other, other_ends)] {
            let [here, there] = pair.both(tokens);
            if ends {
                assert_revoked(&there.send().await);
                let late = refused_within_the_bound(logged_out, &here).await;
                println!("{scope}: refused after {late:?}");
            } else {
                assert_eq!((here.send().await.status, there.send().await.status), (200, 200));
            }
            assert_eq!(pair.here.is_alive(tokens), !ends);
        }
    }
}

#[tokio::test]
async fn a_lookup_in_a_trusted_replica_sends_nothing_to_redis() {
    let pair = Pair::start().await;
    let (alive, ended) = (pair.here.sign_up(), pair.here.sign_up());
    pair.log_out_there(&ended, "global").await;
    let refused = async || verify_here(&pair.here, &ended).send().await.status == 401;
    eventually("the other has heard of it", refused).await;
    sends_no_command(&pair.redis, &verify_here(&pair.here, &alive)).await;
    let before = (pair.redis.command_calls("zscore"), pair.redis.command_calls("hgetall"));
    for _ in 0..100 {
        assert_eq!(verify_here(&pair.here, &alive).send().await.status, 200);
        assert_revoked(&verify_here(&pair.here, &ended).send().await);
    }
    assert_eq!((pair.redis.command_calls("zscore"), pair.redis.command_calls("hgetall")), before);
}

#[tokio::test]
async fn two_deployments_on_one_redis_know_nothing_of_each_other() {
    for (case, here, there) in [
        ("prefixes", "?prefix=one:", "?prefix=two:"),
        ("a prefix", "", "?prefix=two:"),
        ("databases", "/1", "/2"),
    ] {
        let pair = Pair::on(RedisServer::start().await, here, there).await;
        let tokens = pair.here.sign_up();
        pair.log_out_there(&tokens, "global").await;
        let third = Setup::new().flag("supabase-url", pair.here.mock.url());
        let third = third.start_time(pair.here.clock.now());
        let third = third.flag("store", &format!("{}{there}", pair.redis.url())).start().await;
        assert_revoked(&verify_here(&third, &tokens).send().await);
        assert_eq!(verify_here(&pair.here, &tokens).send().await.status, 200, "{case}");
    }
}

#[tokio::test]
async fn whoever_was_paused_for_longer_than_changes_are_kept_misses_none() {
    let pair = Pair::start().await;
    let [alive, tokens @ ..] = [(); 3].map(|()| pair.here.sign_up());
    pair.accepted_by_both(&alive).await;
    pair.there.signal("STOP");
    for tokens in &tokens {
        let reply = pair.here.post("/logout").bearer(&tokens.access_token).send().await;
        assert_success(&reply, "/logout", tokens.user_id, "revoked");
    }
    let logged_out = Instant::now();
    let trimmed: u64 = pair.redis.command(&["XTRIM", "logout-gateway:changes", "MAXLEN", "0"]);
    assert_eq!(trimmed, 4, "a session and a fact for each");
    pair.there.signal("CONT");
    refused_within_the_bound(logged_out, &verify_there(&pair.there, &tokens[0])).await;

    // Nobody has asked about the other. From here the copy alone can tell.
    eventually("the bound is over", async || logged_out.elapsed() > STALENESS_BOUND).await;
    sends_no_command(&pair.redis, &verify_there(&pair.there, &alive)).await;
    pair.redis.kill();
    assert_revoked(&verify_there(&pair.there, &tokens[1]).send().await);
}

#[tokio::test]
async fn a_logout_that_a_killed_gateway_queued_is_done_by_another() {
    let pair = Pair::start().await;
    pair.here.inject_fault(json!({"operation": "logout", "kind": "status", "status": 503}));
    let tokens = pair.here.sign_up();
    let reply = pair.there.request("POST", "/logout").bearer(&tokens.access_token).send().await;
    assert_eq!((reply.status, reply.header("x-logout-outcome")), (202, Some("queued")));
    pair.there.signal("KILL");
    assert!(pair.here.is_alive(&tokens));
    pair.here.mock.clear_faults();
    pair.here.advance_time(60);
    eventually("the other takes it over", async || !pair.here.is_alive(&tokens)).await;
}
