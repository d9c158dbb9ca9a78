//! Tests that need the internals of the store: the writer thread, and tables that contradict each other.

use std::{
    sync::mpsc::{self, Sender},
    time::Duration,
};

use redb::{ReadableTable as _, ReadableTableMetadata as _};
use tokio::time::{Instant, timeout};

use super::{
    records::{RecordError, time_key},
    tables::NO_VALUE,
    *,
};
use crate::{
    clock::{elapsed, from_unix_milliseconds as at, from_unix_seconds},
    outcome::Scope,
    store::{
        bounds::MOST_ENTRIES,
        entry::{NEVER, SealedCredentials},
    },
};

async fn store() -> (FileStore, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (FileStore::open(directory.path().join("store")).await.unwrap(), directory)
}

#[tokio::test]
async fn a_revocation_that_was_recorded_again_is_not_purged() {
    let (store, _directory) = store().await;
    let entries_until = |until| {
        let (before, until) = (from_unix_seconds(1), from_unix_seconds(until));
        let (user, spared) = (Uuid::from_u128(1), Some(Uuid::from_u128(2)));
        let session = RevocationEntry::Session { session: Uuid::from_u128(3), until };
        [session, RevocationEntry::CutOff { user, spared, before, until }]
    };
    let (found, again) = (entries_until(5), entries_until(10));
    let list = store.transact("test", move |tables| {
        tables.insert_revocations(&again)?;
        tables.remove_expired(&found, from_unix_seconds(7))?;
        tables.load()
    });
    assert_eq!(list.await.unwrap().count(), 2);
    let list = store.transact("test", move |tables| {
        tables.remove_expired(&found, from_unix_seconds(10))?;
        tables.load()
    });
    assert_eq!(list.await.unwrap().count(), 0);
}

#[tokio::test]
async fn the_store_notices_that_its_writer_thread_has_ended() {
    let (store, _directory) = store().await;
    let panicked = store.transact::<()>("test", |_| panic!("a library that panics"));
    assert_eq!(panicked.await.unwrap_err().operation, "test");
    store.run().await;
    assert!(store.append_failures(&[]).await.is_err(), "a later call returns an error");
}

fn entry(id: u128, due: i64) -> QueueEntry {
    QueueEntry {
        id: Uuid::from_u128(id),
        request_id: "a request".to_owned(),
        route: "/api/auth/logout".into(),
        scope: "local".into(),
        user_id: Uuid::from_u128(1),
        session_id: Uuid::from_u128(2),
        tried: false,
        was_over: false,
        queued_at: NEVER,
        renewed_at: NEVER,
        due: at(due),
        failed_at: NEVER,
        attempts: 0,
        reason: "auth_service_error".into(),
        revision: 0,
        credentials: vec![SealedCredentials {
            fingerprint: "fingerprint".to_owned(),
            former_fingerprint: None,
            proven: true,
            exp: 0,
            key_id: "key".to_owned(),
            sealed: "sealed".to_owned(),
            bound_to: None,
        }],
    }
}

const BOUNDS: Bounds =
    Bounds { entries: MOST_ENTRIES, bytes: 1 << 20, sessions_of_user: 64, bytes_of_user: 4 << 20 };

/// Enqueues an entry at time 0, to be due at [`QueueEntry::due`].
async fn enqueue(store: &FileStore, entry: &QueueEntry) -> Result<(), StoreError> {
    let pause = elapsed(NEVER, entry.due);
    store.enqueue(entry, pause, &BOUNDS, NEVER).await.map(Result::unwrap)
}

async fn leased(store: &FileStore, most: usize) -> Vec<u128> {
    let leased = store.lease(Duration::from_millis(11), most, at(9)).await.unwrap();
    leased.iter().map(|entry| entry.id.as_u128()).collect()
}

#[tokio::test]
async fn unreadable_entries_and_ids_without_an_entry_block_no_lease() {
    let (store, _directory) = store().await;
    for id in [5, 6, 7] {
        enqueue(&store, &entry(id, 9)).await.unwrap();
    }
    let contradictory = store.transact("test", |tables| {
        for id in 1..5 {
            tables.due.insert(time_key(at(1), id), NO_VALUE)?;
        }
        tables.queue.insert(4, &[2, b'{', b'}'][..])?;
        tables.changed = true;
        Ok(())
    });
    contradictory.await.unwrap();
    assert_eq!(leased(&store, 1).await, [5]);
    assert_eq!(leased(&store, 9).await, [6, 7]);
    let left =
        store.transact("test", |tables| Ok((tables.due.len()?, tables.queue.get(4)?.is_some())));
    assert_eq!(left.await.unwrap(), (4, true), "the unreadable entry stays, with its due time");
}

/// Blocks the writer thread until the returned sender is dropped.
async fn block_writer(store: &FileStore) -> Sender<()> {
    let (go_on, held) = mpsc::channel();
    let never = store.transact("test", move |_| Ok(held.recv().is_ok()));
    timeout(Duration::ZERO, never).await.unwrap_err();
    go_on
}

#[tokio::test]
async fn a_lease_does_not_read_the_file_if_no_entry_is_due() {
    let (store, _directory) = store().await;
    enqueue(&store, &entry(1, 10)).await.unwrap();
    let go_on = block_writer(&store).await;
    let at_once = timeout(Duration::ZERO, leased(&store, 1));
    assert_eq!(at_once.await.expect("the lease does not read the file"), [0; 0]);
    drop(go_on);
    assert_eq!(store.lease(Duration::from_millis(10), 1, at(10)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn after_an_error_a_lease_reads_the_file() {
    let (store, _directory) = store().await;
    let fails = store.transact("test", |tables| {
        tables.enqueue(&entry(1, 9), Duration::ZERO, &BOUNDS, at(9))?.unwrap();
        Err::<(), _>(RecordError::Damaged.into())
    });
    fails.await.unwrap_err();
    assert!(store.queue.may_be_due(NEVER));
    assert_eq!(leased(&store, 1).await, [0; 0]);
    assert!(!store.queue.may_be_due(NEVER));
}

#[tokio::test]
async fn a_hanging_disk_does_not_keep_the_process_from_ending() {
    let (store, _directory) = store().await;
    let go_on = block_writer(&store).await;
    let dropped = tokio::task::spawn_blocking(move || drop(store));
    timeout(Duration::from_secs(20), dropped).await.expect("dropping the store returns").unwrap();
    drop(go_on);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_disk_delays_a_logout_by_two_seconds_at_most() {
    let (store, _directory) = store().await;
    let claims = Claims {
        sub: Uuid::from_u128(1),
        session_id: Uuid::from_u128(2),
        exp: 100,
        iat: Some(1),
        nbf: None,
        role: None,
        aal: None,
        is_anonymous: false,
        client_id: None,
    };
    let (date, lifetime) = (NEVER, Duration::from_mins(1));
    let revocation = Revocation::new(&claims, Scope::Local, date, from_unix_seconds(1), lifetime);
    let go_on = block_writer(&store).await;
    let begun = Instant::now();
    let fault = enqueue(&store, &entry(1, 9)).await.unwrap_err();
    assert_eq!(
        fault.to_string(),
        "the store failed to enqueue a logout: the disk does not answer in time"
    );
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
    // After the timeout the store refuses new entries at once: they would wait in memory only.
    enqueue(&store, &entry(2, 9)).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
    store.revoke(&revocation).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::from_secs(4));
    assert_eq!(store.is_revoked(&claims, from_unix_seconds(2)).await, Ok(true));

    drop(go_on);
    let written = store.transact("test", |tables| Ok((tables.load()?.count(), tables.entries(9)?)));
    assert_eq!(
        written.await.unwrap(),
        (1, vec![entry(1, 9)]),
        "the first entry is written after its timeout, the second is not"
    );
    tokio::time::resume();
    enqueue(&store, &entry(2, 9)).await.unwrap();
}

#[tokio::test]
async fn a_hanging_disk_delays_no_read_of_the_queue() {
    let (store, _directory) = store().await;
    enqueue(&store, &entry(1, 9)).await.unwrap();
    let go_on = block_writer(&store).await;
    tokio::time::pause();
    let begun = Instant::now();
    store.get(Uuid::from_u128(1)).await.unwrap_err();
    store.remove(Uuid::from_u128(1)).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(3), "the second call does not wait");
    drop(go_on);
}
