//! Checks whether the gateway is ready to serve: that it is not stopping, that the store answers, and that it
//! has the project's key set.
//!
//! 1. The gateway depends on several parts ([`Part`]). A part is missing since the first check that did not
//!    find it, or since the start of the process if no check has found it yet. Each request of `readyz` makes
//!    a check, and the background thread makes one every second.
//! 2. The log has one line when a part goes missing, and one when it is available again. At each start the
//!    gateway must first fetch the key set and load the revocation list from a shared store. The log reports
//!    these as missing only after the first attempt has failed.
//! 3. The times come from the [`Clock`].

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

/// A part without which the gateway cannot serve all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The project's key set: it was never fetched, or is too old.
    KeySet,
    /// GoTrue: it does not answer, and the gateway needs it to verify a token.
    AuthService,
    /// The store: it does not answer.
    Store,
    /// The process itself: it is stopping.
    ShuttingDown,
}

impl Part {
    /// The `reason` of the 503 response, and the field `part` of log lines.
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
    /// The part that is missing.
    pub(crate) part: Part,
    /// The time of the first check that did not find the part, in whole seconds.
    pub(crate) since: Timestamp,
}

impl Missing {
    /// How long the part has been missing at `now`; zero if the clock was set back.
    pub(crate) fn lasts(&self, now: Timestamp) -> Duration {
        elapsed(self.since, now)
    }
}

/// Checks the parts and logs changes. All threads share one value.
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
    /// Whether the last log line about the part says that it is missing.
    is_logged: bool,
}

impl Readiness {
    /// The store and the key set count as missing until the first check.
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

    /// Checks every part, logs changes, and returns the missing parts, with the most important part first.
    pub(crate) fn check(&self) -> Vec<Missing> {
        let now = self.clock.now_in_seconds();
        let mut states = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        // Read this flag before the key set: otherwise a first fetch that succeeds between the two reads
        // would be logged as failed.
        let fetched = self.jwks.has_finished_first_fetch();
        let parts = [
            // Not logged here: the stop of the process has a log line of its own.
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
            tracing::warn!(part = part.reason().as_str(), %since, "the gateway is not ready");
        }
        Missing { part, since }
    }

    fn set_ready(&mut self, part: Part, now: Timestamp) {
        if let Some(since) = self.missing_since.take()
            && mem::take(&mut self.is_logged)
        {
            let missing_for = format_duration(Missing { part, since }.lasts(now));
            tracing::info!(part = part.reason().as_str(), %missing_for, "the gateway is ready again");
        }
    }
}
