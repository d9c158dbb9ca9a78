//! The order in which entries are leased.

use logout_gateway::internals::{
    outcome::Scope,
    queue::entry::{NEVER, QueueEntry},
};
use uuid::Uuid;

use super::{
    super::StoreLocation, HOUR, MOMENT, NOW, TestQueue, assert_after, entry, ids, now, queue_entry,
};
use crate::harness::eventually;

/// Queues entries that have failed and are due again; the last in the list has failed last.
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
        // An entry that has failed is due again at once, so new entries must be leased before it.
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
        // The entry is due at once, before the others that failed.
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
    // Entries that are not due do not delay it either, although they never failed.
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
    // The longest configured pause is not taken for a wrong clock.
    queue
        .enqueue(&queue_entry(Uuid::new_v4(), Uuid::new_v4(), Scope::Local, "a", true), HOUR)
        .await;
    assert_eq!(queue.lease(HOUR, 9).await, []);
}
