//! A clock that stands still until a test moves it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use logout_gateway::Clock;

/// The clock of gateway and mock, in seconds since the Unix epoch. A clone is the same clock, not a copy.
#[derive(Clone, Debug)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub fn starting_at(seconds: i64) -> Self {
        Self(Arc::new(AtomicI64::new(seconds)))
    }

    pub fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub fn to_clock(&self) -> Clock {
        let time = self.clone();
        Clock::from_fn(move || UNIX_EPOCH + Duration::from_secs(u64::try_from(time.now()).unwrap()))
    }

    /// Returns whether `self` and `other` are clones of one clock, so that moving one also moves the other.
    pub fn is_same_clock(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
