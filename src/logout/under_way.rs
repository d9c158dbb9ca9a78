//! Tracks the `local` logouts of this process that are under way.
//!
//! GoTrue may have ended a session although its `local` logout has not been answered yet. If GoTrue then
//! refuses a `global` logout of the same session, because the session does not exist any more, the `global`
//! logout must not count as successful: the user's other sessions are still active.

use std::sync::Arc;

use dashmap::DashMap;
use uuid::Uuid;

/// The number of `local` logouts under way for each session. Clones are cheap and share the numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalLogouts(Arc<DashMap<Uuid, usize>>);

/// Marks a `local` logout as under way until this value is dropped.
#[derive(Debug)]
pub(super) struct UnderWay {
    logouts: LocalLogouts,
    session: Uuid,
}

impl LocalLogouts {
    pub(super) fn begin(&self, session: Uuid) -> UnderWay {
        *self.0.entry(session).or_default() += 1;
        UnderWay { logouts: self.clone(), session }
    }

    /// Whether a `local` logout of this session is under way.
    pub(super) fn contains(&self, session: Uuid) -> bool {
        self.0.contains_key(&session)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.logouts.0.remove_if_mut(&self.session, |_, count| {
            *count -= 1;
            *count == 0
        });
    }
}
