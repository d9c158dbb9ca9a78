//! The promises of a durable store: when it is opened again, it must have everything that it acknowledged.

use logout_gateway::internals::{
    clock::from_unix_seconds,
    outcome::Scope,
    queue::entry::QueueEntry,
    store::{FAILURES_KEPT_OF_USER, failure::Failure},
};

use super::{
    StoreLocation,
    cut_offs::History,
    failures::{self, numbered_failure},
    list::{assert_facts, log_out, now, refuses, session, session_of, with_facts},
    queue::{HOUR, MOMENT, NOW, TestQueue, ids},
};

pub(super) async fn revocations_survive(location: &StoreLocation) {
    let (store, now) = (location.open().await, now());
    let [local, global, others] = [Scope::Local, Scope::Global, Scope::Others].map(|scope| {
        let current = session(now - 10);
        (scope, session_of(current.sub, now - 1), current)
    });
    for (scope, _, current) in [&local, &global, &others] {
        log_out(&*store, current, *scope, now).await;
    }
    drop(store);
    let store = location.open().await;
    for ((scope, other, current), own_ends, other_ends) in
        [(local, true, false), (global, true, true), (others, false, true)]
    {
        assert_eq!(refuses(&*store, &current, now).await, own_ends, "{scope:?}");
        assert_eq!(refuses(&*store, &other, now).await, other_ends, "{scope:?}");
        assert!(!refuses(&*store, &session_of(current.sub, now + 1), now).await, "{scope:?}: new");
    }
}

pub(super) async fn later_ends_and_cut_offs_survive(location: &StoreLocation) {
    let now = now();
    for order in [[now, now + 5], [now + 5, now]] {
        let ended = session(now - 10);
        // Reopen the store for each logout, so that the answers come from the disk and not from memory.
        for at in order {
            let store = location.open().await;
            log_out(&*store, &ended, Scope::Global, at).await;
        }
        let store = location.open().await;
        let between = session_of(ended.sub, now + 4);
        for claims in [&ended, &between] {
            assert!(refuses(&*store, claims, now + 86_400 + 4).await, "{order:?}");
            assert!(!refuses(&*store, claims, now + 86_400 + 5).await, "{order:?}");
        }
    }
}

pub(super) async fn purged_revocations_stay_purged(location: &StoreLocation) {
    let (store, now) = (location.open().await, now());
    let [early, late] = [session(now - 10), session(now - 10)];
    log_out(&*store, &early, Scope::Global, now).await;
    log_out(&*store, &late, Scope::Global, now + 1).await;
    store.purge_expired(from_unix_seconds(now + 86_400)).await.unwrap();
    drop(store);
    let store = location.open().await;
    for (claims, kept) in [(&early, false), (&late, true)] {
        // Ask for the time before the purge, at which neither entry had expired: only the purge may have
        // removed one.
        assert_eq!(refuses(&*store, claims, now).await, kept);
        assert_eq!(refuses(&*store, &session_of(claims.sub, now - 1), now).await, kept);
    }
}

pub(super) async fn failures_survive_in_their_order(location: &StoreLocation) {
    let mut appended = Vec::new();
    for part in 0..3 {
        let store = location.open().await;
        let some: Vec<_> = (part * 4..part * 4 + 4).map(numbered_failure).collect();
        store.append_failures(&some).await.unwrap();
        appended.extend(some);
    }
    appended.reverse();
    assert_eq!(failures::all(&*location.open().await).await, appended);
}

pub(super) async fn the_last_failures_of_a_user_survive(location: &StoreLocation) {
    let of_user = |n| Failure { user_id: numbered_failure(0).user_id, ..numbered_failure(n) };
    let mut appended: Vec<_> = (0..FAILURES_KEPT_OF_USER + 30).map(of_user).collect();
    for some in appended.chunks(65) {
        location.open().await.append_failures(some).await.unwrap();
    }
    appended.reverse();
    appended.truncate(FAILURES_KEPT_OF_USER);
    assert_eq!(failures::all(&*location.open().await).await, appended);
}

pub(super) async fn folded_cut_offs_survive(location: &StoreLocation) {
    let mut history = History::new(now());
    for _ in 0..20 {
        // Reopen the store for each logout, so that the answers come from the disk and not from memory.
        let store = location.open().await;
        history.log_out(&*store).await;
    }
    let store = location.open().await;
    history.assert_refused_by(&*store).await;
}

pub(super) async fn facts_survive(location: &StoreLocation) {
    let (store, now) = (location.open().await, now());
    let facts = with_facts(&*store, now).await;
    drop(store);
    let store = location.open().await;
    let kept = store.clone();
    let keeping = tokio::spawn(async move { kept.run().await });
    let facts_are_there = async || store.list().count() == 2;
    crate::harness::eventually("the list has been read", facts_are_there).await;
    assert_facts(&*store, &facts, now);
    keeping.abort();
    // Wait for the aborted task, because it keeps the store open until it has ended.
    let _ = keeping.await;
}

pub(super) async fn the_queue_survives_with_its_leases(location: &StoreLocation) {
    let queue = TestQueue::open(location).await;
    let [removed, leased, moved] = queue.put([NOW, MOMENT, MOMENT * 2]).await;
    let [later] = queue.put([HOUR / 4]).await;
    let mut leased_entries = Vec::new();
    for _ in 0..3 {
        leased_entries.push(queue.lease_one(HOUR).await);
    }
    assert_eq!(ids(&leased_entries), ids(&[removed.clone(), leased.clone(), moved.clone()]));
    assert!(queue.remove(&removed).await);
    let tried = QueueEntry { attempts: 1, reason: "other".into(), ..leased_entries[2].clone() };
    assert!(queue.reschedule(&tried, HOUR / 2, true).await);
    let moved = queue.get(&moved).await;
    drop(queue);

    let queue = TestQueue::open(location).await;
    assert_eq!(queue.all().await, [later, moved, leased_entries[1].clone()]);
    assert_eq!(queue.len().await, 3);
    assert_eq!(queue.lease(HOUR, 9).await, []);
    assert!(
        queue.reschedule(&leased_entries[1], NOW, false).await,
        "the worker of before the restart still has its lease"
    );
    assert_eq!(ids(&[queue.lease_one(HOUR).await]), ids(&[leased]));
}
