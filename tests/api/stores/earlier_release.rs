//! Queue entries of the release before this one. That release stored neither the expiry of an access token
//! nor the time of a proven session's last request, and it counted the sessions of a user in another way.

use jiff::Timestamp;
use logout_gateway::internals::{
    config::StoreAddress,
    outcome::Scope,
    queue::entry::{NEVER, QueueEntry},
};
use redb::{Database, ReadableTable as _, TableDefinition, TableHandle as _};
use serde_json::Value;
use uuid::Uuid;

use super::{
    StoreLocation,
    queue::{NOW, TestQueue, names, queue_entry},
    redis,
    totals::totals,
};
use crate::harness::RedisServer;

const QUEUE: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("queue");
const DUE: TableDefinition<'_, (i64, u128), ()> = TableDefinition::new("due");
/// Key 0 has the bytes of all entries, key 1 the number of stale entries, and key 2 the bytes of stale
/// entries.
const TOTALS: TableDefinition<'_, u8, u64> = TableDefinition::new("queue_totals");
const SESSIONS: TableDefinition<'_, (u128, u128), u64> = TableDefinition::new("queue_sessions");

/// Converts the JSON of an entry to that which the earlier release wrote.
fn older(json: &[u8]) -> Vec<u8> {
    let mut record: Value = serde_json::from_slice(json).unwrap();
    record.as_object_mut().unwrap().remove("renewed_at").unwrap();
    for credentials in record["credentials"].as_array_mut().unwrap() {
        credentials.as_object_mut().unwrap().remove("exp").unwrap();
    }
    serde_json::to_vec(&record).unwrap()
}

/// Queues a proven entry and a stale entry of one user; returns both.
async fn two_entries(location: &StoreLocation) -> [QueueEntry; 2] {
    let (user, queue) = (Uuid::new_v4(), TestQueue::open(location).await);
    let entries =
        [true, false].map(|proven| queue_entry(user, Uuid::new_v4(), Scope::Local, "a", proven));
    for entry in &entries {
        queue.enqueue(entry, NOW).await;
    }
    entries
}

/// Asserts that this release can read the entries, add credentials to them and remove them.
async fn assert_kept(location: &StoreLocation, entries: &[QueueEntry; 2]) {
    let queue = TestQueue::open(location).await;
    let [proven, stale] = entries;
    let known = queue.get(proven).await;
    assert_eq!((known.renewed_at, known.credentials[0].exp), (NEVER, 0));
    assert!(!known.is_stale() && queue.get(stale).await.is_stale());
    for entry in entries {
        let session = entry.session_id;
        queue.enqueue(&queue_entry(entry.user_id, session, Scope::Local, "b", true), NOW).await;
        let merged = queue.get(entry).await;
        assert_eq!(names(&merged), ["b", "a"]);
        assert_ne!(merged.renewed_at, NEVER);
    }
    drop(queue);
    let found = totals(&location.address).await;
    assert_eq!(found.stored, found.actual);
    let queue = TestQueue::open(location).await;
    for entry in entries {
        assert!(queue.remove(entry).await);
    }
    drop(queue);
    let found = totals(&location.address).await;
    assert_eq!((&found.stored, found.stored.bytes), (&found.actual, 0));
}

#[tokio::test]
async fn a_file_of_the_previous_release_is_read_and_counted() {
    let location = StoreLocation::file();
    let StoreAddress::File(path) = &location.address else { panic!() };
    let entries = two_entries(&location).await;
    {
        let database = Database::open(path).unwrap();
        let transaction = database.begin_write().unwrap();
        for table in transaction.list_tables().unwrap() {
            // The earlier release had these tables under other names.
            if table.name().starts_with("queue_by_")
                || table.name().starts_with("failure_log")
                || table.name() == "queue_sums"
            {
                transaction.delete_table(table).unwrap();
            }
        }
        {
            let mut queue = transaction.open_table(QUEUE).unwrap();
            let mut sessions = transaction.open_table(SESSIONS).unwrap();
            let mut due = transaction.open_table(DUE).unwrap();
            let mut lengths = Vec::new();
            for entry in &entries {
                let id = entry.id.as_u128();
                let json = older(&queue.get(id).unwrap().unwrap().value()[1..]);
                queue.insert(id, &*[&[2], &*json].concat()).unwrap();
                lengths.push(json.len() as u64 + 1);
                let key = (entry.user_id.as_u128(), entry.session_id.as_u128());
                sessions.insert(key, 1).unwrap();
                due.insert((0, id), ()).unwrap();
            }
            let mut totals = transaction.open_table(TOTALS).unwrap();
            totals.insert(0, lengths.iter().sum::<u64>()).unwrap();
            totals.insert(2, lengths[1]).unwrap();
        }
        transaction.commit().unwrap();
    }
    drop(TestQueue::open(&location).await);
    let found = totals(&location.address).await;
    assert_eq!(found.stored.of_users, found.actual.of_users);
    assert_kept(&location, &entries).await;
}

#[tokio::test]
async fn entries_of_the_previous_release_in_redis_are_read_and_counted() {
    let server = RedisServer::start().await;
    let key = |name: &str| format!("logout-gateway:queue:2:{name}");
    let location = StoreLocation {
        address: redis::address(&server),
        clock: || Timestamp::constant(5, 0),
        _guard: Box::new(()),
    };
    let entries = two_entries(&location).await;
    let user = entries[0].user_id;
    server.command::<()>(&["DEL", &key(&format!("of-user:{user}"))]);
    let former = key(&format!("user:{user}"));
    for entry in &entries {
        let (id, session) = (entry.id.to_string(), entry.session_id.to_string());
        let record: String = server.command(&["HGET", &key("records"), &id]);
        let json = older(record.strip_prefix("2 ").unwrap().as_bytes());
        let record = format!("2 {}", String::from_utf8(json).unwrap());
        server.command::<()>(&["HSET", &key("records"), &id, &record]);
        server.command::<()>(&["HSET", &former, &session, "1"]);
    }
    // Do what an instance of the earlier release does when it removes an entry that this release has queued.
    let removed = queue_entry(user, Uuid::new_v4(), Scope::Local, "a", true);
    let queue = TestQueue::open(&location).await;
    queue.enqueue(&removed, NOW).await;
    let record: String = server.command(&["HGET", &key("records"), &removed.id.to_string()]);
    server.command::<()>(&["HINCRBY", &key("totals"), "bytes", &format!("-{}", record.len())]);
    for kind in ["due", "queued", "failed"] {
        server.command::<()>(&["ZREM", &key(kind), &removed.id.to_string()]);
    }
    for kind in ["records", "states", "index"] {
        server.command::<()>(&["HDEL", &key(kind), &removed.id.to_string()]);
    }
    assert_kept(&location, &entries).await;
    assert_eq!(server.command::<usize>(&["EXISTS", &former]), 0);
}
