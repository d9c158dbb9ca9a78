//! Whether the gateway is ready, and since when a part of it is missing.
//!
//! 1. A part is missing since the first check that found it missing, or since the start if it was never there.
//!    `readyz` checks, and the background thread checks every second.
//! 2. The log has one line when a part goes missing, and one when it is back. Each start fetches a key set and reads
//!    the list of a shared store: the log calls them missing only after a failure.
//! 3. The time comes from the [`Clock`].

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use humantime::format_duration;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Clock, elapsed},
    outcome::Reason,
    session::{jwks::Jwks, verifier::Verifier},
    store::Store,
};

/// A part of the gateway that can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The project's key set was never fetched, or is too old.
    KeySet,
    /// GoTrue does not answer, and the gateway cannot verify the token without it.
    AuthService,
    /// The store does not answer.
    Store,
    /// The gateway is stopping.
    ShuttingDown,
}

impl Part {
    /// The `reason` of a 503, and `part` in the log.
    pub(crate) fn reason(self) -> Reason {
        match self {
            Self::KeySet => Reason::KeySet,
            Self::AuthService => Reason::AuthService,
            Self::Store => Reason::Store,
            Self::ShuttingDown => Reason::ShuttingDown,
        }
    }
}

/// A missing part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// The part.
    pub(crate) part: Part,
    /// The first look that did not find it, in whole seconds.
    pub(crate) since: Timestamp,
}

impl Missing {
    /// How long it has been missing at `now`; zero if the clock was set back.
    pub(crate) fn lasts(&self, now: Timestamp) -> Duration {
        elapsed(self.since, now)
    }
}

/// Checks the parts, for all threads.
#[derive(Debug)]
pub(crate) struct Readiness {
    stopping: CancellationToken,
    store: Arc<dyn Store>,
    verifier: Arc<Verifier>,
    jwks: Arc<Jwks>,
    clock: Clock,
    parts: Mutex<[PartState; 3]>,
}

/// The result of the last check of one part.
#[derive(Clone, Copy, Debug)]
struct PartState {
    missing_since: Option<Timestamp>,
    /// Whether the log says that the part is missing.
    is_logged: bool,
}

impl Readiness {
    /// The store and the key set are missing until the first check.
    pub(crate) fn new(
        stopping: &CancellationToken,
        store: &Arc<dyn Store>,
        verifier: &Arc<Verifier>,
        jwks: &Arc<Jwks>,
        clock: &Clock,
    ) -> Self {
        let present = PartState { missing_since: None, is_logged: false };
        let missing_since = Some(clock.now_in_seconds());
        let unchecked = PartState { missing_since, is_logged: false };
        Self {
            stopping: stopping.clone(),
            store: store.clone(),
            verifier: verifier.clone(),
            jwks: jwks.clone(),
            clock: clock.clone(),
            parts: Mutex::new([present, unchecked, unchecked]),
        }
    }

    /// Checks every part, logs changes, and returns the missing parts, most important first.
    pub(crate) fn check(&self) -> Vec<Missing> {
        let now = self.clock.now_in_seconds();
        let mut states = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        // Read this before the key set: a fetch that ends in between must not look like a failure.
        let fetched = self.jwks.has_finished_first_fetch();
        let parts = [
            // The log has a line of its own for the stop.
            (Part::ShuttingDown, self.stopping.is_cancelled(), false),
            (Part::Store, !self.store.is_ready(), !self.store.is_loading()),
            (Part::KeySet, !self.verifier.ready(), fetched),
        ];
        let mut missing_parts = Vec::new();
        for (state, (part, is_missing, log)) in states.iter_mut().zip(parts) {
            if is_missing {
                missing_parts.push(state.set_missing(part, now, log));
            } else {
                state.set_ready(part, now);
            }
        }
        missing_parts
    }
}

impl PartState {
    fn set_missing(&mut self, part: Part, now: Timestamp, log: bool) -> Missing {
        let since = *self.missing_since.get_or_insert(now);
        if log && !mem::replace(&mut self.is_logged, true) {
            tracing::warn!(part = part.reason().as_str(), %since, "not ready");
        }
        Missing { part, since }
    }

    fn set_ready(&mut self, part: Part, now: Timestamp) {
        if let Some(since) = self.missing_since.take()
            && mem::take(&mut self.is_logged)
        {
            let missing_for = format_duration(Missing { part, since }.lasts(now));
            tracing::info!(part = part.reason().as_str(), %missing_for, "ready again");
        }
    }
}
