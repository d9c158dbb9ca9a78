//! The times of the queue must follow the clock of Redis, whatever time the clocks of the gateways show.

use jiff::Timestamp;
use logout_gateway::internals::store;

use super::{
    super::queue::{BOUNDS, HOUR, MOMENT, NOW, assert_after, entry, ids, now},
    address,
};
use crate::harness::{RedisServer, eventually};

const FAR_AHEAD: Timestamp = Timestamp::constant(4_000_000_000, 0);
/// Wrong clocks of gateways: in the past, far in the future, and at the limits of a timestamp.
const CLOCKS: [Timestamp; 5] =
    [Timestamp::UNIX_EPOCH, FAR_AHEAD, Timestamp::MIN, Timestamp::MAX, Timestamp::constant(-1, 0)];

#[tokio::test]
async fn leases_and_due_times_follow_the_clock_of_redis() {
    let server = RedisServer::start().await;
    let store = store::open(&address(&server)).await.unwrap();
    let queue = store.queue().unwrap();
    for clock in CLOCKS {
        let (then, entry) = (now(), entry());
        queue.enqueue(&entry, HOUR / 2, &BOUNDS, clock).await.unwrap().unwrap();
        let queued = queue.get(entry.id).await.unwrap().unwrap();
        assert_after(queued.queued_at, NOW, then);
        assert_after(queued.due, HOUR / 2, then);
        for other in CLOCKS {
            assert_eq!(queue.lease(HOUR, 9, other).await.unwrap(), [], "{clock} {other}");
        }
        let then = now();
        assert!(queue.reschedule(&queued, NOW, true, clock).await.unwrap());
        let failed = queue.get(entry.id).await.unwrap().unwrap();
        assert_after(failed.failed_at, NOW, then);
        assert_after(failed.due, NOW, then);
        let leased = queue.lease(HOUR, 9, clock).await.unwrap();
        assert_eq!(ids(&leased), [entry.id]);
        assert_after(leased[0].due, HOUR, then);
        assert!(queue.remove(entry.id).await.unwrap());
    }
}

#[tokio::test]
async fn two_instances_whose_clocks_differ_never_hold_the_same_lease() {
    let server = RedisServer::start().await;
    let mut stores = Vec::new();
    for clock in [Timestamp::UNIX_EPOCH, FAR_AHEAD] {
        stores.push((store::open(&address(&server)).await.unwrap(), clock));
    }
    for _ in 0..200 {
        let queue = stores[0].0.queue().unwrap();
        queue.enqueue(&entry(), NOW, &BOUNDS, Timestamp::UNIX_EPOCH).await.unwrap().unwrap();
    }
    let tasks = stores.into_iter().map(|(store, clock)| {
        tokio::spawn(async move {
            let mut got = Vec::new();
            loop {
                let some = store.queue().unwrap().lease(HOUR, 3, clock).await.unwrap();
                if some.is_empty() {
                    return got;
                }
                got.extend(ids(&some));
            }
        })
    });
    let mut got = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        let own = task.await.unwrap();
        assert!(!own.is_empty(), "an instance leased no entry");
        got.extend(own);
    }
    got.sort_unstable();
    got.dedup();
    assert_eq!(got.len(), 200);
}

#[tokio::test]
async fn a_lease_ends_by_the_clock_of_redis() {
    let server = RedisServer::start().await;
    let store = store::open(&address(&server)).await.unwrap();
    let queue = store.queue().unwrap();
    queue.enqueue(&entry(), NOW, &BOUNDS, Timestamp::UNIX_EPOCH).await.unwrap().unwrap();
    let first = queue.lease(MOMENT, 9, Timestamp::MAX).await.unwrap();
    let again = async || ids(&queue.lease(HOUR, 9, Timestamp::MIN).await.unwrap()) == ids(&first);
    eventually("the lease has ended", again).await;
}
