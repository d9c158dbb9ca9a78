//! The `local` logouts of this process that are under way.
//!
//! GoTrue may have ended a session whose `local` logout has not been answered yet. A `global` of the same
//! session that GoTrue then refuses must not take that end for its own: the user's other sessions live on.

use std::sync::Arc;

use dashmap::DashMap;
use uuid::Uuid;

/// How many `local` logouts of each session are under way. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalLogouts(Arc<DashMap<Uuid, usize>>);

/// A `local` logout that is under way until this is dropped.
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

    /// Whether one of this session is under way.
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
