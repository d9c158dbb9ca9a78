//! The replica: the revocation list in this process's memory, and whether it can be trusted.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::super::list::{RevocationEntry, RevocationList};
use crate::session::token::Claims;

/// How long the store trusts its replica after the replica was known to be complete: an instance may miss a
/// revocation of another instance for this time at most.
pub const STALENESS_BOUND: Duration = Duration::from_secs(2);

/// The replica keeps every entry that this instance ever knew until the entry expires, even if Redis loses
/// its data.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) list: RevocationList,
    /// `complete` and `answered` are in milliseconds since this time, plus one; 0 means never.
    start: Instant,
    /// When the replica was last known to be complete.
    complete: AtomicU64,
    /// When the last query that Redis answered was sent.
    answered: AtomicU64,
    /// Whether the replica was ever complete.
    was_read: AtomicBool,
    /// Whether following the list in Redis has ever failed.
    failed: AtomicBool,
    /// Whether the replica may have entries that Redis lacks.
    ahead: AtomicBool,
    /// Whether Redis has records that this release cannot read.
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

    /// Whether the replica refuses a token. A refusal is correct even if the replica is not trusted.
    pub(super) fn refuses(&self, claims: &Claims, now: Timestamp) -> bool {
        self.list.refuses(claims, now)
    }

    /// Whether the replica has every entry that was on the list [`STALENESS_BOUND`] ago.
    pub(super) fn is_trusted(&self) -> bool {
        self.within_bound(&self.complete)
    }

    /// Records whether Redis has records of a newer release. While Redis has such records, neither the
    /// replica nor a lookup in Redis can show that a token is not revoked.
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

    /// Records that the replica was complete at the time `at`.
    pub(super) fn mark_complete(&self, at: Instant) {
        self.complete.store(self.since_start(at), Ordering::Release);
        self.was_read.store(true, Ordering::Release);
        self.record_answer(at);
    }

    /// Records that a change is missing: the replica is not trusted until the whole list has been read again.
    pub(super) fn distrust(&self) {
        self.complete.store(0, Ordering::Release);
    }

    /// Records that Redis answered a query that was sent at the time `at`.
    pub(super) fn record_answer(&self, at: Instant) {
        self.answered.fetch_max(self.since_start(at), Ordering::AcqRel);
    }

    /// Whether the replica or Redis can answer. Before the replica was complete once, each request would need
    /// a query to Redis: the instance reports that it is not ready, so that a load balancer waits.
    pub(super) fn is_ready(&self) -> bool {
        self.was_read.load(Ordering::Acquire)
            && (self.within_bound(&self.complete) || self.within_bound(&self.answered))
    }

    /// Whether the replica is being filled for the first time, without an error so far.
    pub(super) fn is_loading(&self) -> bool {
        !self.was_read.load(Ordering::Acquire) && !self.failed.load(Ordering::Acquire)
    }

    /// Records that following the list in Redis failed.
    pub(super) fn mark_failed(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Records that an entry could not be written to Redis.
    pub(super) fn mark_ahead(&self) {
        self.ahead.store(true, Ordering::Release);
    }

    pub(super) fn is_ahead(&self) -> bool {
        self.ahead.load(Ordering::Acquire)
    }

    /// Resets `is_ahead`: the caller is about to write the missing entries to Redis.
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
