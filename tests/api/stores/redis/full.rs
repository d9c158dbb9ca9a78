//! A Redis that other keys have filled must accept no new queue entries, but everything else must work.

use jiff::Timestamp;
use logout_gateway::internals::{
    clock::from_unix_seconds,
    outcome::Scope,
    queue::entry::NEVER,
    store::{self, StoreError},
};

use super::{
    super::{
        StoreLocation,
        failures::{self, numbered_failure},
        list::{now, refuses, session, session_of},
        queue::{BOUNDS, HOUR, NOW, TestQueue, entry, ids, names, queue_entry},
        totals::totals,
    },
    ReplicatedStore, address, revocation,
};
use crate::harness::{RedisServer, eventually};

const OUT_OF_MEMORY: &str = "Redis is out of memory";

/// Fills Redis with other keys until it refuses further ones.
pub(super) fn fill(server: &RedisServer) {
    let used: String = server.command(&["INFO", "memory"]);
    let used = used.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    let most = used.trim().parse::<u64>().unwrap() + (4 << 20);
    server.command::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    server.command::<()>(&["CONFIG", "SET", "maxmemory", &most.to_string()]);
    for n in 0.. {
        let key = format!("other:{n}");
        let set = server.try_command::<String>(&["SET", &key, &"x".repeat(64 << 10)]);
        if let Err(refusal) = set {
            assert_eq!(refusal.code(), Some("OOM"), "{refusal}");
            break;
        }
        assert!(n < 1_000, "Redis does not fill up");
    }
    // Lower the limit below the used memory, so that removing keys makes no room.
    let below = most - (1 << 20);
    server.command::<()>(&["CONFIG", "SET", "maxmemory", &below.to_string()]);
}

#[tokio::test]
async fn a_full_redis_leases_reschedules_and_removes_entries_and_takes_no_new_ones() {
    let server = RedisServer::start().await;
    let location = StoreLocation {
        address: address(&server),
        clock: || Timestamp::constant(5, 0),
        _guard: Box::new(()),
    };
    let queue = TestQueue::open(&location).await;
    let put = queue.put([NOW; 4]).await;
    fill(&server);
    let leased = queue.lease(HOUR, 9).await;
    assert_eq!(leased.len(), 4);
    assert!(queue.reschedule(&leased[0], NOW, true).await);
    assert_ne!(queue.get(&leased[0]).await.failed_at, NEVER);
    assert!(queue.remove_unchanged(&leased[1]).await);
    assert!(queue.remove(&leased[2]).await);
    let existing = &leased[3];
    let again = queue_entry(existing.user_id, existing.session_id, Scope::Local, "b", true);
    for refused in [&entry(), &again] {
        let fault =
            queue.queue().enqueue(refused, NOW, &BOUNDS, Timestamp::UNIX_EPOCH).await.unwrap_err();
        let expected =
            StoreError { operation: "enqueue a logout", cause: OUT_OF_MEMORY.to_owned() };
        assert_eq!(fault, expected);
    }
    assert_eq!(queue.get(existing).await, *existing, "the refused command has changed nothing");
    assert_eq!((queue.len().await, queue.all().await.len()), (2, 2));
    assert!(queue.queue().oldest().await.unwrap().is_some());
    assert_eq!(ids(&queue.lease(HOUR, 9).await), [leased[0].id]);
    // Once Redis has room again, the queue must work as before.
    server.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    queue.enqueue(&again, NOW).await;
    assert_eq!(names(&queue.get(existing).await), ["b", "a"]);
    for entry in &put {
        queue.remove(entry).await;
    }
    assert_eq!(queue.len().await, 0);
    let found = totals(&location.address).await;
    assert_eq!(found.stored, found.actual);
}

#[tokio::test]
async fn a_full_redis_stores_revocations_and_replicates_them() {
    let server = RedisServer::start().await;
    let (one, another) =
        (ReplicatedStore::open(&server).await, ReplicatedStore::open(&server).await);
    one.wait_until_following(&server).await;
    another.wait_until_following(&server).await;
    fill(&server);
    let mut ended = Vec::new();
    for round in 0..3 {
        if round == 1 {
            // Close the connections, so that both instances must reconnect to the full Redis.
            server.command::<()>(&["CLIENT", "KILL", "TYPE", "normal"]);
        }
        for scope in [Scope::Local, Scope::Global, Scope::Others] {
            let current = session(now() - 10);
            let revocation = revocation(&current, scope, now());
            let written = async || one.store.revoke(&revocation).await == Ok(());
            eventually("the revocation is written", written).await;
            let is_refused = match scope {
                Scope::Others => session_of(current.sub, now() - 5),
                Scope::Local | Scope::Global => current,
            };
            let existing = async || another.answers(&is_refused).await == Ok(true);
            eventually("the other instance has the revocation", existing).await;
            ended.push(is_refused);
        }
        another.wait_until_replicated(&server).await;
        one.wait_until_replicated(&server).await;
        assert!(one.store.is_ready() && another.store.is_ready());
        assert_eq!(another.answers(&session(now())).await, Ok(false));
    }
    // A third instance must be able to start while Redis is full.
    let fresh = ReplicatedStore::open(&server).await;
    eventually("the new instance is ready", async || fresh.store.is_ready()).await;
    fresh.wait_until_replicated(&server).await;
    fresh.store.purge_expired(from_unix_seconds(now())).await.unwrap();
    for claims in &ended {
        assert!(refuses(&*fresh.store, claims, now()).await);
        // The replica must refuse the session without asking Redis.
        assert!(fresh.store.list().refuses(claims, from_unix_seconds(now())));
    }
    let another = session(now() - 10);
    fresh.store.revoke(&revocation(&another, Scope::Global, now())).await.unwrap();
    assert_eq!(one.answers(&another).await, Ok(true));
}

#[tokio::test]
async fn a_failure_that_a_full_redis_refuses_blocks_nothing() {
    let server = RedisServer::start().await;
    let store = store::open(&address(&server)).await.unwrap();
    store.append_failures(&[numbered_failure(1)]).await.unwrap();
    let queue = store.queue().unwrap();
    queue.enqueue(&entry(), NOW, &BOUNDS, Timestamp::UNIX_EPOCH).await.unwrap().unwrap();
    fill(&server);
    let fault = store.append_failures(&[numbered_failure(2)]).await.unwrap_err();
    assert_eq!((fault.operation, &*fault.cause), ("append to the failure log", OUT_OF_MEMORY));
    let leased = queue.lease(HOUR, 9, Timestamp::UNIX_EPOCH).await.unwrap();
    assert!(queue.remove_unchanged(&leased[0]).await.unwrap());
    store.revoke(&revocation(&session(now()), Scope::Global, now())).await.unwrap();
    assert_eq!(failures::all(&*store).await, [numbered_failure(1)]);
}
