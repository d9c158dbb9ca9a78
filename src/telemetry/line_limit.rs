//! Limits the log lines that clients can cause: a number of lines each second, and beyond that only their count.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const SECOND: Duration = Duration::from_secs(1);

/// Limits the lines of one kind. Shared by all threads.
#[derive(Debug)]
pub(crate) struct LineLimit {
    lines_each_second: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Start of the current second.
    begun: Option<Instant>,
    /// Lines of the current second.
    written: u32,
    /// Lines that were left out since they were last reported.
    omitted: u64,
}

impl LineLimit {
    /// Allows that many lines in each second.
    pub(crate) const fn new(lines_each_second: u32) -> Self {
        let state = State { begun: None, written: 0, omitted: 0 };
        Self { lines_each_second, state: Mutex::new(state) }
    }

    /// Whether a line may be written at `now`. One that may not is counted as left out.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = *state.begun.get_or_insert(now);
        if now.saturating_duration_since(begun) >= SECOND {
            (state.begun, state.written) = (Some(now), 0);
        }
        if state.written < self.lines_each_second {
            state.written += 1;
            return true;
        }
        state.omitted += 1;
        false
    }

    /// How many lines were left out since the last call. To be called once a second, whether lines come
    /// or not: the number of a flood that has stopped is reported too.
    pub(crate) fn take_omitted(&self) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.omitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_lines_and_the_rest_is_a_number() {
        let (limit, begun) = (LineLimit::new(100), Instant::now());
        let admitted = |after: Duration, lines: u32| {
            (0..lines).filter(|_| limit.admits(begun + after)).count()
        };
        assert_eq!(admitted(Duration::ZERO, 100), 100);
        assert_eq!(limit.take_omitted(), 0, "up to the limit every line is written");
        assert_eq!(admitted(Duration::from_millis(999), 250), 0);
        assert_eq!(limit.take_omitted(), 250);
        assert_eq!(limit.take_omitted(), 0, "each is reported once");
        assert_eq!(admitted(Duration::from_secs(1), 101), 100);
        assert_eq!(limit.take_omitted(), 1);
        assert_eq!(admitted(Duration::from_mins(1), 99), 99, "a quiet minute saves up nothing");
        assert_eq!(admitted(Duration::from_mins(1), 2), 1);
    }

    #[test]
    fn a_thread_that_read_the_clock_earlier_begins_no_second() {
        let (limit, now) = (LineLimit::new(1), Instant::now() + SECOND);
        assert!(limit.admits(now));
        assert!(!limit.admits(now.checked_sub(SECOND).unwrap()));
        assert!(!limit.admits(now));
    }
}
