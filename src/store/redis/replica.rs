//! The revocation list in this process's memory, and how far it can be trusted.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::super::list::{RevocationEntry, RevocationList};
use crate::session::token::Claims;

/// How late an instance may be: a copy that was complete as of then, or later, is trusted.
pub const STALENESS_BOUND: Duration = Duration::from_secs(2);

/// Holds everything that this instance ever knew, until it is outlived: a Redis that lost its data makes
/// nobody forget.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) list: RevocationList,
    /// From here the times below are counted, in milliseconds; 0 is never.
    start: Instant,
    complete: AtomicU64,
    answered: AtomicU64,
    /// It held the whole list once.
    was_read: AtomicBool,
    /// Reading the whole list failed at least once.
    failed: AtomicBool,
    /// It holds what Redis may not.
    ahead: AtomicBool,
    /// Redis holds what cannot be read.
    unreadable: AtomicBool,
}

impl Replica {
    pub(super) fn new() -> Self {
        Self {
            list: RevocationList::default(),
            start: Instant::now(),
            complete: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            was_read: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            ahead: AtomicBool::new(false),
            unreadable: AtomicBool::new(false),
        }
    }

    pub(super) fn insert(&self, entry: RevocationEntry) {
        self.list.insert(entry);
    }

    /// Whoever it refuses is on the list, however old it is.
    pub(super) fn refuses(&self, claims: &Claims, now: Timestamp) -> bool {
        self.list.refuses(claims, now)
    }

    /// Whether it holds everything that was on the list [`STALENESS_BOUND`] ago.
    pub(super) fn is_trusted(&self) -> bool {
        self.within_bound(&self.complete)
    }

    /// A newer release wrote something: from now on nobody can tell, not even by asking, or all is well
    /// again.
    pub(super) fn set_unreadable(&self, unreadable: bool) {
        self.unreadable.store(unreadable, Ordering::Release);
        if unreadable {
            self.distrust();
            self.answered.store(0, Ordering::Release);
        }
    }

    pub(super) fn is_unreadable(&self) -> bool {
        self.unreadable.load(Ordering::Acquire)
    }

    /// It held everything that was on the list at that time.
    pub(super) fn mark_complete(&self, at: Instant) {
        self.complete.store(self.since_start(at), Ordering::Release);
        self.was_read.store(true, Ordering::Release);
        self.record_answer(at);
    }

    /// Something is missing.
    pub(super) fn distrust(&self) {
        self.complete.store(0, Ordering::Release);
    }

    /// Redis could tell who is on the list at that time.
    pub(super) fn record_answer(&self, at: Instant) {
        self.answered.fetch_max(self.since_start(at), Ordering::AcqRel);
    }

    /// Whether it, or Redis, can tell who is on the list. Before the whole list was read once, each request
    /// would ask Redis: a load balancer should wait for that.
    pub(super) fn is_ready(&self) -> bool {
        self.was_read.load(Ordering::Acquire)
            && (self.within_bound(&self.complete) || self.within_bound(&self.answered))
    }

    /// Whether the whole list is being read for the first time, and nothing went wrong so far.
    pub(super) fn is_loading(&self) -> bool {
        !self.was_read.load(Ordering::Acquire) && !self.failed.load(Ordering::Acquire)
    }

    /// The list could not be followed.
    pub(super) fn mark_failed(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Something could not be written.
    pub(super) fn mark_ahead(&self) {
        self.ahead.store(true, Ordering::Release);
    }

    pub(super) fn is_ahead(&self) -> bool {
        self.ahead.load(Ordering::Acquire)
    }

    /// What could not be written until now is about to be.
    pub(super) fn clear_ahead(&self) {
        self.ahead.store(false, Ordering::Release);
    }

    fn within_bound(&self, time: &AtomicU64) -> bool {
        let bound = u64::try_from(STALENESS_BOUND.as_millis()).unwrap_or(u64::MAX);
        match time.load(Ordering::Acquire) {
            0 => false,
            time => self.since_start(Instant::now()).saturating_sub(time) < bound,
        }
    }

    fn since_start(&self, at: Instant) -> u64 {
        let milliseconds = at.saturating_duration_since(self.start).as_millis();
        u64::try_from(milliseconds).unwrap_or(u64::MAX - 1).saturating_add(1)
    }
}
