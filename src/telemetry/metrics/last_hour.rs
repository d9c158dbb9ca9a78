//! The logouts of the last hour, minute by minute, for the status page of one instance.
//!
//! Counting adds one to a number. A background task begins a new minute once a minute.

use std::{
    collections::VecDeque,
    iter,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use strum::EnumCount as _;

use crate::outcome::Outcome;

/// The minutes that are kept, including the current one.
pub const MINUTES: usize = 60;

/// The number of logouts by [`Outcome`], in the order of its variants.
pub type Tally = [u64; Outcome::COUNT];

/// Counts by minutes.
#[derive(Debug)]
pub struct LastHour {
    /// Since the start.
    counted: [AtomicU64; Outcome::COUNT],
    /// What was counted before each minute, the oldest first.
    before: Mutex<VecDeque<Tally>>,
}

impl LastHour {
    pub(super) fn new() -> Self {
        Self { counted: Default::default(), before: Mutex::new(VecDeque::from([Tally::default()])) }
    }

    pub(super) fn count(&self, outcome: Outcome) {
        if let Some(counter) = self.counted.get(outcome as usize) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// Begins a new minute.
    pub(crate) fn begin_minute(&self) {
        let mut before = self.before();
        if before.len() == MINUTES {
            before.pop_front();
        }
        before.push_back(self.counted());
    }

    /// The minutes since the start, [`MINUTES`] at most, the current one last.
    pub(crate) fn minutes(&self) -> Vec<Tally> {
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
        for outcome in [Outcome::Revoked, Outcome::Revoked, Outcome::Refused] {
            hour.count(outcome);
        }
        assert_eq!(hour.minutes(), [[2, 0, 0, 0, 1]], "in the current minute");
        hour.begin_minute();
        hour.count(Outcome::Queued);
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
        for (_, outcome, _) in super::super::labels::logouts() {
            let hour = LastHour::new();
            hour.count(outcome);
            assert_eq!(hour.minutes()[0].iter().sum::<u64>(), 1, "{outcome:?}");
        }
    }
}
