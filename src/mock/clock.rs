//! The mock's time: the clock that it was given, plus the time that a test has let pass.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::{Deserialize, Deserializer, de::Error};

use super::lock;
use crate::clock::Clock;

/// The most that a clock may be advanced in all, a thousand years: beyond the year 9999 there is no
/// HTTP date.
const LIMIT: Duration = Duration::from_hours(1000 * 365 * 24);

/// A clock that a test can advance.
pub(super) struct MockClock {
    clock: Clock,
    advanced: Arc<Mutex<Duration>>,
}

impl MockClock {
    /// Starts at the time of `base` and runs as fast as it does.
    pub(super) fn new(base: Clock) -> Self {
        let advanced = Arc::<Mutex<Duration>>::default();
        let clock = Clock::from_fn({
            let advanced = Arc::clone(&advanced);
            move || base.now() + *lock(&advanced)
        });
        Self { clock, advanced }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn advance(&self, by: Duration) -> Result<(), ClockLimitError> {
        let mut advanced = lock(&self.advanced);
        let total = advanced.checked_add(by).filter(|total| *total <= LIMIT);
        *advanced = total.ok_or(ClockLimitError)?;
        Ok(())
    }

    /// Returns to the time of the clock that the mock was given.
    pub(super) fn reset(&self) {
        *lock(&self.advanced) = Duration::ZERO;
    }
}

/// The clock would be more than a thousand years ahead.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the clock would be more than 1000 years ahead")]
pub struct ClockLimitError;

/// The body of `POST /mock/clock`.
#[derive(Deserialize)]
pub(super) struct Advance {
    /// A span as `2h`, `90s` or `1day 6h`.
    #[serde(deserialize_with = "duration", rename = "advance")]
    pub(super) by: Duration,
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    humantime::parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}
