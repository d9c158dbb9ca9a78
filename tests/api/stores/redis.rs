//! The promises of every store, kept by Redis; and what is Redis' own.

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
    Place,
    list::{log_out, now, refuses, session, session_of},
    queue::entry,
};
use crate::harness::{RedisServer, eventually};

every_store! { place().await }
every_queue! { place().await }
every_durable_store! { place().await }

async fn place() -> Place {
    let server = RedisServer::start().await;
    // Redis has a clock of its own: what the gateway takes for the time is wrong by decades.
    Place {
        address: address(&server),
        clock: || Timestamp::constant(5, 0),
        _ground: Box::new(server),
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

/// A store as a gateway has it, which follows what others do.
struct Followed {
    store: Arc<dyn Store>,
    following: JoinHandle<()>,
}

impl Followed {
    async fn open(server: &RedisServer) -> Self {
        let store = store::open(&address(server)).await.unwrap();
        let kept = store.clone();
        Self { store, following: tokio::spawn(async move { kept.run().await }) }
    }

    async fn answers(&self, claims: &Claims) -> Result<bool, StoreError> {
        self.store.is_revoked(claims, from_unix_seconds(now())).await
    }

    /// Waits until its copy holds everything that is on the list now.
    async fn knows_all(&self, server: &RedisServer) {
        let since = Instant::now();
        eventually("the bound is over", async || since.elapsed() > STALENESS_BOUND).await;
        self.follows(server).await;
    }

    /// Waits until a lookup asks nobody.
    async fn follows(&self, server: &RedisServer) {
        let unknown = session(now());
        let sends_no_command = async || {
            let before = server.command_calls("zscore");
            assert_eq!(self.answers(&unknown).await, Ok(false));
            server.command_calls("zscore") == before
        };
        eventually("the list is followed", sends_no_command).await;
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.following.abort();
    }
}

#[tokio::test]
async fn revocations_that_failed_are_written_once_redis_is_back_however_many() {
    let server = RedisServer::start().await;
    let (one, another) = (Followed::open(&server).await, Followed::open(&server).await);
    one.follows(&server).await;
    server.kill();
    let now = now();
    let ended: Vec<Claims> = (0..2_500).map(|_| session(now - 10)).collect();
    for (n, claims) in ended.iter().enumerate() {
        let scope = [Scope::Local, Scope::Global, Scope::Others][n % 3];
        assert!(one.store.revoke(&revocation(claims, scope, now)).await.is_err());
    }
    server.restart().await;
    let count = |set: &str| server.command::<usize>(&["ZCARD", &format!("logout-gateway:{set}")]);
    // Of each ended session there is a fact beside it.
    let written = async || (count("sessions"), count("users")) == (3_334, 1_666);
    eventually("everything is written", written).await;
    another.knows_all(&server).await;
    // From here the copies alone can tell.
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
async fn a_revocation_that_redis_refused_is_written_once_redis_takes_it() {
    let server = RedisServer::start().await;
    let (one, another) = (Followed::open(&server).await, Followed::open(&server).await);
    one.follows(&server).await;
    another.follows(&server).await;
    server.command::<()>(&["ACL", "SETUSER", "default", "-eval"]);
    let ended = session(now() - 10);
    let fault = one.store.revoke(&revocation(&ended, Scope::Local, now())).await.unwrap_err();
    assert!(fault.cause.starts_with("Redis does not permit this user a command"), "{fault}");
    assert_eq!(one.answers(&ended).await, Ok(true));
    assert_eq!(another.answers(&ended).await, Ok(false));
    server.command::<()>(&["ACL", "SETUSER", "default", "+eval"]);
    let known = async || another.answers(&ended).await == Ok(true);
    eventually("the other hears of it", known).await;
}

#[tokio::test]
async fn a_redis_that_lost_its_data_gets_the_revocations_again() {
    let server = RedisServer::start().await;
    let (one, another) = (Followed::open(&server).await, Followed::open(&server).await);
    let [before, after] = [(); 2].map(|()| session(now() - 10));
    log_out(&*one.store, &before, Scope::Global, now()).await;
    another.follows(&server).await;
    let ok: String = server.command(&["FLUSHALL"]);
    assert_eq!(ok, "OK");
    log_out(&*one.store, &after, Scope::Global, now()).await;
    let count = |set: &str| server.command::<usize>(&["ZCARD", &format!("logout-gateway:{set}")]);
    eventually("it knows both", async || (count("sessions"), count("users")) == (4, 2)).await;
    for claims in [&before, &after] {
        let fresh = store::open(&address(&server)).await.unwrap();
        assert!(refuses(&*fresh, claims, now()).await);
    }
}

#[tokio::test]
async fn a_redis_that_lost_its_data_gets_the_revocations_again_without_another_logout() {
    let server = RedisServer::start().await;
    let (one, another) = (Followed::open(&server).await, Followed::open(&server).await);
    let ended = session(now() - 10);
    log_out(&*one.store, &ended, Scope::Global, now()).await;
    another.follows(&server).await;
    drop(one);
    // Every connection holds.
    let ok: String = server.command(&["FLUSHALL"]);
    assert_eq!(ok, "OK");
    let count = |set: &str| server.command::<usize>(&["ZCARD", &format!("logout-gateway:{set}")]);
    eventually("it knows it", async || (count("sessions"), count("users")) == (2, 1)).await;
    let fresh = store::open(&address(&server)).await.unwrap();
    assert!(refuses(&*fresh, &ended, now()).await);
    another.follows(&server).await;
    assert_eq!(another.answers(&ended).await, Ok(true));
}

#[tokio::test]
async fn a_queue_is_listed_that_is_too_large_to_come_at_once() {
    // A sealed session of the usual size, three thousand times.
    const FILL: &str = "for n = 1, 3000 do
        local id = string.format('%08x-0000-4000-8000-000000000000', n)
        redis.call('ZADD', KEYS[1], n, id)
        redis.call('HSET', KEYS[2], id, (string.gsub(ARGV[1], ARGV[2], id)))
    end";
    // Whoever asks for more at once is hung up on.
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
async fn a_revocation_leaves_redis_once_it_has_expired_by_both_clocks() {
    let server = RedisServer::start().await;
    let store = store::open(&address(&server)).await.unwrap();
    let (over, alive) = (session(now() - DAY - 10), session(now() - 10));
    // A day ago, for a day.
    log_out(&*store, &over, Scope::Global, now() - DAY).await;
    log_out(&*store, &alive, Scope::Global, now()).await;
    let count = |set: &str| server.command::<usize>(&["ZCARD", &format!("logout-gateway:{set}")]);
    assert_eq!((count("sessions"), count("users")), (4, 2));
    store.purge_expired(from_unix_seconds(now())).await.unwrap();
    assert_eq!((count("sessions"), count("users")), (2, 1));
    // This gateway's clock is a year ahead.
    store.purge_expired(from_unix_seconds(now() + 365 * DAY)).await.unwrap();
    assert_eq!((count("sessions"), count("users")), (2, 1));
    let fresh = store::open(&address(&server)).await.unwrap();
    assert!(refuses(&*fresh, &alive, now()).await);
}

#[tokio::test]
async fn keys_end_by_themselves_a_day_after_the_last_token_that_they_can_match() {
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
