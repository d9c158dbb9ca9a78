//! The promises of every store for the queue.

pub(super) mod at_once;
pub(super) mod bounds;
mod entries;
pub(super) mod merging;
pub(super) mod order;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use logout_gateway::{
    Clock,
    internals::{
        queue::{
            bounds::{Bounds, QueueFullError},
            entry::QueueEntry,
        },
        store::{Queue, Store},
    },
};
use uuid::Uuid;

pub(super) use self::entries::{entry, ids, names, queue_entry};
use super::StoreLocation;
use crate::harness::eventually;

/// The default bounds of the gateway's queue.
pub(super) const BOUNDS: Bounds =
    Bounds { entries: 100_000, bytes: 256 << 20, sessions_of_user: 64, bytes_of_user: 4 << 20 };
/// A pause or lease that is longer than any test runs.
pub(super) const HOUR: Duration = Duration::from_hours(1);
/// A pause that has passed almost at once.
pub(super) const MOMENT: Duration = Duration::from_millis(1);
/// The pause of an entry that is due at once.
pub(super) const NOW: Duration = Duration::ZERO;

pub(super) fn now() -> Timestamp {
    Clock::system().now()
}

/// The queue of a store, and the clock of the gateway that uses the store.
pub(super) struct TestQueue {
    pub(super) store: Arc<dyn Store>,
    clock: fn() -> Timestamp,
}

impl TestQueue {
    pub(super) async fn open(location: &StoreLocation) -> Self {
        Self { store: location.open().await, clock: location.clock }
    }

    pub(super) fn queue(&self) -> &dyn Queue {
        self.store.queue().expect("a durable store has a queue")
    }

    pub(super) async fn enqueue_within(
        &self,
        entry: &QueueEntry,
        pause: Duration,
        bounds: &Bounds,
    ) -> Result<(), QueueFullError> {
        self.queue().enqueue(entry, pause, bounds, (self.clock)()).await.unwrap()
    }

    pub(super) async fn enqueue(&self, entry: &QueueEntry, pause: Duration) {
        self.enqueue_within(entry, pause, &BOUNDS).await.unwrap();
    }

    /// Queues one new entry for each of the pauses; returns the entries as the store has them.
    pub(super) async fn put<const N: usize>(&self, pauses: [Duration; N]) -> [QueueEntry; N] {
        let mut put = Vec::new();
        for pause in pauses {
            let entry = entry();
            self.enqueue(&entry, pause).await;
            put.push(self.get(&entry).await);
        }
        put.try_into().unwrap()
    }

    pub(super) async fn get(&self, entry: &QueueEntry) -> QueueEntry {
        self.queue().get(entry.id).await.unwrap().expect("the entry is in the queue")
    }

    pub(super) async fn lease(&self, lease: Duration, most: usize) -> Vec<QueueEntry> {
        self.queue().lease(lease, most, (self.clock)()).await.unwrap()
    }

    /// Waits until exactly one entry is due, leases it and returns it.
    pub(super) async fn lease_one(&self, lease: Duration) -> QueueEntry {
        let leased = tokio::sync::Mutex::new(Vec::new());
        eventually("an entry is due", async || {
            let mut leased = leased.lock().await;
            *leased = self.lease(lease, 1).await;
            !leased.is_empty()
        })
        .await;
        leased.into_inner().remove(0)
    }

    /// Reschedules an entry, as a worker does after a failed try; returns whether the store accepted that.
    pub(super) async fn reschedule(
        &self,
        entry: &QueueEntry,
        pause: Duration,
        failed: bool,
    ) -> bool {
        self.queue().reschedule(entry, pause, failed, (self.clock)()).await.unwrap()
    }

    pub(super) async fn remove(&self, entry: &QueueEntry) -> bool {
        self.queue().remove(entry.id).await.unwrap()
    }

    pub(super) async fn remove_unchanged(&self, entry: &QueueEntry) -> bool {
        self.queue().remove_unchanged(entry).await.unwrap()
    }

    pub(super) async fn all(&self) -> Vec<QueueEntry> {
        self.queue().entries(usize::MAX).await.unwrap()
    }

    pub(super) async fn len(&self) -> usize {
        self.queue().len().await.unwrap()
    }
}

/// Asserts that `time` is `pause` after a moment between `then` and now.
#[track_caller]
pub(super) fn assert_after(time: Timestamp, pause: Duration, then: Timestamp) {
    assert!((then + pause..=now() + pause).contains(&time), "{time}, {then} to {}", now());
}

pub(super) async fn entries_are_listed_by_their_due_time(location: &StoreLocation) {
    let queue = TestQueue::open(location).await;
    assert_eq!((queue.all().await, queue.len().await), (vec![], 0));
    let then = now();
    let minutes = [3, 1, 0, 2].map(Duration::from_mins);
    let put = queue.put(minutes).await;
    for (entry, pause) in put.iter().zip(minutes) {
        assert_after(entry.queued_at, NOW, then);
        assert_after(entry.due, pause, then);
        assert_after(entry.renewed_at, NOW, then);
        let QueueEntry { queued_at, renewed_at, due, .. } = *entry;
        let as_asked = QueueEntry { id: entry.id, user_id: entry.user_id, ..self::entry() };
        let session_id = entry.session_id;
        assert_eq!(*entry, QueueEntry { queued_at, renewed_at, due, session_id, ..as_asked });
    }
    let expected = [2, 1, 3, 0].map(|n| put[n].clone());
    assert_eq!(queue.all().await, expected);
    assert_eq!(queue.queue().entries(2).await.unwrap(), expected[..2]);
    assert_eq!(queue.queue().entries(0).await.unwrap(), []);
    assert_eq!(queue.len().await, 4);
    assert_eq!(queue.queue().get(Uuid::new_v4()).await, Ok(None));
}

pub(super) async fn the_oldest_entry_is_reported_whatever_its_due_time(location: &StoreLocation) {
    let queue = TestQueue::open(location).await;
    assert_eq!(queue.queue().oldest().await, Ok(None));
    let [first] = queue.put([HOUR]).await;
    eventually("the clock moves", async || now() > first.queued_at).await;
    let [second] = queue.put([NOW]).await;
    assert!(first.queued_at < second.queued_at);
    assert_eq!(queue.queue().oldest().await, Ok(Some(first.queued_at)));
    let leased = queue.lease_one(HOUR).await;
    assert!(queue.reschedule(&leased, NOW, true).await);
    assert!(queue.remove(&first).await);
    assert_eq!(
        queue.queue().oldest().await,
        Ok(Some(second.queued_at)),
        "the age of the entry is unchanged"
    );
    drop(queue);
    let queue = TestQueue::open(location).await;
    assert_eq!(queue.queue().oldest().await, Ok(Some(second.queued_at)));
}

pub(super) async fn no_entry_is_leased_before_it_is_due(location: &StoreLocation) {
    let queue = TestQueue::open(location).await;
    assert_eq!(queue.lease(HOUR, 9).await, []);
    let [late, early] = queue.put([HOUR / 2, NOW]).await;
    assert_eq!(queue.lease(HOUR, 0).await, []);
    assert_eq!(ids(&queue.lease(HOUR, 9).await), [early.id]);
    assert_eq!(queue.lease(HOUR, 9).await, []);
    assert!(queue.remove(&early).await);
    assert_eq!(queue.lease(HOUR, 9).await, []);
    assert_eq!(queue.all().await, [late]);
}

pub(super) async fn the_earliest_due_entries_are_leased_up_to_the_requested_number(
    location: &StoreLocation,
) {
    let queue = TestQueue::open(location).await;
    let mut put = queue.put([30, 10, 40, 20].map(Duration::from_millis)).await;
    put.sort_by_key(|entry| (entry.due, entry.id));
    let [first, second, third, last] = put;
    eventually("all entries are due", async || now() > last.due).await;
    let then = now();
    let leased = queue.lease(HOUR, 3).await;
    assert_eq!(ids(&leased), ids(&[first, second, third]));
    for entry in &leased {
        assert_after(entry.due, HOUR, then);
        assert_eq!(queue.get(entry).await, *entry);
    }
    assert_eq!(ids(&queue.lease(HOUR, 3).await), [last.id]);
    assert_eq!(queue.len().await, 4, "leased entries are still in the queue");
}

pub(super) async fn only_one_worker_has_a_lease_until_it_ends(location: &StoreLocation) {
    let queue = TestQueue::open(location).await;
    let [put] = queue.put([NOW]).await;
    let first = queue.lease_one(MOMENT).await;
    assert_eq!(QueueEntry { due: put.due, ..first.clone() }, put);
    // The worker that had the lease may have died, so another worker must be able to lease the entry.
    let second = queue.lease_one(HOUR).await;
    assert_eq!(second, QueueEntry { due: second.due, ..first.clone() });
    assert!(second.due > first.due);
    assert_eq!(queue.lease(HOUR, 9).await, []);
    assert!(!queue.reschedule(&first, NOW, true).await, "another worker has the lease");
    assert_eq!(queue.all().await, [second]);
}

pub(super) async fn a_rescheduled_entry_is_due_at_its_new_time(location: &StoreLocation) {
    let queue = TestQueue::open(location).await;
    let [put] = queue.put([NOW]).await;
    let leased_entry = queue.lease_one(HOUR / 2).await;
    let reason = "auth_service_timeout".into();
    let tried = QueueEntry { attempts: 1, tried: true, reason, ..leased_entry.clone() };
    let then = now();
    assert!(queue.reschedule(&tried, HOUR, true).await);
    let later = queue.get(&put).await;
    assert_after(later.due, HOUR, then);
    assert_after(later.failed_at, NOW, then);
    assert_eq!(later, QueueEntry { due: later.due, failed_at: later.failed_at, ..tried });
    assert!(!queue.reschedule(&leased_entry, NOW, true).await, "the worker has no lease any more");
    assert_eq!(queue.lease(HOUR, 9).await, []);
    // An operator must be able to reschedule an entry that no worker has leased.
    assert!(queue.reschedule(&later, NOW, false).await);
    let again = queue.lease_one(HOUR).await;
    assert_eq!(
        again,
        QueueEntry { due: again.due, ..later },
        "rescheduling by an operator does not count as a failure"
    );
    assert_eq!(queue.len().await, 1);
}

pub(super) async fn removed_entries_stay_removed(location: &StoreLocation) {
    let queue = TestQueue::open(location).await;
    let [leased_entry, other] = queue.put([NOW, HOUR]).await;
    let leased_entry = QueueEntry { due: queue.lease_one(HOUR).await.due, ..leased_entry };
    assert!(queue.remove(&leased_entry).await);
    assert!(!queue.remove(&leased_entry).await, "the entry was removed before");
    assert!(!queue.remove_unchanged(&leased_entry).await, "the entry was removed before");
    assert!(!queue.remove(&entry()).await, "the entry was never queued");
    assert!(!queue.reschedule(&leased_entry, NOW, true).await);
    assert_eq!(queue.queue().get(leased_entry.id).await, Ok(None));
    assert_eq!((queue.len().await, queue.all().await), (1, vec![other.clone()]));
    assert!(queue.remove_unchanged(&other).await);
    assert_eq!((queue.len().await, queue.lease(HOUR, 9).await), (0, vec![]));
}
