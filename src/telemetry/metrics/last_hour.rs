//! Counts the logouts of the last hour in this process, minute by minute, for the status page.
//!
//! Counting a logout increments an atomic number. Once a minute a background task calls
//! `LastHour::begin_minute`.

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

/// The number of minutes that are kept, the current one included.
pub const MINUTES: usize = 60;

/// The number of logouts for each [`Outcome`], in the order of its variants.
pub type Tally = [u64; Outcome::COUNT];

/// The counts of the last [`MINUTES`] minutes.
#[derive(Debug)]
pub struct LastHour {
    /// The counts since the start of the process.
    counted: [AtomicU64; Outcome::COUNT],
    /// The counts since the start of the process as they were at the beginning of each minute, oldest first.
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

    /// The counts of each minute since the start, of at most [`MINUTES`] minutes, with the current minute
    /// last.
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
    fn a_logout_is_counted_in_its_minute_and_only_sixty_minutes_are_kept() {
        let hour = LastHour::new();
        assert_eq!(hour.minutes(), [Tally::default()], "no logout is counted yet");
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
        assert_eq!(
            hour.minutes(),
            [Tally::default(); MINUTES],
            "every counted logout is more than an hour old"
        );
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
