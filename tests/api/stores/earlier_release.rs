//! Entries of the release before this one: it wrote neither when an access token expires nor when a proven
//! session asked last, and counted the sessions of each user in another way.

use jiff::Timestamp;
use logout_gateway::internals::{
    config::StoreAddress,
    outcome::Scope,
    queue::entry::{NEVER, QueueEntry},
};
use redb::{Database, ReadableTable as _, TableDefinition};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Place,
    queue::{NOW, Queued, asked, names},
    redis,
    totals::totals,
};
use crate::harness::RedisServer;

const QUEUE: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("queue");
const OF_USER: TableDefinition<'_, (u128, u128), (u128, u64, bool)> =
    TableDefinition::new("queue_of_user");
/// By key: bytes, entries of stale sessions and their bytes.
const TOTALS: TableDefinition<'_, u8, u64> = TableDefinition::new("queue_totals");
const SESSIONS: TableDefinition<'_, (u128, u128), u64> = TableDefinition::new("queue_sessions");

/// The JSON of an entry as the earlier release wrote it.
fn older(json: &[u8]) -> Vec<u8> {
    let mut record: Value = serde_json::from_slice(json).unwrap();
    record.as_object_mut().unwrap().remove("renewed_at").unwrap();
    for credentials in record["credentials"].as_array_mut().unwrap() {
        credentials.as_object_mut().unwrap().remove("exp").unwrap();
    }
    serde_json::to_vec(&record).unwrap()
}

/// Queues a proven entry and a stale one, of one user.
async fn two_entries(place: &Place) -> [QueueEntry; 2] {
    let (user, queue) = (Uuid::new_v4(), Queued::open(place).await);
    let entries =
        [true, false].map(|proven| asked(user, Uuid::new_v4(), Scope::Local, "a", proven));
    for entry in &entries {
        queue.enqueue(entry, NOW).await;
    }
    entries
}

/// Asserts that the entries are read, take more credentials and can be removed.
async fn assert_kept(place: &Place, entries: &[QueueEntry; 2]) {
    let queue = Queued::open(place).await;
    let [proven, stale] = entries;
    let known = queue.get(proven).await;
    assert_eq!((known.renewed_at, known.credentials[0].exp), (NEVER, 0));
    assert!(!known.is_stale() && queue.get(stale).await.is_stale());
    for entry in entries {
        let session = entry.session_id;
        queue.enqueue(&asked(entry.user_id, session, Scope::Local, "b", true), NOW).await;
        let merged = queue.get(entry).await;
        assert_eq!(names(&merged), ["b", "a"]);
        assert_ne!(merged.renewed_at, NEVER);
    }
    drop(queue);
    let found = totals(&place.address).await;
    assert_eq!(found.claimed, found.actual);
    let queue = Queued::open(place).await;
    for entry in entries {
        assert!(queue.remove(entry).await);
    }
    drop(queue);
    let found = totals(&place.address).await;
    assert_eq!((&found.claimed, found.claimed.bytes), (&found.actual, 0));
}

#[tokio::test]
async fn a_file_of_the_release_before_is_read_and_counted() {
    let place = Place::file();
    let StoreAddress::File(path) = &place.address else { panic!() };
    let entries = two_entries(&place).await;
    {
        let database = Database::open(path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.delete_table(OF_USER).unwrap();
        {
            let mut queue = transaction.open_table(QUEUE).unwrap();
            let mut sessions = transaction.open_table(SESSIONS).unwrap();
            let mut lengths = Vec::new();
            for entry in &entries {
                let id = entry.id.as_u128();
                let json = older(&queue.get(id).unwrap().unwrap().value()[1..]);
                queue.insert(id, &*[&[2], &*json].concat()).unwrap();
                lengths.push(json.len() as u64 + 1);
                let key = (entry.user_id.as_u128(), entry.session_id.as_u128());
                sessions.insert(key, 1).unwrap();
            }
            let mut totals = transaction.open_table(TOTALS).unwrap();
            totals.insert(0, lengths.iter().sum::<u64>()).unwrap();
            totals.insert(2, lengths[1]).unwrap();
        }
        transaction.commit().unwrap();
    }
    drop(Queued::open(&place).await);
    let found = totals(&place.address).await;
    assert_eq!(found.claimed.of_users, found.actual.of_users);
    assert_kept(&place, &entries).await;
}

#[tokio::test]
async fn entries_of_the_previous_release_in_redis_are_read_and_counted() {
    let server = RedisServer::start().await;
    let key = |name: &str| format!("logout-gateway:queue:2:{name}");
    let place = Place {
        address: redis::address(&server),
        clock: || Timestamp::constant(5, 0),
        _ground: Box::new(()),
    };
    let entries = two_entries(&place).await;
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
    // An instance of that release goes on removing what this one has queued.
    let gone = asked(user, Uuid::new_v4(), Scope::Local, "a", true);
    let queue = Queued::open(&place).await;
    queue.enqueue(&gone, NOW).await;
    let record: String = server.command(&["HGET", &key("records"), &gone.id.to_string()]);
    server.command::<()>(&["HINCRBY", &key("totals"), "bytes", &format!("-{}", record.len())]);
    for kind in ["due", "queued", "failed"] {
        server.command::<()>(&["ZREM", &key(kind), &gone.id.to_string()]);
    }
    for kind in ["records", "states", "index"] {
        server.command::<()>(&["HDEL", &key(kind), &gone.id.to_string()]);
    }
    assert_kept(&place, &entries).await;
    assert_eq!(server.command::<usize>(&["EXISTS", &former]), 0);
}
