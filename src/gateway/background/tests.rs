use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, UNIX_EPOCH},
};

use jiff::Timestamp;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{ClockJumpDetector, purge, run};
use crate::{
    clock::{Clock, from_unix_seconds},
    config::tests::parse,
    failure_log,
    gateway::state,
    outcome::Scope,
    readiness::{Missing, Part},
    store::{Store, list::Revocation, memory::MemoryStore},
};

const START: u64 = 1_800_000_000;
const HOUR: u64 = 3600;

fn at_second(second: u64) -> Timestamp {
    from_unix_seconds(second.try_into().unwrap())
}

fn settable_clock() -> (Clock, Arc<AtomicU64>) {
    let seconds = Arc::new(AtomicU64::new(START));
    let read = seconds.clone();
    (Clock::from_fn(move || UNIX_EPOCH + Duration::from_secs(read.load(Relaxed))), seconds)
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_for_a_minute_purges_no_valid_revocation() {
    let (clock, seconds) = settable_clock();
    let store: Arc<MemoryStore> = Arc::default();
    let shared = store.clone();
    let app = state::first(parse(&[]), clock, shared, failure_log::channel().0).unwrap();
    let [cut_off, until] = [0, START + HOUR].map(at_second);
    let (user, session) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let revocation =
        Revocation { user, session, scope: Scope::Local, cut_off, until, is_confirmed: true };
    store.revoke(&revocation).await.unwrap();

    let mut clock_jump =
        ClockJumpDetector::confirmed(app.logout.clock.now().into(), Instant::now());
    let mut at = async |minutes: u64, now: u64| {
        tokio::time::advance(Duration::from_mins(minutes)).await;
        seconds.store(now, Relaxed);
        purge(&app.logout, &mut clock_jump).await;
        store.list().count()
    };
    assert_eq!(at(1, START + 60).await, 1);
    assert_eq!(at(1, START + 8 * 24 * HOUR).await, 1, "a clock that is days ahead");
    assert_eq!(at(1, START + 180).await, 1, "the clock is right again");
    assert_eq!(at(60, START + 180 + HOUR).await, 0, "the revocation has expired");
}

#[tokio::test(start_paused = true)]
async fn readiness_is_checked_and_minutes_begin_without_a_request() {
    let (clock, seconds) = settable_clock();
    let (failures, unwritten) = failure_log::channel();
    let config = parse(&[("SUPABASE_URL", "http://127.0.0.1:1")]);
    let app =
        Arc::new(state::first(config, clock, Arc::<MemoryStore>::default(), failures).unwrap());
    let stop = CancellationToken::new();
    seconds.store(START + 10, Relaxed);
    let observed = async {
        sleep(Duration::from_millis(1500)).await;
        app.stopping.cancel();
        seconds.store(START + 100, Relaxed);
        sleep(Duration::from_secs(1)).await;
        seconds.store(START + 200, Relaxed);
        let missing = app.readiness.check();
        sleep(Duration::from_mins(3)).await;
        stop.cancel();
        (missing, app.metrics.last_hour.minutes().len())
    };
    let ((missing, minutes), ()) =
        tokio::join!(observed, run(None, app.clone(), unwritten, stop.clone()));
    let [stopped, started] = [START + 100, START].map(at_second);
    let expected = [(Part::ShuttingDown, stopped), (Part::KeySet, started)];
    assert_eq!(missing, expected.map(|(part, since)| Missing { part, since }));
    assert_eq!(minutes, 4, "three full minutes and the current one");
}
