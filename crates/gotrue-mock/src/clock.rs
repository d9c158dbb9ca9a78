//! The mock's clock: it shows the time that the caller supplies plus the time that a test has
//! added.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

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

    /// A clock that shows the time of the same base.
    pub(crate) fn begin_again(&self) -> Self {
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

/// The clock would be more than a thousand years ahead.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the clock would be more than 1000 years ahead")]
pub struct ClockLimitError;
