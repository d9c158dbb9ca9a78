//! The Redis keys of the first release, to which its instances still write while an operator replaces them.

use std::time::Duration;

use jiff::Timestamp;
use logout_gateway::internals::{outcome::Scope, store};
use uuid::Uuid;

use super::{
    super::{
        StoreLocation,
        first_release::{FirstReleaseEntry, assert_merged, entries, opened},
        queue::{HOUR, NOW, TestQueue, ids, names, now, queue_entry},
    },
    address, full,
};
use crate::harness::RedisServer;

const DUE: &str = "logout-gateway:queue";
const RECORDS: &str = "logout-gateway:queue:entries";
const QUEUED: &str = "logout-gateway:queue:queued";

/// Adds an entry to the keys of the first release, with the commands that it used.
fn put(server: &RedisServer, old: &FirstReleaseEntry) {
    let (id, record) = (old.id.to_string(), format!("1 {}", old.json()));
    server.command::<()>(&["HSETNX", RECORDS, &id, &record]);
    server.command::<()>(&["ZADD", DUE, "NX", &old.due.as_millisecond().to_string(), &id]);
    server.command::<()>(&["ZADD", QUEUED, "NX", &old.queued_at.as_millisecond().to_string(), &id]);
}

/// The number of entries in each key of the first release.
fn left(server: &RedisServer) -> [usize; 3] {
    [["ZCARD", DUE], ["HLEN", RECORDS], ["ZCARD", QUEUED]].map(|words| server.command(&words))
}

async fn queue_of(server: &RedisServer) -> (StoreLocation, TestQueue) {
    let location = StoreLocation {
        address: address(server),
        clock: || Timestamp::constant(5, 0),
        _guard: Box::new(()),
    };
    let queue = TestQueue::open(&location).await;
    (location, queue)
}

#[tokio::test]
async fn entries_of_the_first_release_are_moved_once_and_merged() {
    let server = RedisServer::start().await;
    let old = entries();
    for old in &old {
        put(&server, old);
    }
    let (location, queue) = queue_of(&server).await;
    let leased = queue.lease(HOUR, 9).await;
    assert_merged(&leased, &old);
    assert_eq!(left(&server), [0; 3]);
    assert_merged(&queue.all().await, &old);
    let found = super::super::totals::totals(&location.address).await;
    assert_eq!(found.stored, found.actual);
    // An instance of the first release adds a logout of a session whose entry a new instance has leased.
    let later = FirstReleaseEntry {
        scope: Scope::Global,
        ..FirstReleaseEntry::new(old[0].user, old[0].session, 0, "later")
    };
    put(&server, &later);
    assert_eq!(queue.lease(HOUR, 9).await, [], "the lease is kept");
    assert_eq!(left(&server), [0; 3]);
    let leased_entry = leased.iter().find(|entry| entry.id == later.new_id()).unwrap();
    assert!(!queue.remove_unchanged(leased_entry).await, "the entry has new credentials");
    let merged = queue.get(leased_entry).await;
    assert_eq!(opened(&merged), ["later", "global"]);
    assert_eq!((merged.due, merged.queued_at), (leased_entry.due, old[0].queued_at));
}

#[tokio::test]
async fn newer_credentials_precede_those_of_the_first_release() {
    let server = RedisServer::start().await;
    let (_place, queue) = queue_of(&server).await;
    let (user, session) = (Uuid::new_v4(), Uuid::new_v4());
    for name in ["a", "b"] {
        queue.enqueue(&queue_entry(user, session, Scope::Local, name, true), NOW).await;
    }
    let old = [
        FirstReleaseEntry::new(user, session, 9_000, "old"),
        FirstReleaseEntry::new(user, session, 8_000, "less old"),
    ];
    for old in &old {
        put(&server, old);
    }
    let leased = queue.lease(HOUR, 9).await;
    assert_eq!(leased.len(), 1);
    assert_eq!(names(&leased[0]), ["b", "a", &old[1].id.to_string()]);
    assert_eq!(leased[0].queued_at, old[0].queued_at);
}

#[tokio::test]
async fn a_lease_of_the_first_release_is_kept_until_it_ends() {
    let server = RedisServer::start().await;
    let (_place, queue) = queue_of(&server).await;
    let old = |due| FirstReleaseEntry {
        due,
        ..FirstReleaseEntry::new(Uuid::new_v4(), Uuid::new_v4(), 0, "a")
    };
    let [held, parked, due] =
        [now() + Duration::from_mins(1), now() + Duration::from_hours(365 * 24), now()].map(old);
    for old in [&held, &parked, &due] {
        put(&server, old);
    }
    let mut leased = ids(&queue.lease(HOUR, 9).await);
    leased.sort_unstable();
    let mut expected = [parked.new_id(), due.new_id()];
    expected.sort_unstable();
    assert_eq!(leased, expected);
    assert_eq!(left(&server), [1; 3]);
    server.command::<()>(&["ZADD", DUE, &now().as_millisecond().to_string(), &held.id.to_string()]);
    assert_eq!(ids(&queue.lease(HOUR, 9).await), [held.new_id()]);
    assert_eq!(left(&server), [0; 3]);
}

#[tokio::test]
async fn concurrent_instances_move_each_entry_of_the_first_release_exactly_once() {
    let server = RedisServer::start().await;
    for _ in 0..300 {
        put(&server, &FirstReleaseEntry::new(Uuid::new_v4(), Uuid::new_v4(), 1, "a"));
    }
    // Each instance may have read entries that others have moved, leased and removed since. No entry may come
    // back.
    let tasks = [(); 8].map(|()| {
        let address = address(&server);
        tokio::spawn(async move {
            let store = store::open(&address).await.unwrap();
            let queue = store.queue().unwrap();
            let mut done = Vec::new();
            loop {
                let leased = queue.lease(HOUR, 20, Timestamp::UNIX_EPOCH).await.unwrap();
                if leased.is_empty() {
                    return done;
                }
                for entry in leased {
                    assert!(queue.remove_unchanged(&entry).await.unwrap());
                    done.push(entry.id);
                }
            }
        })
    });
    let mut done = Vec::new();
    for task in tasks {
        done.extend(task.await.unwrap());
    }
    assert_eq!(done.len(), 300, "each entry is leased once");
    done.sort_unstable();
    done.dedup();
    assert_eq!(done.len(), 300);
    assert_eq!(left(&server), [0; 3]);
}

#[tokio::test]
async fn an_entry_that_another_instance_moved_and_completed_is_not_queued_again() {
    const ENQUEUE: &str = include_str!("../../../../src/store/redis/enqueue.lua");
    let server = RedisServer::start().await;
    let (_place, queue) = queue_of(&server).await;
    let old = FirstReleaseEntry::new(Uuid::new_v4(), Uuid::new_v4(), 9_000, "a");
    put(&server, &old);
    let leased = queue.lease(HOUR, 9).await.remove(0);
    assert!(queue.remove_unchanged(&leased).await);
    // Do what an instance does that has read the old entry earlier and moves it only now.
    let key = |name: &str| format!("logout-gateway:queue:2:{name}");
    let of_user = format!("of-user:{}", old.user);
    let mut keys: Vec<String> = ["due", "records", "states", "queued", "failed", "index", "totals"]
        .into_iter()
        .chain([&*of_user])
        .map(key)
        .collect();
    keys.extend([DUE, RECORDS, QUEUED].map(str::to_owned));
    let record = format!("2 {}", serde_json::to_string(&leased).unwrap());
    let (id, session) = (leased.id.to_string(), old.session.to_string());
    let (user, old_id, most) = (old.user.to_string(), old.id.to_string(), "1000000");
    let arguments = [&*id, "-", "0", &record, "{}", "0", &session, "0", &user, &old_id];
    let number = keys.len().to_string();
    let mut words = vec!["EVAL", ENQUEUE, &number];
    words.extend(keys.iter().map(String::as_str));
    words.extend(arguments.into_iter().chain([most; 8]));
    assert_eq!(server.command::<String>(&words), "ok");
    assert_eq!((queue.len().await, queue.all().await), (0, vec![]));
}

#[tokio::test]
async fn entries_of_the_first_release_are_moved_on_a_full_redis() {
    let server = RedisServer::start().await;
    let (_place, queue) = queue_of(&server).await;
    let old = entries();
    for old in &old {
        put(&server, old);
    }
    full::fill(&server);
    assert_merged(&queue.lease(HOUR, 9).await, &old);
    assert_eq!(left(&server), [0; 3]);
}

#[tokio::test]
async fn unreadable_entries_of_the_first_release_block_no_others() {
    let server = RedisServer::start().await;
    let (_place, queue) = queue_of(&server).await;
    let [fresh] = queue.put([NOW]).await;
    server.command::<()>(&["ZADD", DUE, "1", "no entry"]);
    server.command::<()>(&["HSET", RECORDS, "damaged", "1 {}"]);
    server.command::<()>(&["ZADD", DUE, "1", "damaged"]);
    assert_eq!(ids(&queue.lease(HOUR, 9).await), [fresh.id]);
    assert_eq!(left(&server), [0; 3]);
    let [another] = queue.put([NOW]).await;
    server.command::<()>(&["DEL", DUE]);
    server.command::<()>(&["SET", DUE, "not a sorted set"]);
    assert_eq!(ids(&queue.lease(HOUR, 9).await), [another.id]);
}
