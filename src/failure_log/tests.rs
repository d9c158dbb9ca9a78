//! What becomes of failures while the store fails.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::*;
use crate::{
    session::token::Claims,
    store::{
        Queue, StoreError,
        list::{Revocation, RevocationList},
        memory::MemoryStore,
    },
};

/// Writes the failure log only while it is well.
#[derive(Debug, Default)]
struct FlakyStore {
    is_well: AtomicBool,
    kept: MemoryStore,
}

impl FlakyStore {
    async fn request_ids(&self) -> Vec<String> {
        let newest_first = self.kept.failures(usize::MAX).await.unwrap();
        newest_first.into_iter().rev().map(|failure| failure.request_id).collect()
    }
}

#[async_trait]
impl Store for FlakyStore {
    async fn append_failures(&self, failures: &[Failure]) -> Result<(), StoreError> {
        if !self.is_well.load(Ordering::Relaxed) {
            let cause = "not well".to_owned();
            return Err(StoreError { operation: "append to the failure log", cause });
        }
        self.kept.append_failures(failures).await
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<(), StoreError> {
        self.kept.revoke(revocation).await
    }

    async fn is_revoked(&self, claims: &Claims, now: Timestamp) -> Result<bool, StoreError> {
        self.kept.is_revoked(claims, now).await
    }

    fn list(&self) -> &RevocationList {
        self.kept.list()
    }

    async fn sync_list(&self, claims: &Claims) -> Result<(), StoreError> {
        self.kept.sync_list(claims).await
    }

    async fn purge_expired(&self, now: Timestamp) -> Result<(), StoreError> {
        self.kept.purge_expired(now).await
    }

    async fn failures(&self, most: usize) -> Result<Vec<Failure>, StoreError> {
        self.kept.failures(most).await
    }

    fn queue(&self) -> Option<&dyn Queue> {
        None
    }

    fn is_ready(&self) -> bool {
        true
    }

    async fn run(&self) {
        self.kept.run().await;
    }
}

fn failure(number: usize) -> Failure {
    Failure {
        time: Timestamp::UNIX_EPOCH,
        request_id: number.to_string(),
        route: "/logout".into(),
        scope: "local".into(),
        outcome: "failed".into(),
        user_id: Uuid::from_u128(number as u128),
        session_id: Uuid::from_u128(2),
        code: None,
        reason: "auth_service_error".into(),
        upstream_status: None,
    }
}

fn numbers(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn failures_that_the_store_refused_are_written_later_in_their_order() {
    let (store, (log, mut unwritten)) = (FlakyStore::default(), channel());
    (0..300).for_each(|number| log.record(failure(number)));
    let begun = Instant::now();
    let after_an_hour = async {
        sleep(Duration::from_hours(1)).await;
        (300..400).for_each(|number| log.record(failure(number)));
        store.is_well.store(true, Ordering::Relaxed);
        // Twice as long: what ends at the same time may be told in any order.
        sleep(RETRY_INTERVAL * 2).await;
        assert_eq!(store.request_ids().await, numbers(0..400));
    };
    tokio::select! {
        () = after_an_hour => {}
        () = unwritten.write_all(&store) => panic!("it ended after {:?}", begun.elapsed()),
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_write_of_failures_is_repeated_first() {
    let (store, (log, mut unwritten)) = (FlakyStore::default(), channel());
    (0..300).for_each(|number| log.record(failure(number)));
    timeout(Duration::from_secs(5), unwritten.write_all(&store)).await.unwrap_err();
    unwritten.close();
    store.is_well.store(true, Ordering::Relaxed);
    unwritten.write_all(&store).await;
    assert_eq!(store.request_ids().await, numbers(0..300));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_unwell_uses_up_no_memory() {
    let (store, (log, mut unwritten)) = (FlakyStore::default(), channel());
    let flood = async {
        for number in 0..3 * CAPACITY {
            log.record(failure(number));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = flood => {}
        () = unwritten.write_all(&store) => panic!("it ended"),
    }
    unwritten.close();
    store.is_well.store(true, Ordering::Relaxed);
    unwritten.write_all(&store).await;
    let kept = store.request_ids().await;
    assert!((CAPACITY..=CAPACITY + MAX_BATCH).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept, numbers(0..kept.len()), "the first ones: the rest was told");
}

#[tokio::test(start_paused = true)]
async fn failures_of_one_user_displace_none_of_others() {
    let (store, (log, mut unwritten)) = (FlakyStore::default(), channel());
    store.is_well.store(true, Ordering::Relaxed);
    for _ in 0..2 * CAPACITY {
        log.record(Failure { user_id: Uuid::nil(), ..failure(0) });
    }
    (1..=1000).for_each(|number| log.record(failure(number)));
    assert_eq!(log.counts.lock().unwrap().lost, 2 * 4096 - 100);
    unwritten.close();
    unwritten.write_all(&store).await;
    assert_eq!(store.request_ids().await, [vec!["0".to_owned(); 100], numbers(1..1001)].concat());
    assert!(log.counts.lock().unwrap().waiting.is_empty(), "and uses up no memory");
}

#[tokio::test(start_paused = true)]
async fn a_user_whose_failures_were_written_may_fail_again() {
    let (store, (log, mut unwritten)) = (FlakyStore::default(), channel());
    store.is_well.store(true, Ordering::Relaxed);
    for round in 0..3 {
        for number in 0..200 {
            log.record(Failure { user_id: Uuid::nil(), ..failure(200 * round + number) });
        }
        let written = async {
            while !log.counts.lock().unwrap().waiting.is_empty() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            written = timeout(Duration::from_mins(1), written) => written.expect("none waits"),
            () = unwritten.write_all(&store) => panic!("it ended"),
        }
    }
    unwritten.close();
    unwritten.write_all(&store).await;
    assert_eq!(store.request_ids().await, numbers(400..500), "the last hundred of them");
}
