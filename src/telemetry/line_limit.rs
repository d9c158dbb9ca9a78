//! Limits the log lines that clients can cause to a number in each second. Further lines are omitted and
//! counted, so that the log can report how many were omitted.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const SECOND: Duration = Duration::from_secs(1);

/// The limit of one kind of log line. All threads share one value.
#[derive(Debug)]
pub(crate) struct LineLimit {
    lines_each_second: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The start of the current second.
    second_start: Option<Instant>,
    /// The number of lines written in the current second.
    written: u32,
    /// The number of lines omitted since the last call of [`LineLimit::take_omitted`].
    omitted: u64,
}

impl LineLimit {
    /// Allows `lines_each_second` log lines in each second.
    pub(crate) const fn new(lines_each_second: u32) -> Self {
        let state = State { second_start: None, written: 0, omitted: 0 };
        Self { lines_each_second, state: Mutex::new(state) }
    }

    /// Whether a log line may be written at `now`. If not, the line is counted as omitted.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let second_start = *state.second_start.get_or_insert(now);
        if now.saturating_duration_since(second_start) >= SECOND {
            (state.second_start, state.written) = (Some(now), 0);
        }
        if state.written < self.lines_each_second {
            state.written += 1;
            return true;
        }
        state.omitted += 1;
        false
    }

    /// Returns how many lines were omitted since the last call. Call this once a second even if no line
    /// comes, so that the lines omitted at the end of a flood are reported too.
    pub(crate) fn take_omitted(&self) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.omitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_limit_of_a_second_are_omitted_and_counted() {
        let (limit, second_start) = (LineLimit::new(100), Instant::now());
        let admitted = |after: Duration, lines: u32| {
            (0..lines).filter(|_| limit.admits(second_start + after)).count()
        };
        assert_eq!(admitted(Duration::ZERO, 100), 100);
        assert_eq!(limit.take_omitted(), 0, "up to the limit every line is written");
        assert_eq!(admitted(Duration::from_millis(999), 250), 0);
        assert_eq!(limit.take_omitted(), 250);
        assert_eq!(limit.take_omitted(), 0, "each omitted line is reported once");
        assert_eq!(admitted(Duration::from_secs(1), 101), 100);
        assert_eq!(limit.take_omitted(), 1);
        assert_eq!(
            admitted(Duration::from_mins(1), 99),
            99,
            "a minute without lines does not raise the limit of the next second"
        );
        assert_eq!(admitted(Duration::from_mins(1), 2), 1);
    }

    #[test]
    fn a_time_before_the_current_second_does_not_start_a_new_second() {
        let (limit, now) = (LineLimit::new(1), Instant::now() + SECOND);
        assert!(limit.admits(now));
        assert!(!limit.admits(now.checked_sub(SECOND).unwrap()));
        assert!(!limit.admits(now));
    }
}
