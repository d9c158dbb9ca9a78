//! The logouts of the last hour, minute by minute, for whoever looks at one instance without a
//! Prometheus at hand.
//!
//! Counting adds one to a number. Once a minute somebody says that the next one begins.

use std::{
    collections::VecDeque,
    iter,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// What becomes of a logout, in the words of `logouts_total`.
pub const OUTCOMES: [&str; 5] = ["revoked", "already-ended", "queued", "failed", "refused"];

/// How many minutes are kept, the one under way among them.
pub const MINUTES: usize = 60;

/// How many logouts there were of each of [`OUTCOMES`].
pub type Tally = [u64; OUTCOMES.len()];

/// Counts by minutes.
#[derive(Debug)]
pub struct LastHour {
    /// Since the start.
    counted: [AtomicU64; OUTCOMES.len()],
    /// What was counted before each minute, the oldest first.
    before: Mutex<VecDeque<Tally>>,
}

impl LastHour {
    pub(super) fn new() -> Self {
        Self { counted: Default::default(), before: Mutex::new(VecDeque::from([Tally::default()])) }
    }

    pub(super) fn count(&self, outcome: &str) {
        let mut counters = OUTCOMES.iter().zip(&self.counted);
        if let Some((_, counter)) = counters.find(|(known, _)| **known == outcome) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// Another minute begins.
    pub fn begin_minute(&self) {
        let mut before = self.before();
        if before.len() == MINUTES {
            before.pop_front();
        }
        before.push_back(self.counted());
    }

    /// The minutes since the start, [`MINUTES`] at most, the one under way last.
    #[must_use]
    pub fn minutes(&self) -> Vec<Tally> {
        let before = self.before();
        let now = self.counted();
        let after = before.iter().skip(1).chain(iter::once(&now));
        before.iter().zip(after).map(|(from, to)| between(from, to)).collect()
    }

    fn before(&self) -> MutexGuard<'_, VecDeque<Tally>> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counted(&self) -> Tally {
        self.counted.each_ref().map(|counter| counter.load(Relaxed))
    }
}

fn between(from: &Tally, to: &Tally) -> Tally {
    let mut tally = *to;
    tally.iter_mut().zip(from).for_each(|(count, before)| *count -= before);
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logout_is_counted_in_its_minute_and_the_oldest_of_sixty_goes() {
        let hour = LastHour::new();
        assert_eq!(hour.minutes(), [Tally::default()], "nothing yet");
        for outcome in ["revoked", "revoked", "refused"] {
            hour.count(outcome);
        }
        assert_eq!(hour.minutes(), [[2, 0, 0, 0, 1]], "in the minute under way");
        hour.begin_minute();
        hour.count("queued");
        assert_eq!(hour.minutes(), [[2, 0, 0, 0, 1], [0, 0, 1, 0, 0]]);

        for _ in 2..MINUTES {
            hour.begin_minute();
        }
        let minutes = hour.minutes();
        assert_eq!((minutes.len(), minutes[0]), (MINUTES, [2, 0, 0, 0, 1]));
        hour.begin_minute();
        let minutes = hour.minutes();
        assert_eq!((minutes.len(), minutes[0]), (MINUTES, [0, 0, 1, 0, 0]));
        hour.begin_minute();
        assert_eq!(hour.minutes(), [Tally::default(); MINUTES], "all that is an hour ago");
    }

    #[test]
    fn every_outcome_of_a_logout_is_counted() {
        for [_, outcome, _] in super::super::labels::logouts() {
            let hour = LastHour::new();
            hour.count(outcome);
            assert_eq!(hour.minutes()[0].iter().sum::<u64>(), 1, "{outcome}");
        }
    }
}
