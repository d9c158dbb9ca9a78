//! The gateway's clock. Code that compares times takes a [`Clock`] as a parameter, so that a test can set the
//! time.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;

/// Returns the wall-clock time. Clones are cheap and read the same clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// The operating system's clock.
    #[must_use]
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the only call of the system's clock")]
        Self(Arc::new(SystemTime::now))
    }

    /// A clock that returns what `now` returns.
    pub fn from_fn(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The current time in whole milliseconds, the precision of the queue's records. If the clock is before
    /// 1970, the result is the start of 1970.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let since_epoch = (self.0)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        after(Timestamp::UNIX_EPOCH, since_epoch)
    }

    /// The current time in whole seconds since the Unix epoch, the `NumericDate` of RFC 7519, section 2.
    #[must_use]
    pub fn unix_seconds(&self) -> i64 {
        self.now().as_second()
    }

    /// The current time in whole seconds, the precision of the revocation list and of times in responses.
    pub(crate) fn now_in_seconds(&self) -> Timestamp {
        from_unix_seconds(self.unix_seconds())
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// Converts a `NumericDate` (RFC 7519, section 2) to a [`Timestamp`]. A number that is too large or too small
/// for a [`Timestamp`], such as an `exp` after the year 9999, becomes the nearest [`Timestamp`].
#[must_use]
pub fn from_unix_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or_else(|_| nearest_limit(seconds))
}

/// Converts milliseconds since the Unix epoch to a [`Timestamp`]. A number that is too large or too small for
/// a [`Timestamp`] becomes the nearest one.
pub(crate) fn from_unix_milliseconds(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_else(|_| nearest_limit(milliseconds))
}

fn nearest_limit(number: i64) -> Timestamp {
    if number < 0 { Timestamp::MIN } else { Timestamp::MAX }
}

/// The time `duration` after `time`, in whole milliseconds, at most [`Timestamp::MAX`] (the year 9999).
pub(crate) fn after(time: Timestamp, duration: Duration) -> Timestamp {
    let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    from_unix_milliseconds(time.as_millisecond().saturating_add(milliseconds))
}

/// The time that passed from `earlier` to `now`; zero if the clock was set back, so that `now` is before
/// `earlier`.
pub(crate) fn elapsed(earlier: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(earlier)).unwrap_or_default()
}
