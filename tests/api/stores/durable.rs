//! Promises of a durable store: what it has answered is there at the next opening.

use logout_gateway::config::Scope;

use super::{
    Place,
    failures::{self, numbered},
    list::{log_out, now, refuses, session, session_of},
    queue::{self, NOW, entry, put},
};

pub(super) async fn revocations_survive(place: &Place) {
    let (store, now) = (place.open().await, now());
    let [local, global, others] = [Scope::Local, Scope::Global, Scope::Others].map(|scope| {
        let asking = session(now - 10);
        (scope, session_of(asking.sub, now - 1), asking)
    });
    for (scope, _, asking) in [&local, &global, &others] {
        log_out(&*store, asking, *scope, now).await;
    }
    drop(store);
    let store = place.open().await;
    for ((scope, other, asking), own_ends, other_ends) in
        [(local, true, false), (global, true, true), (others, false, true)]
    {
        assert_eq!(refuses(&*store, &asking, now).await, own_ends, "{scope:?}");
        assert_eq!(refuses(&*store, &other, now).await, other_ends, "{scope:?}");
        assert!(!refuses(&*store, &session_of(asking.sub, now), now).await, "{scope:?}: new");
    }
}

pub(super) async fn later_ends_and_cut_offs_survive(place: &Place) {
    let now = now();
    for order in [[now, now + 5], [now + 5, now]] {
        let ended = session(now - 10);
        // Each by an opening of its own, so that what is remembered cannot stand in for what is kept.
        for at in order {
            let store = place.open().await;
            log_out(&*store, &ended, Scope::Global, at).await;
        }
        let store = place.open().await;
        let between = session_of(ended.sub, now + 4);
        for claims in [&ended, &between] {
            assert!(refuses(&*store, claims, now + 86_400 + 4).await, "{order:?}");
            assert!(!refuses(&*store, claims, now + 86_400 + 5).await, "{order:?}");
        }
    }
}

pub(super) async fn what_was_forgotten_stays_forgotten(place: &Place) {
    let (store, now) = (place.open().await, now());
    let [early, late] = [session(now - 10), session(now - 10)];
    log_out(&*store, &early, Scope::Global, now).await;
    log_out(&*store, &late, Scope::Global, now + 1).await;
    store.forget_outlived(now + 86_400).await.unwrap();
    drop(store);
    let store = place.open().await;
    for (claims, kept) in [(&early, false), (&late, true)] {
        // Asked as of an earlier time, so that it is not merely over.
        assert_eq!(refuses(&*store, claims, now).await, kept);
        assert_eq!(refuses(&*store, &session_of(claims.sub, now - 1), now).await, kept);
    }
}

pub(super) async fn failures_survive_in_their_order(place: &Place) {
    let mut noted = Vec::new();
    for part in 0..3 {
        let store = place.open().await;
        let some: Vec<_> = (part * 4..part * 4 + 4).map(numbered).collect();
        store.note(&some).await.unwrap();
        noted.extend(some);
    }
    noted.reverse();
    assert_eq!(failures::all(&*place.open().await).await, noted);
}

pub(super) async fn the_queue_survives_with_its_leases(place: &Place) {
    let until = NOW + 10_000;
    let store = place.open().await;
    let queue = queue::queue(&*store);
    let [removed, leased, put_off] = [entry(NOW - 2), entry(NOW - 1), entry(NOW)];
    for entry in [&removed, &leased, &put_off] {
        queue.put(entry).await.unwrap();
    }
    let later = put(queue, &[NOW + 5]).await.remove(0);
    let mut mine = queue.lease(NOW, until, 3).await.unwrap();
    assert!(queue.remove(removed.id).await.unwrap());
    let mut moved = mine.pop().unwrap();
    (moved.due, moved.attempts) = (NOW + 7, 1);
    assert!(queue.put_off(&moved, until).await.unwrap());
    drop(store);

    let store = place.open().await;
    let queue = queue::queue(&*store);
    let leased = mine.pop().unwrap();
    assert_eq!(queue::all(queue).await, [later.clone(), moved.clone(), leased]);
    assert_eq!(queue.waiting().await.unwrap(), 3);
    let due = queue.lease(until - 1, until + 1, 9).await.unwrap();
    assert_eq!(due.iter().map(|e| e.id).collect::<Vec<_>>(), [later.id, moved.id]);
}
