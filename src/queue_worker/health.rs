//! Tracks whether GoTrue works, by the results of the worker's tries, and how long the worker pauses after
//! failures.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    clock::{after, elapsed},
    gotrue::Refusal,
    queue::backoff::{self, MAX_PAUSE},
};

/// The number of consecutive failures of GoTrue, and the pause that follows from them.
#[derive(Debug, Default)]
pub(super) struct GoTrueHealth {
    failures: u32,
    /// The worker tries no entry before this time.
    wait_until: Option<Timestamp>,
}

impl GoTrueHealth {
    /// Records a failure of GoTrue, after which the worker pauses for at most [`MAX_PAUSE`], even if a
    /// `Retry-After` in `refusal` asks for more. The entry that failed itself is delayed as long as the
    /// `Retry-After` asks.
    pub(super) fn record_failure(&mut self, refusal: &Refusal, now: Timestamp) {
        let until = after(now, backoff::after(self.failures, refusal, now).min(MAX_PAUSE));
        self.wait_until = Some(self.wait_until.map_or(until, |known| known.max(until)));
        self.failures = self.failures.saturating_add(1);
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Whether the worker must not try any entry yet. A remaining pause longer than [`MAX_PAUSE`] is ignored,
    /// because it shows that the clock was set back.
    pub(super) fn is_paused(&self, now: Timestamp) -> bool {
        let left = self.wait_until.map_or(Duration::ZERO, |until| elapsed(now, until));
        left > Duration::ZERO && left <= MAX_PAUSE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_lengthens_the_pause_and_a_clock_set_back_ends_it() {
        let refusal = Refusal::Unavailable { retry_after: None };
        let now = after(Timestamp::UNIX_EPOCH, Duration::from_hours(500_000));
        let mut health = GoTrueHealth::default();
        assert!(!health.is_failing() && !health.is_paused(now));
        health.record_failure(&refusal, now);
        assert!(health.is_failing() && health.is_paused(now));
        assert!(!health.is_paused(now + Duration::from_secs(1)));
        for _ in 0..20 {
            health.record_failure(&refusal, now);
        }
        assert!(health.is_paused(now + MAX_PAUSE / 2 - Duration::from_secs(1)));
        assert!(!health.is_paused(now + MAX_PAUSE));
        let set_back = now - Duration::from_hours(1);
        assert!(!health.is_paused(set_back));
    }
}
