//! Whether the gateway can do its job, and since when a part of it is missing.
//!
//! 1. A part is missing since the first look that did not find it, or since the start if none ever did.
//!    `readyz` looks, and the background does each second.
//! 2. The log tells once that a part is missing, and once that it is back. At every start a key set is
//!    fetched and the list of a shared store read: they are missed once that has failed.
//! 3. The time is the [`Clock`]'s.

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
pub enum Part {
    /// The project's key set was never fetched, or too long ago.
    KeySet,
    /// GoTrue does not answer, and only GoTrue can verify the token.
    AuthService,
    /// The store with the revocation list does not answer.
    Store,
    /// The process is about to end.
    ShuttingDown,
}

impl Part {
    /// The `reason` of a 503, and `part` in the log.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            Self::KeySet => Reason::KeySet,
            Self::AuthService => Reason::AuthService,
            Self::Store => Reason::Store,
            Self::ShuttingDown => Reason::ShuttingDown,
        }
    }
}

/// A part that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Which.
    pub part: Part,
    /// The first look that did not find it, in whole seconds.
    pub since: Timestamp,
}

impl Missing {
    /// How long it has been missing at `now`; zero if the clock was set back.
    #[must_use]
    pub fn lasts(&self, now: Timestamp) -> Duration {
        elapsed(self.since, now)
    }
}

/// Watches the parts, for all threads.
#[derive(Debug)]
pub struct Readiness {
    stopping: CancellationToken,
    store: Arc<dyn Store>,
    verifier: Arc<Verifier>,
    jwks: Arc<Jwks>,
    clock: Clock,
    watched: Mutex<[Watched; 3]>,
}

/// What is known of one part.
#[derive(Clone, Copy, Debug)]
struct Watched {
    missing_since: Option<Timestamp>,
    /// Whether the log has it.
    told: bool,
}

impl Readiness {
    /// Nothing is there until somebody looks.
    #[must_use]
    pub fn new(
        stopping: &CancellationToken,
        store: &Arc<dyn Store>,
        verifier: &Arc<Verifier>,
        jwks: &Arc<Jwks>,
        clock: &Clock,
    ) -> Self {
        let there = Watched { missing_since: None, told: false };
        let unseen = Watched { missing_since: Some(clock.now_in_seconds()), told: false };
        Self {
            stopping: stopping.clone(),
            store: store.clone(),
            verifier: verifier.clone(),
            jwks: jwks.clone(),
            clock: clock.clone(),
            watched: Mutex::new([there, unseen, unseen]),
        }
    }

    /// The parts that are missing now, the one to be named first at the front.
    pub fn look(&self) -> Vec<Missing> {
        let now = self.clock.now_in_seconds();
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked before the key set is: a fetch that ends in between is not taken for one that failed.
        let fetched = self.jwks.has_finished_first_fetch();
        let parts = [
            // Whoever stops it knows, and the log has a line of its own.
            (Part::ShuttingDown, self.stopping.is_cancelled(), false),
            (Part::Store, !self.store.is_ready(), !self.store.is_loading()),
            (Part::KeySet, !self.verifier.ready(), fetched),
        ];
        let looked =
            watched.iter_mut().zip(parts).filter_map(|(watched, (part, missing, tell))| {
                if missing { Some(watched.miss(part, now, tell)) } else { watched.find(part, now) }
            });
        looked.collect()
    }
}

impl Watched {
    fn miss(&mut self, part: Part, now: Timestamp, tell: bool) -> Missing {
        let since = *self.missing_since.get_or_insert(now);
        if tell && !mem::replace(&mut self.told, true) {
            tracing::warn!(part = part.reason().as_str(), %since, "not ready");
        }
        Missing { part, since }
    }

    fn find(&mut self, part: Part, now: Timestamp) -> Option<Missing> {
        let since = self.missing_since.take()?;
        if mem::take(&mut self.told) {
            let missing_for = format_duration(Missing { part, since }.lasts(now));
            tracing::info!(part = part.reason().as_str(), %missing_for, "ready again");
        }
        None
    }
}
