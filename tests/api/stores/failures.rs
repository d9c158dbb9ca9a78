//! Promises of the failure log.

use logout_gateway::store::{FAILURES_KEPT, Store, failure::Failure};
use uuid::Uuid;

use super::Place;

pub(super) fn numbered(number: usize) -> Failure {
    Failure {
        time: 1_800_000_000 + i64::try_from(number).unwrap(),
        request_id: number.to_string(),
        route: "/api/auth/logout".to_owned(),
        scope: "local".to_owned(),
        outcome: "failed".to_owned(),
        user_id: Uuid::from_u128(1),
        session_id: Uuid::from_u128(number as u128 + 1),
        code: number.is_multiple_of(2).then(|| "LOGOUT_FAILED".to_owned()),
        reason: "auth_service_error".to_owned(),
        upstream_status: number.is_multiple_of(3).then_some(500),
    }
}

pub(super) async fn all(store: &dyn Store) -> Vec<Failure> {
    store.failures(usize::MAX).await.unwrap()
}

pub(super) async fn failures_come_newest_first(place: &Place) {
    let store = place.open().await;
    assert_eq!(all(&*store).await, []);
    let mut failures: Vec<Failure> = (0..7).map(numbered).collect();
    store.note(&[]).await.unwrap();
    store.note(&failures[..1]).await.unwrap();
    store.note(&failures[1..5]).await.unwrap();
    store.note(&failures[5..]).await.unwrap();
    failures.reverse();
    assert_eq!(all(&*store).await, failures);
    assert_eq!(store.failures(3).await.unwrap(), failures[..3]);
    assert_eq!(store.failures(0).await.unwrap(), []);
}

pub(super) async fn the_last_ten_thousand_failures_are_kept(place: &Place) {
    let store = place.open().await;
    let mut failures: Vec<Failure> = (0..FAILURES_KEPT + 300).map(numbered).collect();
    for some in failures.chunks(256) {
        store.note(some).await.unwrap();
    }
    failures.reverse();
    failures.truncate(FAILURES_KEPT);
    assert!(all(&*store).await == failures, "the last ones, newest first");
    // More at once than are kept at all.
    let mut failures: Vec<Failure> = (0..=FAILURES_KEPT).map(numbered).collect();
    store.note(&failures).await.unwrap();
    failures.reverse();
    failures.truncate(FAILURES_KEPT);
    assert!(all(&*store).await == failures, "the last ones, newest first");
}

pub(super) async fn failures_noted_at_once_are_all_kept_in_their_order(place: &Place) {
    let store = place.open().await;
    let tasks = (0..8).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..8 {
                store.note(&[numbered(n * 100 + number)]).await.unwrap();
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
