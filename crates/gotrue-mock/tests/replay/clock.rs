//! The time of a replay.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// 2026-11-28T01:54:55Z: the `recorded_at` of the recordings.
const RECORDED_AT: Duration = Duration::from_secs(1_795_830_895);

/// A clock that begins when the recordings were made. It moves on by a microsecond with each reading, so that no two rows
/// are of the same time: lists are sorted by it.
pub(crate) fn clock() -> impl Fn() -> SystemTime + Send + Sync {
    let readings = AtomicU64::new(0);
    move || {
        let elapsed = Duration::from_micros(readings.fetch_add(1, Ordering::Relaxed));
        UNIX_EPOCH + RECORDED_AT + elapsed
    }
}
