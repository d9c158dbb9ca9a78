//! Promises of the queue.

use std::{collections::HashSet, sync::Arc};

use logout_gateway::{
    queue::entry::Entry,
    store::{Queue, Store},
};
use tokio::sync::Barrier;
use uuid::Uuid;

use super::Place;

/// Milliseconds since the Unix epoch.
pub(super) const NOW: i64 = 1_800_000_000_000;
const LEASE: i64 = 15_000;

/// An entry that is due then.
pub(super) fn entry(due: i64) -> Entry {
    Entry {
        id: Uuid::new_v4(),
        request_id: "a request".to_owned(),
        route: "/api/auth/logout".to_owned(),
        scope: "local".to_owned(),
        user_id: Uuid::new_v4(),
        session_id: Uuid::new_v4(),
        verified: true,
        tried: false,
        queued_at: NOW,
        due,
        attempts: 0,
        reason: "auth_service_error".to_owned(),
        key_id: "key".to_owned(),
        sealed: "sealed".to_owned(),
    }
}

pub(super) fn queue(store: &dyn Store) -> &dyn Queue {
    store.queue().expect("a durable store has a queue")
}

pub(super) async fn put(queue: &dyn Queue, dues: &[i64]) -> Vec<Entry> {
    let entries: Vec<Entry> = dues.iter().map(|due| entry(*due)).collect();
    for entry in &entries {
        queue.put(entry).await.unwrap();
    }
    entries
}

pub(super) async fn all(queue: &dyn Queue) -> Vec<Entry> {
    queue.entries(usize::MAX).await.unwrap()
}

/// As it is while it is leased.
fn leased(entry: &Entry, until: i64) -> Entry {
    Entry { due: until, ..entry.clone() }
}

pub(super) async fn what_is_put_is_there_by_its_due_time(place: &Place) {
    let store = place.open().await;
    let queue = queue(&*store);
    assert_eq!((all(queue).await, queue.waiting().await.unwrap()), (vec![], 0));
    let entries = put(queue, &[NOW + 2, NOW, NOW - 3, NOW + 1]).await;
    let [third, second, first, last] = [&entries[3], &entries[1], &entries[2], &entries[0]];
    let expected = [first, second, third, last].map(Clone::clone);
    assert_eq!(all(queue).await, expected);
    assert_eq!(queue.entries(2).await.unwrap(), expected[..2]);
    assert_eq!(queue.entries(0).await.unwrap(), []);
    assert_eq!(queue.waiting().await.unwrap(), 4);
}

pub(super) async fn putting_an_entry_again_leaves_the_one_that_waits(place: &Place) {
    let store = place.open().await;
    let queue = queue(&*store);
    let entry = put(queue, &[NOW]).await.remove(0);
    let again = Entry { due: NOW - 5, attempts: 3, ..entry.clone() };
    queue.put(&again).await.unwrap();
    assert_eq!((all(queue).await, queue.waiting().await.unwrap()), (vec![entry.clone()], 1));
    assert_eq!(queue.lease(NOW, NOW + LEASE, 9).await.unwrap(), [leased(&entry, NOW + LEASE)]);
    queue.put(&again).await.unwrap();
    assert_eq!(queue.lease(NOW, NOW + LEASE, 9).await.unwrap(), [], "nor is a lease taken away");
}

pub(super) async fn the_earliest_due_are_leased_and_no_more_than_asked_for(place: &Place) {
    let store = place.open().await;
    let queue = queue(&*store);
    let entries = put(queue, &[NOW - 1, NOW - 5, NOW, NOW - 3]).await;
    assert_eq!(queue.lease(NOW, NOW + LEASE, 0).await.unwrap(), []);
    let first = queue.lease(NOW, NOW + LEASE, 3).await.unwrap();
    let expected = [&entries[1], &entries[3], &entries[0]].map(|e| leased(e, NOW + LEASE));
    assert_eq!(first, expected);
    assert_eq!(queue.lease(NOW, NOW + LEASE, 3).await.unwrap(), [leased(&entries[2], NOW + LEASE)]);
    assert_eq!(queue.waiting().await.unwrap(), 4, "what is leased still waits");
}

pub(super) async fn the_oldest_is_told_whatever_its_due_time(place: &Place) {
    let store = place.open().await;
    let queue = queue(&*store);
    assert_eq!(queue.oldest().await, Ok(None));
    let entries = put(queue, &[NOW, NOW + 1, NOW + 2]).await;
    let old = Entry { id: Uuid::new_v4(), queued_at: 5, due: NOW + 9, ..entries[0].clone() };
    let older = Entry { id: Uuid::new_v4(), queued_at: 3, due: NOW, ..entries[0].clone() };
    for entry in [&old, &older] {
        queue.put(entry).await.unwrap();
    }
    assert_eq!(queue.oldest().await, Ok(Some(3)));
    queue.lease(NOW, NOW + LEASE, 9).await.unwrap();
    queue.put_off(&Entry { due: NOW + 50, ..older.clone() }, NOW + LEASE).await.unwrap();
    assert_eq!(queue.oldest().await, Ok(Some(3)), "it is as old as it was");
    assert!(queue.remove(older.id).await.unwrap());
    assert_eq!(queue.oldest().await, Ok(Some(5)));
    drop(store);
    assert_eq!(self::queue(&*place.open().await).oldest().await, Ok(Some(5)));
}

pub(super) async fn nothing_is_leased_before_it_is_due(place: &Place) {
    let store = place.open().await;
    let queue = queue(&*store);
    let entries = put(queue, &[NOW, NOW + 1, i64::MAX, 0, -1]).await;
    let past = queue.lease(NOW - 1, NOW + LEASE, 9).await.unwrap();
    let ids: Vec<Uuid> = past.iter().map(|e| e.id).collect();
    assert_eq!(ids, [entries[4].id, entries[3].id], "also what was due before the epoch");
    let due = queue.lease(NOW, NOW + LEASE, 9).await.unwrap();
    assert_eq!(due, [leased(&entries[0], NOW + LEASE)]);
}

pub(super) async fn a_lease_is_one_workers_until_it_ends(place: &Place) {
    let store = place.open().await;
    let queue = queue(&*store);
    let entry = put(queue, &[NOW]).await.remove(0);
    let until = NOW + LEASE;
    assert_eq!(queue.lease(NOW, until, 9).await.unwrap(), [leased(&entry, until)]);
    assert_eq!(queue.lease(until - 1, until + LEASE, 9).await.unwrap(), []);
    // Whoever had it may have died.
    let next = until + LEASE;
    assert_eq!(queue.lease(until, next, 9).await.unwrap(), [leased(&entry, next)]);
    assert_eq!(all(queue).await, [leased(&entry, next)]);
}

pub(super) async fn what_is_put_off_is_due_at_its_new_time(place: &Place) {
    let store = place.open().await;
    let queue = queue(&*store);
    put(queue, &[NOW]).await;
    let until = NOW + LEASE;
    let mine = queue.lease(NOW, until, 1).await.unwrap().remove(0);
    let later = Entry {
        due: NOW + 2_000,
        attempts: 1,
        tried: true,
        reason: "auth_service_timeout".to_owned(),
        ..mine
    };
    assert!(queue.put_off(&later, until).await.unwrap());
    assert_eq!(all(queue).await, std::slice::from_ref(&later));
    assert_eq!(queue.lease(later.due - 1, until, 9).await.unwrap(), []);
    let again = queue.lease(later.due, later.due + LEASE, 9).await.unwrap();
    assert_eq!(again, [leased(&later, later.due + LEASE)]);
    assert_eq!(queue.waiting().await.unwrap(), 1);
}

pub(super) async fn an_entry_can_be_moved_without_a_lease(place: &Place) {
    let store = place.open().await;
    let queue = queue(&*store);
    let entry = put(queue, &[NOW + 5_000]).await.remove(0);
    let sooner = Entry { due: NOW, ..entry.clone() };
    assert!(queue.put_off(&sooner, entry.due).await.unwrap());
    assert_eq!(all(queue).await, [sooner]);
}

pub(super) async fn a_lease_that_ended_puts_nothing_off(place: &Place) {
    let store = place.open().await;
    let queue = queue(&*store);
    put(queue, &[NOW]).await;
    let (first, second) = (NOW + LEASE, NOW + 2 * LEASE);
    let slow = queue.lease(NOW, first, 1).await.unwrap().remove(0);
    let theirs = queue.lease(first, second, 1).await.unwrap();
    let late = Entry { due: first + 1, attempts: 9, ..slow.clone() };
    assert!(!queue.put_off(&late, first).await.unwrap());
    assert_eq!(all(queue).await, theirs, "somebody else has it");
    // And once they put it off themselves.
    let later = Entry { due: second + 50, attempts: 1, ..theirs[0].clone() };
    assert!(queue.put_off(&later, second).await.unwrap());
    for stale in [first, second] {
        assert!(!queue.put_off(&late, stale).await.unwrap());
        assert_eq!(all(queue).await, std::slice::from_ref(&later));
    }
}

pub(super) async fn nobody_has_to_look_before_leasing(place: &Place) {
    let store = place.open().await;
    let queue = queue(&*store);
    let assert_leased = async |now, expected: &[&Entry]| {
        let leased = queue.lease(now, now + LEASE, 9).await.unwrap();
        let ids: Vec<Uuid> = leased.iter().map(|entry| entry.id).collect();
        assert_eq!(ids, expected.iter().map(|entry| entry.id).collect::<Vec<_>>());
    };
    assert_leased(NOW, &[]).await;
    let late = put(queue, &[NOW + 9]).await.remove(0);
    assert_leased(NOW, &[]).await;
    let early = put(queue, &[NOW]).await.remove(0);
    assert_leased(NOW, &[&early]).await;
    assert_leased(NOW, &[]).await;
    queue.put_off(&early, NOW + LEASE).await.unwrap();
    assert_leased(NOW, &[&early]).await;
    assert!(queue.remove(early.id).await.unwrap());
    assert_leased(NOW, &[]).await;
    assert_leased(NOW + 9, &[&late]).await;
}

pub(super) async fn what_was_removed_stays_removed(place: &Place) {
    let store = place.open().await;
    let queue = queue(&*store);
    let entries = put(queue, &[NOW, NOW + 1]).await;
    let until = NOW + LEASE;
    let mine = queue.lease(NOW, until, 1).await.unwrap().remove(0);
    assert!(queue.remove(mine.id).await.unwrap());
    assert!(!queue.remove(mine.id).await.unwrap(), "it is gone already");
    assert!(!queue.remove(Uuid::new_v4()).await.unwrap(), "it never was");
    assert!(!queue.put_off(&Entry { due: NOW, ..mine }, until).await.unwrap());
    assert_eq!(all(queue).await, entries[1..]);
    assert_eq!(queue.waiting().await.unwrap(), 1);
    assert!(queue.remove(entries[1].id).await.unwrap());
    assert_eq!(queue.lease(NOW + 2 * LEASE, i64::MAX, 9).await.unwrap(), []);
    assert_eq!(queue.waiting().await.unwrap(), 0);
}

pub(super) async fn workers_at_once_never_get_the_same_entry(place: &Place) {
    const WORKERS: usize = 8;
    let store = place.open().await;
    let dues: Vec<i64> = (0..60).map(|n| NOW - n).collect();
    let entries = put(queue(&*store), &dues).await;
    let begin = Arc::new(Barrier::new(WORKERS));
    let workers = (0..WORKERS).map(|_| {
        let (store, begin) = (store.clone(), begin.clone());
        tokio::spawn(async move {
            begin.wait().await;
            let mut got = Vec::new();
            loop {
                let some = queue(&*store).lease(NOW, NOW + LEASE, 3).await.unwrap();
                if some.is_empty() {
                    return got;
                }
                got.extend(some.into_iter().map(|entry| entry.id));
            }
        })
    });
    let mut got = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        got.extend(worker.await.unwrap());
    }
    assert_eq!(got.len(), entries.len(), "each once");
    let ids: HashSet<Uuid> = entries.iter().map(|entry| entry.id).collect();
    assert_eq!(got.into_iter().collect::<HashSet<_>>(), ids);
}

pub(super) async fn of_two_who_put_off_the_same_lease_one_succeeds(place: &Place) {
    let store = place.open().await;
    for _ in 0..20 {
        let first = put(queue(&*store), &[NOW]).await.remove(0);
        let until = NOW + LEASE;
        let mine = queue(&*store).lease(NOW, until, 1).await.unwrap().remove(0);
        assert_eq!(mine.id, first.id);
        let begin = Arc::new(Barrier::new(2));
        let tasks = [1, 2].map(|attempts| {
            let (store, begin) = (store.clone(), begin.clone());
            let later = Entry { due: until + i64::from(attempts), attempts, ..mine.clone() };
            tokio::spawn(async move {
                begin.wait().await;
                let moved = queue(&*store).put_off(&later, until).await.unwrap();
                moved.then_some(later)
            })
        });
        let [one, other] = tasks;
        let moved = [one.await.unwrap(), other.await.unwrap()].into_iter().flatten();
        assert_eq!(all(queue(&*store)).await, moved.collect::<Vec<_>>());
        assert!(queue(&*store).remove(first.id).await.unwrap());
    }
}
