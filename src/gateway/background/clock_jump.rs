//! Detects that the system clock was set. If the clock is wrong for a short time, and days ahead, the gateway
//! must not purge revocations that have not really expired.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// A difference of more than this means that the clock was set. Time synchronisation corrects a clock in
/// smaller steps.
const STEP: Duration = Duration::from_secs(30);
/// How long the clock is not trusted after it was set: an operator or time synchronisation has this time to
/// correct a wrong clock.
const DISTRUST: Duration = Duration::from_mins(10);

/// Compares the system clock with the monotonic clock, which cannot be set.
#[derive(Debug)]
pub(super) struct ClockJumpDetector {
    /// The system time at the last observation; `at` is the monotonic time of the same moment.
    time: SystemTime,
    at: Instant,
    /// The monotonic time at which the clock was set last, or at which the process started with an
    /// unconfirmed clock.
    set_at: Option<Instant>,
    has_jumped: bool,
}

impl ClockJumpDetector {
    /// A detector for a clock that may be wrong at the start, because the machine may not have synchronised
    /// it yet. The clock is not trusted for the first ten minutes.
    pub(super) fn unconfirmed(time: SystemTime, at: Instant) -> Self {
        Self { time, at, set_at: Some(at), has_jumped: false }
    }

    /// A detector for a clock that is trusted from the start, because there are no stored records that a
    /// wrong clock could purge.
    pub(super) fn confirmed(time: SystemTime, at: Instant) -> Self {
        Self { time, at, set_at: None, has_jumped: false }
    }

    /// Whether the clock was set while the process ran.
    pub(super) fn has_jumped(&self) -> bool {
        self.has_jumped
    }

    /// Records an observation of both clocks, and returns whether the system clock can be trusted: whether it
    /// was not set within the last ten minutes.
    pub(super) fn observe(&mut self, time: SystemTime, at: Instant) -> bool {
        let expected = self.time + at.duration_since(self.at);
        let difference = time.duration_since(expected).unwrap_or_else(|behind| behind.duration());
        if difference > STEP {
            (self.set_at, self.has_jumped) = (Some(at), true);
        }
        (self.time, self.at) = (time, at);
        self.set_at.is_none_or(|set_at| at.duration_since(set_at) >= DISTRUST)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_clock_that_was_set_is_not_trusted_for_ten_minutes_but_drift_is_ignored() {
        const MINUTE: Duration = Duration::from_mins(1);
        let (started_at, start) = (Instant::now(), UNIX_EPOCH + Duration::from_hours(500_000));
        let days = Duration::from_hours(8 * 24);
        let mut clock = ClockJumpDetector::confirmed(start, started_at);
        let mut is_trusted = |minutes: u32, time: SystemTime| {
            let passed = MINUTE * minutes;
            clock.observe(time + passed, started_at + passed)
        };
        assert!(is_trusted(1, start) && is_trusted(2, start + Duration::from_secs(20)), "drift");
        assert!(!is_trusted(3, start + days), "days ahead");
        assert!(!is_trusted(4, start), "set back to the right time");
        assert!((5..14).all(|minute| !is_trusted(minute, start)));
        assert!(is_trusted(14, start) && is_trusted(15, start));
        assert!(!is_trusted(16, start.checked_sub(MINUTE).unwrap()), "set back");
    }

    #[test]
    fn an_unconfirmed_clock_is_not_trusted_for_ten_minutes_after_the_start() {
        let (started_at, start) = (Instant::now(), UNIX_EPOCH + Duration::from_hours(500_000));
        let mut clock = ClockJumpDetector::unconfirmed(start, started_at);
        for (minutes, trusted) in [(0, false), (5, false), (9, false), (10, true), (11, true)] {
            let passed = Duration::from_mins(minutes);
            assert_eq!(clock.observe(start + passed, started_at + passed), trusted, "{minutes}");
        }
    }
}
