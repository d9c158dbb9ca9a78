//! Limits the log lines about refusals as `revoked` to one a second for each session.
//!
//! A token that is used after the logout of its session is the surest sign of theft, so each such session
//! must appear in the log. The thief decides how often the token is sent, so the lines need a limit.

use std::time::{Duration, SystemTime};

use quick_cache::sync::Cache;
use uuid::Uuid;

const INTERVAL: Duration = Duration::from_secs(1);
/// Sessions whose last line is remembered, some 400 KB. One that was evicted is logged again at once.
const SESSIONS: usize = 8192;

/// When the last line of each session was written. Shared by all threads.
#[derive(Debug)]
pub struct RevokedLines {
    written: Cache<Uuid, SystemTime>,
}

impl RevokedLines {
    /// No line has been written yet.
    #[must_use]
    pub fn new() -> Self {
        Self { written: Cache::new(SESSIONS) }
    }

    /// Whether a line about `session` is due at `now`; then it counts as written. A clock that was set
    /// back makes a line due.
    #[must_use]
    pub fn is_due(&self, session: Uuid, now: SystemTime) -> bool {
        let recently = self.written.get(&session).is_some_and(|written| {
            now.duration_since(written).is_ok_and(|elapsed| elapsed < INTERVAL)
        });
        if !recently {
            self.written.insert(session, now);
        }
        !recently
    }
}

impl Default for RevokedLines {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn each_session_has_a_line_a_second() {
        let (lines, begun) = (RevokedLines::new(), UNIX_EPOCH + Duration::from_hours(1));
        let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
        assert!(lines.is_due(one, begun) && lines.is_due(other, begun));
        assert!(!lines.is_due(one, begun + Duration::from_millis(999)));
        assert!(lines.is_due(one, begun + INTERVAL));
        assert!(!lines.is_due(one, begun + INTERVAL), "the second begins with the line");
        assert!(lines.is_due(one, begun), "the clock was set back");
    }

    #[test]
    fn many_sessions_take_no_more_memory() {
        let lines = RevokedLines::new();
        for _ in 0..3 * SESSIONS {
            assert!(lines.is_due(Uuid::new_v4(), UNIX_EPOCH));
        }
        assert!(lines.written.len() <= SESSIONS, "{}", lines.written.len());
    }
}
