//! The promises of every store, tested with Redis, and tests that concern only Redis.

mod clock;
mod first_release;
mod full;
mod memory;
mod revocations;
mod versions;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use logout_gateway::internals::{
    clock::from_unix_seconds,
    config::StoreAddress,
    outcome::Scope,
    session::token::Claims,
    store::{self, Store, StoreError, list::Revocation, redis::STALENESS_BOUND},
};
use tokio::task::JoinHandle;

use super::{
    StoreLocation,
    list::{log_out, now, refuses, session, session_of},
    queue::entry,
};
use crate::harness::{RedisServer, eventually};

every_store! { location().await }
every_queue! { location().await }
every_durable_store! { location().await }

async fn location() -> StoreLocation {
    let server = RedisServer::start().await;
    // The store must use the clock of Redis. The gateway's clock is wrong by decades to prove that.
    StoreLocation {
        address: address(&server),
        clock: || Timestamp::constant(5, 0),
        _guard: Box::new(server),
    }
}

pub(super) fn address(server: &RedisServer) -> StoreAddress {
    StoreAddress::parse(&server.url()).unwrap()
}

const DAY: i64 = 86_400;

fn revocation(claims: &Claims, scope: Scope, at: i64) -> Revocation {
    let at = from_unix_seconds(at);
    Revocation::new(claims, scope, at, at, Duration::from_hours(1))
}

/// A store in Redis whose replica of the revocation list follows the changes of other instances, as in a
/// gateway.
struct ReplicatedStore {
    store: Arc<dyn Store>,
    following: JoinHandle<()>,
}

impl ReplicatedStore {
    async fn open(server: &RedisServer) -> Self {
        let store = store::open(&address(server)).await.unwrap();
        let kept = store.clone();
        Self { store, following: tokio::spawn(async move { kept.run().await }) }
    }

    async fn answers(&self, claims: &Claims) -> Result<bool, StoreError> {
        self.store.is_revoked(claims, from_unix_seconds(now())).await
    }

    /// Waits until the replica has all entries that the revocation list in Redis has now.
    async fn wait_until_replicated(&self, server: &RedisServer) {
        let since = Instant::now();
        eventually("the staleness bound has passed", async || since.elapsed() > STALENESS_BOUND)
            .await;
        self.wait_until_following(server).await;
    }

    /// Waits until a lookup sends no command to Redis, because the replica is up to date.
    async fn wait_until_following(&self, server: &RedisServer) {
        let unknown = session(now());
        let sends_no_command = async || {
            let before = server.command_calls("zscore");
            assert_eq!(self.answers(&unknown).await, Ok(false));
            server.command_calls("zscore") == before
        };
        eventually("the replica follows the list", sends_no_command).await;
    }
}

impl Drop for ReplicatedStore {
    fn drop(&mut self) {
        self.following.abort();
    }
}

#[tokio::test]
async fn all_revocations_that_failed_are_written_when_redis_is_back() {
    let server = RedisServer::start().await;
    let (one, another) =
        (ReplicatedStore::open(&server).await, ReplicatedStore::open(&server).await);
    one.wait_until_following(&server).await;
    server.kill();
    let now = now();
    let ended: Vec<Claims> = (0..2_500).map(|_| session(now - 10)).collect();
    for (n, claims) in ended.iter().enumerate() {
        let scope = [Scope::Local, Scope::Global, Scope::Others][n % 3];
        assert!(one.store.revoke(&revocation(claims, scope, now)).await.is_err());
    }
    server.restart().await;
    let count = |set: &str| server.command::<usize>(&["ZCARD", &format!("logout-gateway:{set}")]);
    // The set of sessions also has a fact for each ended session.
    let written = async || (count("sessions"), count("users")) == (3_334, 1_666);
    eventually("all revocations are written", written).await;
    another.wait_until_replicated(&server).await;
    // Kill Redis, so that only the replicas can answer.
    server.kill();
    for (n, claims) in ended.iter().enumerate() {
        let other = session_of(claims.sub, now - 5);
        for store in [&one, &another] {
            if n % 3 != 2 {
                assert_eq!(store.answers(claims).await, Ok(true), "{n}");
            }
            if n % 3 != 0 {
                assert_eq!(store.answers(&other).await, Ok(true), "{n}");
            }
        }
    }
}

#[tokio::test]
async fn a_revocation_that_redis_refused_is_written_when_redis_accepts_it() {
    let server = RedisServer::start().await;
    let (one, another) =
        (ReplicatedStore::open(&server).await, ReplicatedStore::open(&server).await);
    one.wait_until_following(&server).await;
    another.wait_until_following(&server).await;
    server.command::<()>(&["ACL", "SETUSER", "default", "-eval"]);
    let ended = session(now() - 10);
    let fault = one.store.revoke(&revocation(&ended, Scope::Local, now())).await.unwrap_err();
    assert!(fault.cause.starts_with("Redis does not permit this user a command"), "{fault}");
    assert_eq!(one.answers(&ended).await, Ok(true));
    assert_eq!(another.answers(&ended).await, Ok(false));
    server.command::<()>(&["ACL", "SETUSER", "default", "+eval"]);
    let known = async || another.answers(&ended).await == Ok(true);
    eventually("the other instance has the revocation", known).await;
}

#[tokio::test]
async fn a_redis_that_lost_its_data_gets_the_revocations_again() {
    let server = RedisServer::start().await;
    let (one, another) =
        (ReplicatedStore::open(&server).await, ReplicatedStore::open(&server).await);
    let [before, after] = [(); 2].map(|()| session(now() - 10));
    log_out(&*one.store, &before, Scope::Global, now()).await;
    another.wait_until_following(&server).await;
    let ok: String = server.command(&["FLUSHALL"]);
    assert_eq!(ok, "OK");
    log_out(&*one.store, &after, Scope::Global, now()).await;
    let count = |set: &str| server.command::<usize>(&["ZCARD", &format!("logout-gateway:{set}")]);
    eventually("Redis has both revocations", async || {
        (count("sessions"), count("users")) == (4, 2)
    })
    .await;
    for claims in [&before, &after] {
        let fresh = store::open(&address(&server)).await.unwrap();
        assert!(refuses(&*fresh, claims, now()).await);
    }
}

#[tokio::test]
async fn a_redis_that_lost_its_data_gets_the_revocations_again_without_another_logout() {
    let server = RedisServer::start().await;
    let (one, another) =
        (ReplicatedStore::open(&server).await, ReplicatedStore::open(&server).await);
    let ended = session(now() - 10);
    log_out(&*one.store, &ended, Scope::Global, now()).await;
    another.wait_until_following(&server).await;
    drop(one);
    // `FLUSHALL` deletes the data but keeps connections open, so the store must notice the loss by itself.
    let ok: String = server.command(&["FLUSHALL"]);
    assert_eq!(ok, "OK");
    let count = |set: &str| server.command::<usize>(&["ZCARD", &format!("logout-gateway:{set}")]);
    eventually("Redis has the revocation", async || (count("sessions"), count("users")) == (2, 1))
        .await;
    let fresh = store::open(&address(&server)).await.unwrap();
    assert!(refuses(&*fresh, &ended, now()).await);
    another.wait_until_following(&server).await;
    assert_eq!(another.answers(&ended).await, Ok(true));
}

#[tokio::test]
async fn a_queue_that_is_too_large_for_one_reply_is_listed() {
    // Fill the queue with three thousand entries that have credentials of the usual size.
    const FILL: &str = "for n = 1, 3000 do
        local id = string.format('%08x-0000-4000-8000-000000000000', n)
        redis.call('ZADD', KEYS[1], n, id)
        redis.call('HSET', KEYS[2], id, (string.gsub(ARGV[1], ARGV[2], id)))
    end";
    // Redis closes a connection whose reply is larger than 1 MB.
    let limit = ["--client-output-buffer-limit", "normal", "1mb", "1mb", "0"];
    let server = RedisServer::start_with_options(&limit).await;
    let store = store::open(&address(&server)).await.unwrap();
    let mut long = entry();
    long.credentials[0].sealed = "x".repeat(1_800);
    let (record, id) = (serde_json::to_string(&long).unwrap(), long.id.to_string());
    let (record, pattern) = (format!("2 {record}"), id.replace('-', "%-"));
    let (due, records) = ("logout-gateway:queue:2:due", "logout-gateway:queue:2:records");
    server.command::<()>(&["EVAL", FILL, "2", due, records, &record, &pattern]);
    let entries = store.queue().unwrap().entries(usize::MAX).await.unwrap();
    assert_eq!(entries.len(), 3_000);
    for (n, entry) in (1_u32..).zip(&entries) {
        assert_eq!((entry.due.as_millisecond(), entry.id.as_u128() >> 96), (n.into(), n.into()));
    }
    let some = store.queue().unwrap().entries(2_999).await.unwrap();
    assert_eq!(some.last(), Some(&entries[2_998]));
}

#[tokio::test]
async fn a_revocation_is_removed_from_redis_when_it_has_expired_by_both_clocks() {
    let server = RedisServer::start().await;
    let store = store::open(&address(&server)).await.unwrap();
    let (over, alive) = (session(now() - DAY - 10), session(now() - 10));
    // The first session was revoked a day ago for one day, so its revocation has expired.
    log_out(&*store, &over, Scope::Global, now() - DAY).await;
    log_out(&*store, &alive, Scope::Global, now()).await;
    let count = |set: &str| server.command::<usize>(&["ZCARD", &format!("logout-gateway:{set}")]);
    assert_eq!((count("sessions"), count("users")), (4, 2));
    store.purge_expired(from_unix_seconds(now())).await.unwrap();
    assert_eq!((count("sessions"), count("users")), (2, 1));
    // The clock of this gateway is a year ahead, but Redis must keep entries that have not expired by its own
    // clock.
    store.purge_expired(from_unix_seconds(now() + 365 * DAY)).await.unwrap();
    assert_eq!((count("sessions"), count("users")), (2, 1));
    let fresh = store::open(&address(&server)).await.unwrap();
    assert!(refuses(&*fresh, &alive, now()).await);
}

#[tokio::test]
async fn keys_expire_a_day_after_the_last_token_that_they_can_match() {
    let server = RedisServer::start().await;
    let store = store::open(&address(&server)).await.unwrap();
    let claims = session(now() - 10);
    log_out(&*store, &claims, Scope::Global, now()).await;
    log_out(&*store, &claims, Scope::Others, now() - 100).await;
    let user = format!("user:{}", claims.sub);
    for key in ["sessions", "users", &user, "changes"] {
        let ttl: i64 = server.command(&["TTL", &format!("logout-gateway:{key}")]);
        let least = if key == "changes" { 2 * DAY - 110 } else { 2 * DAY - 10 };
        assert!((least..=2 * DAY).contains(&ttl), "{key}: {ttl}");
    }
    let keys: Vec<String> = server.command(&["KEYS", "*"]);
    assert_eq!(keys.len(), 6, "{keys:?}");
}
