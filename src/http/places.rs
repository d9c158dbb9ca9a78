//! Limits the requests in flight to `GATEWAY_MAX_IN_FLIGHT`: each request takes a place, of one of three
//! classes.
//!
//! Requests of proven sessions may take all places, those of stale sessions half of them, and those of
//! unproven sessions an eighth; at least one place each. So a flood of forged tokens cannot keep out the
//! requests of real sessions.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::session::Proof;

/// All places of the session's class are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoPlaceError;

/// The places of the process, shared by all threads.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    total: usize,
    all: Arc<Semaphore>,
    stale: Arc<Semaphore>,
    unproven: Arc<Semaphore>,
}

/// A taken place. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_class: Option<OwnedSemaphorePermit>,
}

impl Places {
    /// `total` places, all free.
    pub(crate) fn new(total: usize) -> Self {
        let places = |count: usize| Arc::new(Semaphore::new(count.max(1)));
        Self { total, all: places(total), stale: places(total / 2), unproven: places(total / 8) }
    }

    /// Takes a place for a request whose session has this proof. It never waits.
    ///
    /// # Errors
    /// [`NoPlaceError`], if all places of the class are taken.
    pub(crate) fn take(&self, proof: Proof) -> Result<Place, NoPlaceError> {
        let class = match proof {
            Proof::Proven => None,
            Proof::Stale => Some(&self.stale),
            Proof::Unproven => Some(&self.unproven),
        };
        let permit =
            |places: &Arc<Semaphore>| places.clone().try_acquire_owned().map_err(|_| NoPlaceError);
        Ok(Place { _of_class: class.map(permit).transpose()?, _of_all: permit(&self.all)? })
    }

    pub(crate) fn taken(&self) -> usize {
        self.total.saturating_sub(self.all.available_permits())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn fill(places: &Places, proof: Proof) -> Vec<Place> {
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
            let places = Places::new(most);
            let taken = fill(&places, proof);
            assert_eq!((taken.len(), places.taken()), (share, share), "{proof:?}");
            drop(taken);
            assert_eq!(places.taken(), 0);
        }
    }

    #[test]
    fn unproven_and_stale_sessions_leave_places_to_proven_ones() {
        let places = Places::new(16);
        let unproven = fill(&places, Proof::Unproven);
        let stale = fill(&places, Proof::Stale);
        assert_eq!((unproven.len(), stale.len()), (2, 8));
        assert_eq!(fill(&places, Proof::Proven).len(), 6);
    }
}
