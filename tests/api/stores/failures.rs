//! The promises of every store for the failure log.

use logout_gateway::internals::{
    clock::from_unix_seconds,
    store::{FAILURES_KEPT, FAILURES_KEPT_OF_USER, Store, failure::Failure},
};
use uuid::Uuid;

use super::StoreLocation;

pub(super) fn numbered_failure(number: usize) -> Failure {
    Failure {
        time: from_unix_seconds(1_800_000_000 + i64::try_from(number).unwrap()),
        request_id: number.to_string(),
        route: "/api/auth/logout".into(),
        scope: "local".into(),
        outcome: "failed".into(),
        // Each user has ten failures.
        user_id: Uuid::from_u128(number as u128 / 10),
        session_id: Uuid::from_u128(number as u128 + 1),
        code: number.is_multiple_of(2).then(|| "LOGOUT_FAILED".to_owned()),
        reason: "auth_service_error".into(),
        upstream_status: number.is_multiple_of(3).then_some(500),
    }
}

pub(super) async fn all(store: &dyn Store) -> Vec<Failure> {
    store.failures(usize::MAX).await.unwrap()
}

pub(super) async fn failures_come_newest_first(location: &StoreLocation) {
    let store = location.open().await;
    assert_eq!(all(&*store).await, []);
    let mut failures: Vec<Failure> = (0..7).map(numbered_failure).collect();
    store.append_failures(&[]).await.unwrap();
    store.append_failures(&failures[..1]).await.unwrap();
    store.append_failures(&failures[1..5]).await.unwrap();
    store.append_failures(&failures[5..]).await.unwrap();
    failures.reverse();
    assert_eq!(all(&*store).await, failures);
    assert_eq!(store.failures(3).await.unwrap(), failures[..3]);
    assert_eq!(store.failures(0).await.unwrap(), []);
}

pub(super) async fn the_last_ten_thousand_failures_are_kept(location: &StoreLocation) {
    let store = location.open().await;
    let mut failures: Vec<Failure> = (0..FAILURES_KEPT + 300).map(numbered_failure).collect();
    for batch in failures.chunks(256) {
        store.append_failures(batch).await.unwrap();
    }
    failures.reverse();
    failures.truncate(FAILURES_KEPT);
    assert!(all(&*store).await == failures, "the last failures, newest first");
    // Append more failures in one call than the log keeps in total.
    let mut failures: Vec<Failure> = (0..=FAILURES_KEPT).map(numbered_failure).collect();
    store.append_failures(&failures).await.unwrap();
    failures.reverse();
    failures.truncate(FAILURES_KEPT);
    assert!(all(&*store).await == failures, "the last failures, newest first");
}

pub(super) async fn concurrently_appended_failures_are_all_kept_in_order(location: &StoreLocation) {
    let store = location.open().await;
    let tasks = (0..8).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..8 {
                store.append_failures(&[numbered_failure(n * 100 + number)]).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let kept = all(&*store).await;
    assert_eq!(kept.len(), 64);
    for n in 0..8 {
        let ids = kept.iter().map(|f| f.request_id.parse::<usize>().unwrap());
        let own: Vec<usize> = ids.filter(|id| id / 100 == n).map(|id| id % 100).collect();
        assert_eq!(own, [7, 6, 5, 4, 3, 2, 1, 0], "of task {n}");
    }
}

pub(super) fn of_user(failure: Failure, user: u128) -> Failure {
    Failure { user_id: Uuid::from_u128(user), ..failure }
}

pub(super) async fn the_last_hundred_failures_of_a_user_are_kept(location: &StoreLocation) {
    let store = location.open().await;
    let mut expected = Vec::new();
    for (count, together) in [(250, 7), (250, 250), (1, 1)] {
        let failures: Vec<_> =
            (0..count).map(|n| of_user(numbered_failure(expected.len() + n), 7 << 64)).collect();
        for batch in failures.chunks(together) {
            store.append_failures(batch).await.unwrap();
        }
        expected.extend(failures);
        let last = expected.iter().rev().take(FAILURES_KEPT_OF_USER).cloned();
        assert!(all(&*store).await == last.collect::<Vec<_>>(), "{count}, {together} at once");
    }
}

pub(super) async fn one_user_removes_no_failures_of_others(location: &StoreLocation) {
    let store = location.open().await;
    let mut others: Vec<Failure> =
        (0..FAILURES_KEPT - FAILURES_KEPT_OF_USER).map(numbered_failure).collect();
    for batch in others.chunks(500) {
        store.append_failures(batch).await.unwrap();
    }
    let one: Vec<Failure> = (0..1_000).map(|n| of_user(numbered_failure(n), 7 << 64)).collect();
    for batch in one.chunks(100) {
        store.append_failures(batch).await.unwrap();
    }
    others.reverse();
    let kept = all(&*store).await;
    assert!(kept[..FAILURES_KEPT_OF_USER].iter().eq(one.iter().rev().take(FAILURES_KEPT_OF_USER)));
    assert!(kept[FAILURES_KEPT_OF_USER..] == others);
    // The store must not count failures that it has removed.
    store
        .append_failures(&(0..500).map(|n| numbered_failure(n + 500_000)).collect::<Vec<_>>())
        .await
        .unwrap();
    let again: Vec<Failure> = (0..10).map(numbered_failure).collect();
    store.append_failures(&again).await.unwrap();
    assert_eq!(all(&*store).await.len(), FAILURES_KEPT);
    assert!(all(&*store).await[..10].iter().eq(again.iter().rev()));
}
