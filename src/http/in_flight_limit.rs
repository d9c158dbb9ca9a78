//! Limits the requests in flight to `GATEWAY_MAX_IN_FLIGHT`, in three classes.
//!
//! Proven sessions may take all permits, stale ones half of them and unproven ones an eighth, at least one each.
//! So a flood of forged tokens cannot keep out the requests of real sessions.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::session::Proof;

/// All permits of the session's class are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverLimitError;

/// The permits of one process, for all threads.
#[derive(Clone, Debug)]
pub(crate) struct InFlightLimit {
    total: usize,
    all: Arc<Semaphore>,
    stale: Arc<Semaphore>,
    unproven: Arc<Semaphore>,
}

/// The right to be in flight. Dropping it frees the permit.
#[derive(Debug)]
pub(crate) struct Permit {
    _of_all: OwnedSemaphorePermit,
    _of_class: Option<OwnedSemaphorePermit>,
}

impl InFlightLimit {
    /// `total` permits, all free.
    pub(crate) fn new(total: usize) -> Self {
        let permits = |count: usize| Arc::new(Semaphore::new(count.max(1)));
        Self { total, all: permits(total), stale: permits(total / 2), unproven: permits(total / 8) }
    }

    /// Takes a permit for a session with this proof, without waiting.
    ///
    /// # Errors
    /// [`OverLimitError`], if all permits of the class are taken.
    pub(crate) fn take(&self, proof: Proof) -> Result<Permit, OverLimitError> {
        let class = match proof {
            Proof::Proven => None,
            Proof::Stale => Some(&self.stale),
            Proof::Unproven => Some(&self.unproven),
        };
        let permit = |places: &Arc<Semaphore>| {
            places.clone().try_acquire_owned().map_err(|_| OverLimitError)
        };
        Ok(Permit { _of_class: class.map(permit).transpose()?, _of_all: permit(&self.all)? })
    }

    /// How many permits are taken.
    pub(crate) fn taken(&self) -> usize {
        self.total.saturating_sub(self.all.available_permits())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn fill(places: &InFlightLimit, proof: Proof) -> Vec<Permit> {
        std::iter::from_fn(|| places.take(proof).ok()).collect()
    }

    #[rstest]
    #[case(1024, 1024, 512, 128)]
    #[case(9, 9, 4, 1)]
    #[case(1, 1, 1, 1)]
    fn each_class_takes_its_share(
        #[case] most: usize,
        #[case] proven: usize,
        #[case] stale: usize,
        #[case] unproven: usize,
    ) {
        for (proof, share) in
            [(Proof::Proven, proven), (Proof::Stale, stale), (Proof::Unproven, unproven)]
        {
            let places = InFlightLimit::new(most);
            let taken = fill(&places, proof);
            assert_eq!((taken.len(), places.taken()), (share, share), "{proof:?}");
            drop(taken);
            assert_eq!(places.taken(), 0);
        }
    }

    #[test]
    fn unproven_and_stale_sessions_leave_places_to_proven_ones() {
        let places = InFlightLimit::new(16);
        let unproven = fill(&places, Proof::Unproven);
        let stale = fill(&places, Proof::Stale);
        assert_eq!((unproven.len(), stale.len()), (2, 8));
        assert_eq!(fill(&places, Proof::Proven).len(), 6);
    }
}
