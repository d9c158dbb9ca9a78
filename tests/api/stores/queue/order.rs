//! The order in which a store leases entries.

use logout_gateway::internals::{
    outcome::Scope,
    queue::entry::{NEVER, QueueEntry},
};
use uuid::Uuid;

use super::{
    super::StoreLocation, HOUR, MOMENT, NOW, TestQueue, assert_after, entry, ids, now, queue_entry,
};
use crate::harness::eventually;

/// Queues entries, lets each fail and makes it due again; returns them in the order in which they failed.
async fn failing(queue: &TestQueue, count: usize) -> Vec<QueueEntry> {
    for _ in 0..count {
        queue.enqueue(&entry(), NOW).await;
    }
    let mut failing = Vec::new();
    while failing.len() < count {
        let leased = queue.lease(HOUR, count).await;
        assert!(!leased.is_empty());
        for entry in leased {
            assert!(queue.reschedule(&entry, NOW, true).await);
            let entry = queue.get(&entry).await;
            failing.push(entry);
        }
        // An entry that has failed is due again at once, so the store must lease new entries before it.
        let fresh = queue.all().await.iter().filter(|entry| entry.failed_at == NEVER).count();
        assert_eq!(fresh + failing.len(), count, "no entry is leased twice before the others");
    }
    failing
}

pub(in crate::stores) async fn the_entry_that_failed_last_is_leased_last(location: &StoreLocation) {
    let queue = TestQueue::open(location).await;
    let mut expected = Vec::new();
    queue.put([NOW; 4]).await;
    for _ in 0..4 {
        let leased = queue.lease_one(HOUR).await;
        assert_eq!(leased.failed_at, NEVER, "an entry that never failed comes first");
        let last = expected.last().map_or(NEVER, |last: &QueueEntry| last.failed_at);
        eventually("the clock moves", async || now() > last + MOMENT).await;
        // The entry is due again at once, but must be leased after the entries that failed earlier.
        assert!(queue.reschedule(&leased, NOW, true).await);
        expected.push(queue.get(&leased).await);
    }
    let [fresh] = queue.put([NOW]).await;
    let mut order = vec![fresh.id];
    order.extend(ids(&expected));
    assert_eq!(ids(&queue.lease(HOUR, 9).await), order);
}

pub(in crate::stores) async fn hundreds_of_failing_entries_delay_no_new_entry(
    location: &StoreLocation,
) {
    let queue = TestQueue::open(location).await;
    failing(&queue, 300).await;
    // Entries that are not due must not delay the new entry either, although they have never failed.
    for _ in 0..300 {
        queue.enqueue(&entry(), HOUR).await;
    }
    for _ in 0..3 {
        let [fresh] = queue.put([NOW]).await;
        assert_eq!(ids(&queue.lease(HOUR, 1).await), [fresh.id]);
    }
    assert_ne!(queue.lease(HOUR, 1).await[0].failed_at, NEVER);
}

pub(in crate::stores) async fn an_entry_that_a_wrong_clock_made_due_in_years_is_due_at_once(
    location: &StoreLocation,
) {
    let queue = TestQueue::open(location).await;
    let years = HOUR * 24 * 365 * 10;
    let [first, second] = queue.put([years, NOW]).await;
    let leased = queue.lease(MOMENT, 9).await;
    assert_eq!(ids(&leased).len(), 2, "{leased:?}");
    let late = queue.lease_one(HOUR).await;
    assert!(queue.reschedule(&late, years, true).await);
    let then = now();
    let again = queue.lease(HOUR, 9).await;
    assert!(ids(&again).contains(&late.id));
    for entry in &again {
        assert_after(entry.due, HOUR, then);
    }
    assert!(queue.remove(&first).await && queue.remove(&second).await);
    // The store must not take the longest configured pause for the result of a wrong clock.
    queue
        .enqueue(&queue_entry(Uuid::new_v4(), Uuid::new_v4(), Scope::Local, "a", true), HOUR)
        .await;
    assert_eq!(queue.lease(HOUR, 9).await, []);
}
