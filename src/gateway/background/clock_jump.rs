//! Detects that the system clock was set. A clock that is days ahead for a minute must not purge revocations that
//! have not expired.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Time synchronisation corrects a clock by less than this.
const STEP: Duration = Duration::from_secs(30);
/// The time in which an operator notices a wrong clock and corrects it.
const DISTRUST: Duration = Duration::from_mins(10);

/// Compares the system clock with the monotonic clock.
#[derive(Debug)]
pub(super) struct ClockJumpDetector {
    /// The last observation of both clocks.
    time: SystemTime,
    at: Instant,
    /// When the clock was set last, or when the process started with an unconfirmed clock.
    set_at: Option<Instant>,
    has_jumped: bool,
}

impl ClockJumpDetector {
    /// A clock that may be wrong at the start, because the machine may not have asked a time server yet. It is
    /// distrusted like a clock that was just set.
    pub(super) fn unconfirmed(time: SystemTime, at: Instant) -> Self {
        Self { time, at, set_at: Some(at), has_jumped: false }
    }

    /// A clock that is trusted from the start, because no stored record depends on it.
    pub(super) fn confirmed(time: SystemTime, at: Instant) -> Self {
        Self { time, at, set_at: None, has_jumped: false }
    }

    /// Whether the clock was set while the process ran.
    pub(super) fn has_jumped(&self) -> bool {
        self.has_jumped
    }

    /// Takes an observation of both clocks, and returns whether the clock can be trusted: it was not set within the
    /// last ten minutes.
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
    fn a_clock_that_was_set_is_doubted_for_ten_minutes_and_no_drift_is() {
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
        assert!(!is_trusted(4, start), "and back");
        assert!((5..14).all(|minute| !is_trusted(minute, start)));
        assert!(is_trusted(14, start) && is_trusted(15, start));
        assert!(!is_trusted(16, start.checked_sub(MINUTE).unwrap()), "set back");
    }

    #[test]
    fn a_clock_is_doubted_for_ten_minutes_after_the_start() {
        let (started_at, start) = (Instant::now(), UNIX_EPOCH + Duration::from_hours(500_000));
        let mut clock = ClockJumpDetector::unconfirmed(start, started_at);
        for (minutes, trusted) in [(0, false), (5, false), (9, false), (10, true), (11, true)] {
            let passed = Duration::from_mins(minutes);
            assert_eq!(clock.observe(start + passed, started_at + passed), trusted, "{minutes}");
        }
    }
}
