//! The time, as a parameter: code that compares times takes a [`Clock`], so a test can set it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;

/// Tells the wall-clock time; cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// The system's own clock.
    #[must_use]
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
        Self(Arc::new(SystemTime::now))
    }

    /// A clock that returns what `now` returns.
    pub fn from_fn(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now in whole milliseconds, the precision that the queue's records keep. A clock that is
    /// before 1970 stands at 1970.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let since_epoch = (self.0)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        after(Timestamp::UNIX_EPOCH, since_epoch)
    }

    /// Whole seconds since the Unix epoch, the `NumericDate` of RFC 7519.
    #[must_use]
    pub fn unix_seconds(&self) -> i64 {
        self.now().as_second()
    }

    /// The time now in whole seconds, the precision of the revocation list and of times in replies.
    pub(crate) fn now_in_seconds(&self) -> Timestamp {
        from_unix_seconds(self.unix_seconds())
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// The time of a `NumericDate`. One that a [`Timestamp`] cannot express, such as an `exp` after the year
/// 9999, becomes the nearest that it can.
#[must_use]
pub fn from_unix_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or_else(|_| nearest_limit(seconds))
}

/// The same for milliseconds since the Unix epoch.
pub(crate) fn from_unix_milliseconds(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_else(|_| nearest_limit(milliseconds))
}

fn nearest_limit(number: i64) -> Timestamp {
    if number < 0 { Timestamp::MIN } else { Timestamp::MAX }
}

/// The time `duration` after `time`, in whole milliseconds; the year 9999 is the last.
pub(crate) fn after(time: Timestamp, duration: Duration) -> Timestamp {
    let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    from_unix_milliseconds(time.as_millisecond().saturating_add(milliseconds))
}

/// The time from `earlier` to `now`; zero if a clock was set back between them.
pub(crate) fn elapsed(earlier: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(earlier)).unwrap_or_default()
}
