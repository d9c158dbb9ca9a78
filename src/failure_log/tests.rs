//! Tests of failures that are recorded while the store fails.

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

/// A store whose `append_failures` fails unless `works` is set.
#[derive(Debug, Default)]
struct FlakyStore {
    works: AtomicBool,
    inner: MemoryStore,
}

impl FlakyStore {
    async fn request_ids(&self) -> Vec<String> {
        let newest_first = self.inner.failures(usize::MAX).await.unwrap();
        newest_first.into_iter().rev().map(|failure| failure.request_id).collect()
    }
}

#[async_trait]
impl Store for FlakyStore {
    async fn append_failures(&self, failures: &[Failure]) -> Result<(), StoreError> {
        if !self.works.load(Ordering::Relaxed) {
            let cause = "the store is down".to_owned();
            return Err(StoreError { operation: "append to the failure log", cause });
        }
        self.inner.append_failures(failures).await
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<(), StoreError> {
        self.inner.revoke(revocation).await
    }

    async fn is_revoked(&self, claims: &Claims, now: Timestamp) -> Result<bool, StoreError> {
        self.inner.is_revoked(claims, now).await
    }

    fn list(&self) -> &RevocationList {
        self.inner.list()
    }

    async fn sync_list(&self, claims: &Claims) -> Result<(), StoreError> {
        self.inner.sync_list(claims).await
    }

    async fn purge_expired(&self, now: Timestamp) -> Result<(), StoreError> {
        self.inner.purge_expired(now).await
    }

    async fn failures(&self, most: usize) -> Result<Vec<Failure>, StoreError> {
        self.inner.failures(most).await
    }

    fn queue(&self) -> Option<&dyn Queue> {
        None
    }

    fn is_ready(&self) -> bool {
        true
    }

    async fn run(&self) {
        self.inner.run().await;
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
    let (store, (log, mut writer)) = (FlakyStore::default(), channel());
    (0..300).for_each(|number| log.record(failure(number)));
    let start = Instant::now();
    let after_an_hour = async {
        sleep(Duration::from_hours(1)).await;
        (300..400).for_each(|number| log.record(failure(number)));
        store.works.store(true, Ordering::Relaxed);
        // Wait longer than one pause: timers that expire at the same time may fire in any order.
        sleep(RETRY_INTERVAL * 2).await;
        assert_eq!(store.request_ids().await, numbers(0..400));
    };
    tokio::select! {
        () = after_an_hour => {}
        () = writer.write_all(&store) => panic!("`write_all` returned after {:?}", start.elapsed()),
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_write_of_failures_is_repeated_first() {
    let (store, (log, mut writer)) = (FlakyStore::default(), channel());
    (0..300).for_each(|number| log.record(failure(number)));
    timeout(Duration::from_secs(5), writer.write_all(&store)).await.unwrap_err();
    writer.close();
    store.works.store(true, Ordering::Relaxed);
    writer.write_all(&store).await;
    assert_eq!(store.request_ids().await, numbers(0..300));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_down_does_not_use_up_the_memory() {
    let (store, (log, mut writer)) = (FlakyStore::default(), channel());
    let flood = async {
        for number in 0..3 * CAPACITY {
            log.record(failure(number));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = flood => {}
        () = writer.write_all(&store) => panic!("`write_all` returned"),
    }
    writer.close();
    store.works.store(true, Ordering::Relaxed);
    writer.write_all(&store).await;
    let written = store.request_ids().await;
    assert!((CAPACITY..=CAPACITY + MAX_BATCH).contains(&written.len()), "{}", written.len());
    assert_eq!(
        written,
        numbers(0..written.len()),
        "the first failures are written, and the rest was dropped"
    );
}

#[tokio::test(start_paused = true)]
async fn failures_of_one_user_do_not_displace_those_of_others() {
    let (store, (log, mut writer)) = (FlakyStore::default(), channel());
    store.works.store(true, Ordering::Relaxed);
    for _ in 0..2 * CAPACITY {
        log.record(Failure { user_id: Uuid::nil(), ..failure(0) });
    }
    (1..=1000).for_each(|number| log.record(failure(number)));
    assert_eq!(log.counts.lock().unwrap().lost, 2 * 4096 - 100);
    writer.close();
    writer.write_all(&store).await;
    assert_eq!(store.request_ids().await, [vec!["0".to_owned(); 100], numbers(1..1001)].concat());
    assert!(
        log.counts.lock().unwrap().unwritten.is_empty(),
        "no count remains of users whose failures are written"
    );
}

#[tokio::test(start_paused = true)]
async fn failures_of_a_user_are_recorded_again_once_earlier_ones_are_written() {
    let (store, (log, mut writer)) = (FlakyStore::default(), channel());
    store.works.store(true, Ordering::Relaxed);
    for round in 0..3 {
        for number in 0..200 {
            log.record(Failure { user_id: Uuid::nil(), ..failure(200 * round + number) });
        }
        let written = async {
            while !log.counts.lock().unwrap().unwritten.is_empty() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            written = timeout(Duration::from_mins(1), written) => written.expect("all failures are written within a minute"),
            () = writer.write_all(&store) => panic!("`write_all` returned"),
        }
    }
    writer.close();
    writer.write_all(&store).await;
    assert_eq!(
        store.request_ids().await,
        numbers(400..500),
        "the store keeps the last hundred of one user"
    );
}
