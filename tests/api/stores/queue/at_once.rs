//! Several workers lease entries of one queue at the same time.

use std::{collections::HashSet, sync::Arc};

use logout_gateway::internals::queue::entry::QueueEntry;
use tokio::sync::Barrier;

use super::{super::StoreLocation, HOUR, NOW, TestQueue, ids};

pub(in crate::stores) async fn concurrent_workers_never_get_the_same_entry(
    location: &StoreLocation,
) {
    const WORKERS: usize = 8;
    let queue = Arc::new(TestQueue::open(location).await);
    let put = queue.put([NOW; 60]).await;
    let begin = Arc::new(Barrier::new(WORKERS));
    let workers = (0..WORKERS).map(|_| {
        let (queue, begin) = (queue.clone(), begin.clone());
        tokio::spawn(async move {
            begin.wait().await;
            let mut got = Vec::new();
            loop {
                let some = queue.lease(HOUR, 3).await;
                if some.is_empty() {
                    return got;
                }
                got.extend(ids(&some));
            }
        })
    });
    let mut got = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        got.extend(worker.await.unwrap());
    }
    assert_eq!(got.len(), put.len(), "each entry is leased once");
    assert_eq!(got.into_iter().collect::<HashSet<_>>(), ids(&put).into_iter().collect());
}

pub(in crate::stores) async fn only_one_of_two_workers_reschedules_the_same_lease(
    location: &StoreLocation,
) {
    let queue = Arc::new(TestQueue::open(location).await);
    for _ in 0..20 {
        let [put] = queue.put([NOW]).await;
        let leased_entry = queue.lease_one(HOUR).await;
        let begin = Arc::new(Barrier::new(2));
        let tasks = [1, 2].map(|attempts| {
            let (queue, begin) = (queue.clone(), begin.clone());
            let later = QueueEntry { attempts, ..leased_entry.clone() };
            tokio::spawn(async move {
                begin.wait().await;
                queue.reschedule(&later, HOUR / 4 * attempts, true).await.then_some(attempts)
            })
        });
        let [one, other] = tasks;
        let moved = [one.await.unwrap(), other.await.unwrap()].into_iter().flatten();
        assert_eq!(moved.collect::<Vec<_>>(), [queue.get(&put).await.attempts]);
        assert!(queue.remove(&put).await);
    }
}
