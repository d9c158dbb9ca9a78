//! Whether the clock was set: one that is days ahead for a minute must not make the revocation list
//! forget whom it still refuses once the clock is right again.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Clocks are corrected by less all the time.
const STEP: Duration = Duration::from_secs(30);
/// Long enough for whoever set it wrong to set it right.
const DOUBT: Duration = Duration::from_mins(10);

/// A clock beside the time that really passes.
#[derive(Debug)]
pub(super) struct Steadiness {
    told: SystemTime,
    at: Instant,
    /// When it was set last, or when the process started with it.
    set_at: Option<Instant>,
    /// It was set while the process ran.
    was_set: bool,
}

impl Steadiness {
    /// A clock, and what it tells at that moment. It may be wrong at the start, as it is at a machine that
    /// has not asked a time server yet, so it is doubted like one that was set.
    pub(super) fn new(told: SystemTime, at: Instant) -> Self {
        Self { told, at, set_at: Some(at), was_set: false }
    }

    /// A clock that nothing was written by before: what it tells is believed.
    pub(super) fn believed(told: SystemTime, at: Instant) -> Self {
        Self { told, at, set_at: None, was_set: false }
    }

    /// Whether it was set while the process ran: the log tells that.
    pub(super) fn was_set(&self) -> bool {
        self.was_set
    }

    /// Whether it was not set for a while, by what it tells now.
    pub(super) fn is_steady(&mut self, told: SystemTime, at: Instant) -> bool {
        let expected = self.told + at.duration_since(self.at);
        let off = told.duration_since(expected).unwrap_or_else(|behind| behind.duration());
        if off > STEP {
            (self.set_at, self.was_set) = (Some(at), true);
        }
        (self.told, self.at) = (told, at);
        self.set_at.is_none_or(|set_at| at.duration_since(set_at) >= DOUBT)
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
        let mut clock = Steadiness::believed(start, started_at);
        let mut steady = |minutes: u32, told: SystemTime| {
            let passed = MINUTE * minutes;
            clock.is_steady(told + passed, started_at + passed)
        };
        assert!(steady(1, start) && steady(2, start + Duration::from_secs(20)), "drift");
        assert!(!steady(3, start + days), "days ahead");
        assert!(!steady(4, start), "and back");
        assert!((5..14).all(|minute| !steady(minute, start)));
        assert!(steady(14, start) && steady(15, start));
        assert!(!steady(16, start.checked_sub(MINUTE).unwrap()), "set back");
    }

    #[test]
    fn a_clock_is_doubted_for_ten_minutes_after_the_start() {
        let (started_at, start) = (Instant::now(), UNIX_EPOCH + Duration::from_hours(500_000));
        let mut clock = Steadiness::new(start, started_at);
        for (minutes, is_steady) in [(0, false), (5, false), (9, false), (10, true), (11, true)] {
            let passed = Duration::from_mins(minutes);
            assert_eq!(
                clock.is_steady(start + passed, started_at + passed),
                is_steady,
                "{minutes}"
            );
        }
    }
}
