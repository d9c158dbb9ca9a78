//! The bounds of the queue, and the room that removed entries make.

use logout_gateway::internals::{
    outcome::Scope,
    queue::{
        bounds::{Bounds, QueueFullError},
        entry::QueueEntry,
    },
};
use uuid::Uuid;

use super::{
    super::{StoreLocation, totals::totals},
    BOUNDS, HOUR, MOMENT, NOW, TestQueue, entry, queue_entry,
};

fn stale() -> QueueEntry {
    queue_entry(Uuid::new_v4(), Uuid::new_v4(), Scope::Local, "a", false)
}

/// Adds entries until the store refuses one; returns the added entries and the reason of the refusal.
async fn fill(
    queue: &TestQueue,
    bounds: &Bounds,
    make: impl Fn() -> QueueEntry,
) -> (Vec<QueueEntry>, QueueFullError) {
    let mut added = Vec::new();
    loop {
        let entry = make();
        match queue.enqueue_within(&entry, NOW, bounds).await {
            Ok(()) => added.push(entry),
            Err(full) => return (added, full),
        }
        assert!(added.len() < 1000, "no entry is refused");
    }
}

async fn assert_bound(
    location: &StoreLocation,
    bounds: &Bounds,
    make: impl Fn() -> QueueEntry,
    expected: (usize, QueueFullError),
) {
    let queue = TestQueue::open(location).await;
    for _ in 0..3 {
        let (added, full) = fill(&queue, bounds, &make).await;
        assert_eq!((added.len(), full), expected);
        assert_eq!(queue.len().await, added.len());
        // The store must still let an entry in the full queue take more credentials, be leased and be
        // rescheduled.
        let leased_entry = queue.lease_one(MOMENT).await;
        assert!(queue.reschedule(&leased_entry, NOW, true).await);
        // After the removal of one entry, the queue must have room for exactly one.
        assert!(queue.remove(&added[0]).await);
        assert_eq!(queue.enqueue_within(&make(), NOW, bounds).await, Ok(()));
        assert_eq!(queue.enqueue_within(&make(), NOW, bounds).await, Err(full));
        for entry in queue.all().await {
            assert!(queue.remove(&entry).await);
        }
    }
}

pub(in crate::stores) async fn entries_are_bounded(location: &StoreLocation) {
    let bounds = Bounds { entries: 8, ..BOUNDS };
    assert_bound(location, &bounds, entry, (8, QueueFullError::Full)).await;
}

pub(in crate::stores) async fn bytes_are_bounded(location: &StoreLocation) {
    let queue = TestQueue::open(location).await;
    queue.put([NOW; 4]).await;
    drop(queue);
    let bytes = totals(&location.address).await.actual.bytes;
    let queue = TestQueue::open(location).await;
    for entry in queue.all().await {
        assert!(queue.remove(&entry).await);
    }
    drop(queue);
    for (bytes, count) in [(bytes, 4), (bytes - 1, 3)] {
        let bounds = Bounds { bytes, ..BOUNDS };
        assert_bound(location, &bounds, entry, (count, QueueFullError::Full)).await;
    }
}

pub(in crate::stores) async fn stale_entries_take_at_most_a_quarter_of_the_entries(
    location: &StoreLocation,
) {
    let bounds = Bounds { entries: 8, ..BOUNDS };
    assert_bound(location, &bounds, stale, (2, QueueFullError::Stale)).await;
    let queue = TestQueue::open(location).await;
    fill(&queue, &bounds, stale).await;
    let (proven, full) = fill(&queue, &bounds, entry).await;
    assert_eq!((proven.len(), full), (6, QueueFullError::Full));
    // A stale entry that gets proven credentials is no longer stale, so there must be room for another stale
    // entry.
    let existing = queue.all().await.into_iter().find(QueueEntry::is_stale).unwrap();
    let name = "proven";
    let again = queue_entry(existing.user_id, existing.session_id, Scope::Local, name, true);
    assert_eq!(queue.enqueue_within(&again, NOW, &bounds).await, Ok(()));
    assert!(queue.remove(&proven[0]).await);
    assert_eq!(queue.enqueue_within(&stale(), NOW, &bounds).await, Ok(()));
}

pub(in crate::stores) async fn stale_entries_take_at_most_a_quarter_of_the_bytes(
    location: &StoreLocation,
) {
    let queue = TestQueue::open(location).await;
    queue.enqueue(&stale(), NOW).await;
    queue.enqueue(&stale(), NOW).await;
    drop(queue);
    let bytes = totals(&location.address).await.actual.bytes;
    let queue = TestQueue::open(location).await;
    for entry in queue.all().await {
        assert!(queue.remove(&entry).await);
    }
    drop(queue);
    for (bytes, count) in [(bytes * 4, 2), (bytes * 4 - 4, 1)] {
        let bounds = Bounds { bytes, ..BOUNDS };
        assert_bound(location, &bounds, stale, (count, QueueFullError::Stale)).await;
    }
}

pub(in crate::stores) async fn a_user_has_at_most_64_sessions_in_the_queue(
    location: &StoreLocation,
) {
    let user = Uuid::new_v4();
    let session_of_user = || queue_entry(user, Uuid::new_v4(), Scope::Local, "a", true);
    assert_bound(location, &BOUNDS, session_of_user, (64, QueueFullError::User)).await;
    let queue = TestQueue::open(location).await;
    let (added, _) = fill(&queue, &BOUNDS, session_of_user).await;
    let existing = added[0].session_id;
    for (scope, name) in [(Scope::Global, "a"), (Scope::Others, "a"), (Scope::Local, "b")] {
        let more = queue_entry(user, existing, scope, name, true);
        assert_eq!(queue.enqueue_within(&more, NOW, &BOUNDS).await, Ok(()), "{scope:?}");
    }
    assert_eq!(
        queue.enqueue_within(&entry(), NOW, &BOUNDS).await,
        Ok(()),
        "an entry of another user is accepted"
    );
    // The session must count until all of its entries are removed.
    assert!(queue.remove(&added[0]).await);
    let full = Err(QueueFullError::User);
    assert_eq!(queue.enqueue_within(&session_of_user(), NOW, &BOUNDS).await, full);
    for scope in [Scope::Global, Scope::Others] {
        assert!(queue.remove(&queue_entry(user, existing, scope, "a", true)).await);
    }
    assert_eq!(queue.enqueue_within(&session_of_user(), NOW, &BOUNDS).await, Ok(()));
}

pub(in crate::stores) async fn stale_sessions_take_at_most_a_quarter_of_a_users_sessions(
    location: &StoreLocation,
) {
    let user = Uuid::new_v4();
    let new = |proven| queue_entry(user, Uuid::new_v4(), Scope::Local, "a", proven);
    assert_bound(location, &BOUNDS, || new(false), (16, QueueFullError::User)).await;
    let queue = TestQueue::open(location).await;
    let (stale, _) = fill(&queue, &BOUNDS, || new(false)).await;
    let (proven, full) = fill(&queue, &BOUNDS, || new(true)).await;
    assert_eq!((proven.len(), full), (48, QueueFullError::User));
    // Sessions that have entries in the queue must be able to add further entries.
    for session in [&stale[0], &proven[0]] {
        let more = queue_entry(user, session.session_id, Scope::Global, "old", false);
        assert_eq!(queue.enqueue_within(&more, NOW, &BOUNDS).await, Ok(()));
    }
    // A stale entry that gets proven credentials is no longer stale, so there must be room for another stale
    // entry.
    let now_proven = queue_entry(user, stale[0].session_id, Scope::Local, "b", true);
    assert_eq!(queue.enqueue_within(&now_proven, NOW, &BOUNDS).await, Ok(()));
    assert!(queue.remove(&proven[1]).await);
    assert_eq!(queue.enqueue_within(&new(false), NOW, &BOUNDS).await, Ok(()));
    let full = Err(QueueFullError::User);
    assert_eq!(queue.enqueue_within(&new(false), NOW, &BOUNDS).await, full);
}

/// The number of bytes that the record of this entry has in the store.
async fn record_bytes(location: &StoreLocation, entry: &QueueEntry) -> u64 {
    let queue = TestQueue::open(location).await;
    queue.enqueue(entry, NOW).await;
    drop(queue);
    let bytes = totals(&location.address).await.actual.bytes;
    let queue = TestQueue::open(location).await;
    assert!(queue.remove(entry).await);
    bytes
}

pub(in crate::stores) async fn the_bytes_of_a_user_are_bounded(location: &StoreLocation) {
    let (user, session) = (Uuid::new_v4(), Uuid::new_v4());
    let new = |proven| queue_entry(user, Uuid::new_v4(), Scope::Local, "a", proven);
    let bytes = record_bytes(location, &new(true)).await;
    let stale_bytes = record_bytes(location, &new(false)).await;
    for (bytes_of_user, proven, count) in [
        (8 * bytes, true, 8),
        (8 * bytes - 1, true, 7),
        (8 * stale_bytes, false, 2),
        (8 * stale_bytes - 4, false, 1),
    ] {
        let bounds = Bounds { bytes_of_user, ..BOUNDS };
        assert_bound(location, &bounds, || new(proven), (count, QueueFullError::User)).await;
    }
    let queue = TestQueue::open(location).await;
    let bounds = Bounds { bytes_of_user: 8 * bytes, ..BOUNDS };
    fill(&queue, &bounds, || new(true)).await;
    assert_eq!(
        queue.enqueue_within(&entry(), NOW, &bounds).await,
        Ok(()),
        "an entry of another user is accepted"
    );
    // The store must refuse further scopes and credentials of the user's sessions, too.
    let existing = queue.all().await.into_iter().find(|e| e.user_id == user).unwrap();
    let full = Err(QueueFullError::User);
    for (session, scope, name) in
        [(existing.session_id, Scope::Global, "a"), (existing.session_id, Scope::Local, "b")]
    {
        let more = queue_entry(user, session, scope, name, true);
        assert_eq!(queue.enqueue_within(&more, NOW, &bounds).await, full);
    }
    assert_eq!(queue.get(&existing).await, existing);
    assert!(queue.remove(&existing).await);
    let again = queue_entry(user, session, Scope::Local, "a", true);
    assert_eq!(queue.enqueue_within(&again, NOW, &bounds).await, Ok(()));
}

pub(in crate::stores) async fn the_stored_totals_match_the_entries(location: &StoreLocation) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let users = [(); 3].map(|()| Uuid::new_v4());
    let sessions = [(); 9].map(|()| Uuid::new_v4());
    for _ in 0..4 {
        let queue = TestQueue::open(location).await;
        for step in 0..150 {
            let n = random.usize(..sessions.len());
            let scope = [Scope::Local, Scope::Others, Scope::Global][random.usize(..3)];
            let name = format!("{step}{}", "x".repeat(random.usize(..300)));
            let again = queue_entry(users[n % 3], sessions[n], scope, &name, random.bool());
            let existing = queue.queue().get(again.id).await.unwrap();
            match (random.u8(..8), existing) {
                (0, Some(existing)) => assert!(queue.remove(&existing).await),
                (1, Some(existing)) => assert!(queue.remove_unchanged(&existing).await),
                (2, Some(existing)) => {
                    let reason = "why".repeat(random.usize(..99)).as_str().into();
                    let attempts = random.u32(..);
                    let tried = QueueEntry { attempts, reason, tried: random.bool(), ..existing };
                    assert!(queue.reschedule(&tried, NOW, random.bool()).await);
                }
                (3, _) => drop(queue.lease(if random.bool() { MOMENT } else { HOUR }, 3).await),
                _ => {
                    // The bounds are so small that the store refuses some requests, which must not change the
                    // totals.
                    let bounds = Bounds {
                        entries: 16,
                        bytes: 9_000,
                        sessions_of_user: 2,
                        bytes_of_user: 4_000,
                    };
                    let _ = queue.enqueue_within(&again, NOW, &bounds).await;
                }
            }
        }
        let all = queue.all().await;
        let stale = all.iter().filter(|entry| entry.is_stale()).count() as u64;
        let entries = all.len() as u64;
        drop(queue);
        let found = totals(&location.address).await;
        assert_eq!(found.stored, found.actual, "seed {seed}");
        assert_eq!((found.actual.entries, found.actual.stale_entries), (entries, stale));
    }
    let queue = TestQueue::open(location).await;
    for entry in queue.all().await {
        assert!(queue.remove(&entry).await);
    }
    drop(queue);
    let found = totals(&location.address).await;
    assert_eq!((&found.stored, found.stored.bytes), (&found.actual, 0));
}
