use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, UNIX_EPOCH},
};

use tokio::time::Instant;
use uuid::Uuid;

use super::{Steadiness, forget};
use crate::{
    clock::Clock,
    config::{Scope, tests::parse},
    failures,
    gateway::first_app,
    store::{Store, list::Revocation, memory::MemoryStore},
};

const START: u64 = 1_800_000_000;
const HOUR: u64 = 3600;

#[tokio::test(start_paused = true)]
async fn a_list_that_was_read_by_a_clock_set_wrong_for_a_minute_forgets_nobody() {
    let seconds = Arc::new(AtomicU64::new(START));
    let clock = {
        let seconds = seconds.clone();
        Clock::from_fn(move || UNIX_EPOCH + Duration::from_secs(seconds.load(Relaxed)))
    };
    let store: Arc<MemoryStore> = Arc::default();
    let shared = store.clone();
    let app = first_app(parse(&[]), clock, shared, failures::channel().0).unwrap();
    let until = i64::try_from(START + HOUR).unwrap();
    let (user, session) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let revocation = Revocation { user, session, scope: Scope::Local, cut_off: 0, until };
    store.revoke(&revocation).await.unwrap();

    let mut steadiness = Steadiness::new(app.logout.clock.now(), Instant::now());
    let mut at = async |minutes: u64, told: u64| {
        tokio::time::advance(Duration::from_mins(minutes)).await;
        seconds.store(told, Relaxed);
        forget(&app.logout, &mut steadiness).await;
        store.revocations()
    };
    assert_eq!(at(1, START + 60).await, 1);
    assert_eq!(at(1, START + 8 * 24 * HOUR).await, 1, "a clock that is days ahead");
    assert_eq!(at(1, START + 180).await, 1, "and right again");
    assert_eq!(at(60, START + 180 + HOUR).await, 0, "its time is over");
}
