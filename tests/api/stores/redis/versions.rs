//! The store must neither misread nor lose entries that a later release wrote.

use jiff::Timestamp;
use logout_gateway::internals::{outcome::Scope, store};
use uuid::Uuid;

use super::{
    super::{
        list::{now, refuses, session},
        queue::{self, BOUNDS, HOUR, NOW, entry, ids},
    },
    DAY, ReplicatedStore, address, revocation,
};
use crate::harness::{RedisServer, eventually};

#[tokio::test]
async fn no_token_is_accepted_if_a_newer_release_wrote_an_entry() {
    let (user, until) = (Uuid::new_v4().to_string(), (now() + DAY).to_string());
    let user_key = format!("logout-gateway:user:{user}");
    for (case, words) in [
        ("a format", vec!["SET", "logout-gateway:format", "2"]),
        ("a session", vec!["ZADD", "logout-gateway:sessions", &until, "2 somebody's phone"]),
        ("a user", vec!["ZADD", "logout-gateway:users", &until, "2 somebody"]),
        ("a cut-off", vec!["HSET", &user_key, "-", "2 1 2 3"]),
    ] {
        let server = RedisServer::start().await;
        let replicated = ReplicatedStore::open(&server).await;
        replicated.wait_until_following(&server).await;
        server.command::<()>(&words);
        if case == "a cut-off" {
            server.command::<()>(&["ZADD", "logout-gateway:users", &until, &user]);
        }
        if case != "a format" {
            // Restart Redis, because the instance finds the entry only when it reads the whole list again.
            server.kill();
            server.restart().await;
        }
        let unknown = async || replicated.answers(&session(now())).await.is_err();
        eventually(case, unknown).await;
        let newer = async || {
            let fault = replicated.answers(&session(now())).await.unwrap_err();
            !replicated.store.is_ready()
                && fault.cause == "the data in Redis was written by a newer release"
        };
        eventually(case, newer).await;
        // After an operator has deleted the entry, the instance must work again.
        server.command::<()>(&["FLUSHALL"]);
        let existing = async || replicated.answers(&session(now())).await.is_ok();
        eventually(case, existing).await;
    }
}

#[tokio::test]
async fn after_an_unreadable_change_the_whole_list_is_read() {
    let server = RedisServer::start().await;
    let replicated = ReplicatedStore::open(&server).await;
    replicated.wait_until_following(&server).await;
    let (ended, until) = (session(now()), (now() + DAY).to_string());
    let member = format!("1 {}", ended.session_id);
    server.command::<()>(&["ZADD", "logout-gateway:sessions", &until, &member]);
    server.command::<()>(&["XADD", "logout-gateway:changes", "*", "n", "1", "line", "2 all"]);
    let existing = async || replicated.answers(&ended).await == Ok(true);
    eventually("the replica has the revocation", existing).await;
    server.kill();
    assert_eq!(replicated.answers(&ended).await, Ok(true), "the replica answers");
}

#[tokio::test]
async fn a_newer_cut_off_is_not_overwritten() {
    let server = RedisServer::start().await;
    let store = store::open(&address(&server)).await.unwrap();
    let ended = session(now() - 10);
    let key = format!("logout-gateway:user:{}", ended.sub);
    server.command::<()>(&["HSET", &key, "-", "2 1 2 3"]);
    let fault = store.revoke(&revocation(&ended, Scope::Global, now())).await.unwrap_err();
    assert_eq!(fault.cause, "the data in Redis was written by a newer release");
    assert_eq!(server.command::<String>(&["HGET", &key, "-"]), "2 1 2 3");
    assert!(refuses(&*store, &ended, now()).await, "this instance refuses the session from memory");
}

#[tokio::test]
async fn entries_of_a_newer_release_are_kept_and_block_no_others() {
    const DUE: &str = "logout-gateway:queue:2:due";
    const RECORDS: &str = "logout-gateway:queue:2:records";
    let server = RedisServer::start().await;
    let store = store::open(&address(&server)).await.unwrap();
    let queue = store.queue().unwrap();
    let newer = [(); 5].map(|()| Uuid::new_v4().to_string());
    for (n, id) in newer.iter().enumerate() {
        server.command::<()>(&["ZADD", DUE, "1", id]);
        let record = ["3 {}", "2 {}", "nothing that this is"][n % 3];
        server.command::<()>(&["HSET", RECORDS, id, record]);
        server.command::<()>(&["ZADD", DUE, "1", &format!("{n} without an entry")]);
    }
    let mut own = Vec::new();
    for _ in 0..3 {
        let entry = entry();
        queue.enqueue(&entry, NOW, &BOUNDS, Timestamp::UNIX_EPOCH).await.unwrap().unwrap();
        let queued_at = queue.get(entry.id).await.unwrap().unwrap().queued_at;
        eventually("the clock moves", async || queue::now() > queued_at).await;
        own.push(entry.id);
    }
    for (most, expected) in [(1, &own[..1]), (9, &own[1..]), (9, &[])] {
        assert_eq!(ids(&queue.lease(HOUR, most, Timestamp::UNIX_EPOCH).await.unwrap()), expected);
    }
    let kept: String = server.command(&["HGET", RECORDS, &newer[0]]);
    assert_eq!(kept, "3 {}");
    assert_eq!(queue.len().await.unwrap(), 3 + 5, "ids without a record are removed");
    assert_eq!(queue.entries(usize::MAX).await.unwrap().len(), 3);
    server.command::<()>(&["LPUSH", "logout-gateway:failures", "2 {}"]);
    assert_eq!(store.failures(9).await.unwrap(), []);
}
