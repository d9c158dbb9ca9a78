//! The queue must have one entry for each session and scope, however often a logout is requested.

use std::{collections::HashSet, sync::Arc};

use logout_gateway::internals::{
    outcome::Scope,
    queue::entry::{NEVER, QueueEntry},
};
use uuid::Uuid;

use super::{
    super::StoreLocation, HOUR, MOMENT, NOW, TestQueue, assert_after, ids, names, now, queue_entry,
};

/// A session, as the ids of user and session, that queues logouts with credentials of given names.
struct Session(Uuid, Uuid);

impl Session {
    fn new() -> Self {
        Self(Uuid::new_v4(), Uuid::new_v4())
    }

    fn request(&self, name: &str, proven: bool) -> QueueEntry {
        queue_entry(self.0, self.1, Scope::Local, name, proven)
    }

    /// A proven logout request whose access token expires at `exp`, in seconds since the Unix epoch.
    fn request_until(&self, exp: i64, name: &str) -> QueueEntry {
        let mut entry = self.request(name, true);
        entry.credentials[0].exp = exp;
        entry
    }
}

pub(in crate::stores) async fn there_is_one_entry_for_each_session_and_scope(
    location: &StoreLocation,
) {
    let queue = TestQueue::open(location).await;
    let (user, sessions) = (Uuid::new_v4(), [Uuid::new_v4(), Uuid::new_v4()]);
    for name in ["a", "b"] {
        for session in sessions {
            for scope in [Scope::Local, Scope::Others, Scope::Global] {
                queue.enqueue(&queue_entry(user, session, scope, name, true), NOW).await;
            }
        }
    }
    let all = queue.all().await;
    assert_eq!((all.len(), queue.len().await), (6, 6));
    let kinds: HashSet<_> = all.iter().map(|e| (e.session_id, e.scope.to_string())).collect();
    assert_eq!(kinds.len(), 6);
    assert!(all.iter().all(|entry| names(entry) == ["b", "a"]));
}

pub(in crate::stores) async fn the_newest_three_credentials_are_kept(location: &StoreLocation) {
    let (queue, session) = (TestQueue::open(location).await, Session::new());
    for (exp, name) in [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (4, "d")] {
        queue.enqueue(&session.request_until(exp, name), NOW).await;
    }
    let entry = queue.get(&session.request("a", true)).await;
    assert_eq!((names(&entry), entry.revision), (vec!["d", "c", "b"], 4));
    drop(queue);
    let queue = TestQueue::open(location).await;
    assert_eq!(queue.all().await, [entry]);
}

pub(in crate::stores) async fn the_proven_token_that_expires_last_is_kept(
    location: &StoreLocation,
) {
    let (queue, session) = (TestQueue::open(location).await, Session::new());
    queue.enqueue(&session.request_until(3600, "the owner's"), NOW).await;
    // An attacker queues logouts with a stolen token, each with another made-up refresh token.
    for name in ["a", "b", "c", "d"] {
        queue.enqueue(&session.request_until(10, name), NOW).await;
    }
    queue.enqueue(&session.request("stale", false), NOW).await;
    let kept = queue.get(&session.request("", true)).await;
    assert_eq!(names(&kept), ["d", "c", "the owner's"]);
}

pub(in crate::stores) async fn stale_credentials_replace_no_proven_ones(location: &StoreLocation) {
    let (queue, session) = (TestQueue::open(location).await, Session::new());
    for (name, proven) in [("a", true), ("b", false), ("c", true), ("d", false), ("e", true)] {
        queue.enqueue(&session.request(name, proven), NOW).await;
    }
    queue.enqueue(&session.request("f", false), NOW).await;
    assert_eq!(names(&queue.all().await[0]), ["e", "c", "a"]);
}

pub(in crate::stores) async fn another_request_keeps_due_time_attempts_and_age(
    location: &StoreLocation,
) {
    let (queue, session) = (TestQueue::open(location).await, Session::new());
    queue.enqueue(&session.request("a", true), NOW).await;
    let leased_entry = queue.lease_one(HOUR).await;
    let reason =
        "auth_service_timeout, at great length: it did not answer".repeat(9).as_str().into();
    let tried = QueueEntry { attempts: 12_345, reason, ..leased_entry };
    assert!(queue.reschedule(&tried, HOUR, true).await);
    let before = queue.get(&tried).await;
    let again =
        QueueEntry { request_id: "another request".to_owned(), ..session.request("b", true) };
    let then = now();
    queue.enqueue(&again, NOW).await;
    let after = queue.get(&tried).await;
    assert_eq!(names(&after), ["b", "a"]);
    assert_after(after.renewed_at, NOW, then);
    let QueueEntry { credentials, revision, renewed_at, .. } = after.clone();
    assert_eq!(after, QueueEntry { credentials, revision, renewed_at, ..before });
}

pub(in crate::stores) async fn stale_credentials_do_not_renew_an_entry(location: &StoreLocation) {
    let (queue, session) = (TestQueue::open(location).await, Session::new());
    queue.enqueue(&session.request("a", false), NOW).await;
    assert_eq!(queue.get(&session.request("", true)).await.renewed_at, NEVER);
    queue.enqueue(&session.request("b", true), NOW).await;
    let proven = queue.get(&session.request("", true)).await;
    assert_ne!(proven.renewed_at, NEVER);
    crate::harness::eventually("the clock moves", async || now() > proven.renewed_at).await;
    queue.enqueue(&session.request("c", false), NOW).await;
    let after = queue.get(&session.request("", true)).await;
    assert_eq!((names(&after).len(), after.renewed_at), (3, proven.renewed_at));
}

pub(in crate::stores) async fn an_entry_with_new_credentials_since_its_lease_is_due_at_once(
    location: &StoreLocation,
) {
    let (queue, session) = (TestQueue::open(location).await, Session::new());
    queue.enqueue(&session.request("a", true), NOW).await;
    let leased_entry = queue.lease_one(HOUR).await;
    queue.enqueue(&session.request("b", true), NOW).await;
    assert!(queue.reschedule(&leased_entry, HOUR / 2, true).await);
    let again = queue.lease_one(HOUR).await;
    assert_eq!(names(&again), ["b", "a"]);
    assert!(queue.reschedule(&again, HOUR / 2, true).await);
    assert_eq!(queue.lease(HOUR, 9).await, [], "there are no new credentials to try");
}

pub(in crate::stores) async fn merging_keeps_the_lease_and_all_credentials(
    location: &StoreLocation,
) {
    let (queue, session) = (TestQueue::open(location).await, Session::new());
    queue.enqueue(&session.request("a", true), NOW).await;
    let leased_entry = queue.lease_one(HOUR).await;
    queue.enqueue(&QueueEntry { tried: true, ..session.request("b", true) }, NOW).await;
    assert_eq!(queue.lease(HOUR, 9).await, [], "the lease is kept");
    // The worker does not know of the second request, and reschedules the entry as it was before that
    // request.
    let tried = QueueEntry { attempts: 1, reason: "other".into(), ..leased_entry.clone() };
    assert!(queue.reschedule(&tried, NOW, true).await);
    let leased = queue.lease_one(HOUR).await;
    assert_eq!(names(&leased), ["b", "a"]);
    assert_eq!((leased.attempts, leased.reason.as_str(), leased.tried), (1, "other", true));
}

pub(in crate::stores) async fn an_entry_with_new_credentials_is_not_removed(
    location: &StoreLocation,
) {
    let (queue, session) = (TestQueue::open(location).await, Session::new());
    queue.enqueue(&session.request("a", true), NOW).await;
    let leased_entry = queue.lease_one(HOUR).await;
    queue.enqueue(&session.request("b", true), NOW).await;
    assert!(!queue.remove_unchanged(&leased_entry).await);
    assert_eq!(names(&queue.get(&leased_entry).await), ["b", "a"]);
    // A second request of a proven session must count as new, because its logout may include sessions that
    // began since.
    let leased_entry = queue.get(&leased_entry).await;
    queue.enqueue(&session.request("b", true), NOW).await;
    assert!(!queue.remove_unchanged(&leased_entry).await);
    // A repeated request of a stale session must not count as new.
    let leased_entry = queue.get(&leased_entry).await;
    queue.enqueue(&session.request("b", false), NOW).await;
    assert!(queue.remove_unchanged(&leased_entry).await);
    assert_eq!(queue.len().await, 0);
}

pub(in crate::stores) async fn an_entry_that_was_queued_again_is_not_removed_by_the_earlier_worker(
    location: &StoreLocation,
) {
    let (queue, session) = (TestQueue::open(location).await, Session::new());
    queue.enqueue(&session.request("a", true), NOW).await;
    let slow = queue.lease_one(MOMENT).await;
    let quick = queue.lease_one(HOUR).await;
    assert!(queue.remove_unchanged(&quick).await);
    crate::harness::eventually("the clock moves", async || now() > slow.due).await;
    queue.enqueue(&session.request("b", true), NOW).await;
    assert!(!queue.remove_unchanged(&slow).await);
    assert_eq!(names(&queue.get(&slow).await), ["b"]);
}

pub(in crate::stores) async fn concurrent_requests_and_workers_lose_nothing(
    location: &StoreLocation,
) {
    const EACH: u32 = 30;
    let queue = Arc::new(TestQueue::open(location).await);
    let session = Arc::new(Session::new());
    queue.enqueue(&session.request("first", true), NOW).await;
    let requests = ["a", "b", "c"].map(|name| {
        let (queue, session) = (queue.clone(), session.clone());
        tokio::spawn(async move {
            for n in 0..EACH {
                queue.enqueue(&session.request(&format!("{name}{n}"), true), NOW).await;
            }
        })
    });
    let worker = {
        let queue = queue.clone();
        tokio::spawn(async move {
            for attempts in 1..=EACH {
                let leased_entry = queue.lease_one(HOUR).await;
                assert_eq!(leased_entry.attempts, attempts - 1, "every attempt is counted");
                assert!(
                    queue.reschedule(&QueueEntry { attempts, ..leased_entry }, NOW, true).await
                );
            }
        })
    };
    for request in requests {
        request.await.unwrap();
    }
    worker.await.unwrap();
    let all = queue.all().await;
    assert_eq!(ids(&all), [session.request("", true).id]);
    assert_eq!((all[0].attempts, all[0].revision, all[0].credentials.len()), (EACH, 3 * EACH, 3));
}
