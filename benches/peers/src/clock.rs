//! The system's clock, for dates and for the times in tokens.

use std::time::{SystemTime, UNIX_EPOCH};

#[expect(clippy::disallowed_methods, reason = "the benchmark's only read of the system's clock")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

pub(crate) fn unix_seconds() -> u64 {
    now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
