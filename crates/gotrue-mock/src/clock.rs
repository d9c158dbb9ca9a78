//! The mock's clock: it shows the time that the caller supplies plus the time that a test has
//! added.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;

use crate::lock::lock;

/// The most that a clock may be advanced in total: a thousand years, because the year of an HTTP
/// date has four digits (RFC 9110, section 5.6.7).
const LIMIT: Duration = Duration::from_hours(1000 * 365 * 24);

/// A clock that a test can advance.
pub(crate) struct MockClock {
    base: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    advanced: Mutex<Duration>,
}

impl MockClock {
    /// A clock that shows the time of `base` until a test advances it.
    pub(crate) fn new(base: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { base: Arc::new(base), advanced: Mutex::default() }
    }

    /// A clock that shows the time of the same base, without what a test has added.
    pub(crate) fn new_with_same_base(&self) -> Self {
        Self { base: Arc::clone(&self.base), advanced: Mutex::default() }
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.base)() + *lock(&self.advanced)
    }

    pub(crate) fn advance(&self, by: Duration) -> Result<(), ClockLimitError> {
        let mut advanced = lock(&self.advanced);
        let total = advanced.checked_add(by).filter(|total| *total <= LIMIT);
        *advanced = total.ok_or(ClockLimitError)?;
        Ok(())
    }

    /// Returns to the time of `base`.
    pub(crate) fn reset(&self) {
        *lock(&self.advanced) = Duration::ZERO;
    }
}

/// Formats a time as RFC 3339 with microseconds, the precision of PostgreSQL. A time outside of the years that RFC 3339
/// can write becomes the nearest that it can.
pub(crate) fn timestamp(time: SystemTime) -> String {
    let nearest = if time < SystemTime::UNIX_EPOCH { FIRST_YEAR } else { Timestamp::MAX };
    let time = Timestamp::try_from(time).unwrap_or(nearest).max(FIRST_YEAR);
    format!("{time:.6}")
}

/// The beginning of the year 0.
const FIRST_YEAR: Timestamp = Timestamp::constant(-62_167_219_200, 0);

/// The clock would be more than a thousand years ahead.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the clock would be more than 1000 years ahead")]
pub struct ClockLimitError;

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn every_time_has_a_timestamp() {
        let seconds = Duration::from_secs;
        assert_eq!(timestamp(UNIX_EPOCH + seconds(1)), "1970-01-01T00:00:01.000000Z");
        assert_eq!(timestamp(UNIX_EPOCH - seconds(1)), "1969-12-31T23:59:59.000000Z");
        let last = UNIX_EPOCH + Duration::from_nanos(1_999_999_999);
        assert_eq!(timestamp(last), "1970-01-01T00:00:01.999999Z");
        assert!(timestamp(UNIX_EPOCH + seconds(1 << 40)).starts_with("9999-12-30T"));
        assert_eq!(timestamp(UNIX_EPOCH - seconds(1 << 40)), "0000-01-01T00:00:00.000000Z");
    }
}
