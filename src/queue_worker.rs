//! The worker: the task that retries queued logouts. Each process has one.
//!
//! 1. The worker removes an entry once GoTrue has confirmed the logout. It gives up an entry in three cases:
//!    the access tokens have expired by the gateway's clock, and GoTrue neither accepts nor refreshes them;
//!    the session does not exist any more, so that the user's other sessions cannot be ended with it; or the
//!    last request with proven credentials is seven days old. The log, a metric and the failure log report
//!    that it gave up.
//! 2. A failed try delays its own entry. A failure of GoTrue itself ([`Refusal::is_about_gotrue`]) delays all
//!    other entries too: the worker then tries one entry at a time, at growing intervals, and tries the
//!    entries that failed last at the end. While GoTrue works, the worker tries up to four entries at a time,
//!    because a GoTrue with default settings manages some 20 logouts a second.
//! 3. If a session has several entries, the worker tries the widest scope first, because after a `local`
//!    logout the session cannot request its `global` logout. A narrower logout does not wait for a wider one
//!    that has only stale credentials and that GoTrue has refused, nor for one that this process cannot
//!    decrypt.
//! 4. Each process leases the entries that it tries from the store. If the process is killed during a try,
//!    the lease expires and another try follows. Trying a logout twice does no harm.

mod attempt;
mod health;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use self::{
    attempt::{Decision, GoTrueState},
    health::GoTrueHealth,
};
use crate::{
    clock::elapsed,
    failure_log::FailureLog,
    gotrue::Refusal,
    logout::Logout,
    outcome::{Outcome, Reason, RecordedOutcome, Scope, Stored},
    queue::{backoff, enqueue::RevocationQueue},
    store::{
        Queue, StoreError,
        entry::{MAX_RETRY_AFTER, MOST_CREDENTIALS, QueueEntry, entry_id},
        failure::Failure,
    },
    telemetry::{metrics::Metrics, traces},
};

/// The interval between two checks of the store for due entries.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The time for which a lease lasts longer than the tries of one entry can take.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// The most entries that the worker tries at the same time.
const MAX_CONCURRENT: usize = 4;
/// The worker gives up an entry whose last request with proven credentials is older than this.
const MAX_AGE: Duration = Duration::from_hours(7 * 24);

/// Retries the logouts in the queue of a store.
#[derive(Debug)]
pub(crate) struct Worker {
    logout: Logout,
    queue: Arc<RevocationQueue>,
    failures: FailureLog,
    /// The time limit of a try with one set of credentials.
    try_timeout: Duration,
    metrics: Arc<Metrics>,
}

impl Worker {
    /// Creates a worker for the queue of the store of `logout`; `None` if the store has no queue.
    pub(crate) fn new(
        logout: Logout,
        failures: FailureLog,
        try_timeout: Duration,
        metrics: Arc<Metrics>,
    ) -> Option<Arc<Self>> {
        let queue = logout.queue.clone()?;
        Some(Arc::new(Self { logout, queue, failures, try_timeout, metrics }))
    }

    /// Retries due entries until `stopping` is cancelled. Tries that are under way at that time are finished.
    pub(crate) async fn run(self: Arc<Self>, stopping: CancellationToken) {
        let mut health = GoTrueHealth::default();
        while !stopping.is_cancelled() {
            if let Err(cause) = self.clone().run_due(&mut health, &stopping).await {
                tracing::warn!(%cause, "the store failed while the worker processed the queue: queued logouts are not retried until the store works");
            }
            tokio::select! {
                () = sleep(POLL_INTERVAL) => {}
                () = self.queue.wait_for_recovery(health.is_failing()) => health = GoTrueHealth::default(),
                () = stopping.cancelled() => {}
            }
        }
    }

    /// Tries the due entries, several at a time while GoTrue works, and one at a time after GoTrue has
    /// failed. Returns when no entry is due, or when the worker must pause because GoTrue failed.
    async fn run_due(
        self: Arc<Self>,
        health: &mut GoTrueHealth,
        stopping: &CancellationToken,
    ) -> Result<(), StoreError> {
        let Some(queue) = self.logout.store.queue() else { return Ok(()) };
        // An entry may have several credentials, and each set takes a try.
        let tries = u32::try_from(MOST_CREDENTIALS).unwrap_or(u32::MAX);
        let lease = self.try_timeout.saturating_mul(tries) + LEASE_MARGIN;
        while !stopping.is_cancelled() && !health.is_paused(self.now()) {
            let most = if health.is_failing() { 1 } else { MAX_CONCURRENT };
            let leased = queue.lease(lease, most, self.now()).await?;
            if leased.is_empty() {
                break;
            }
            let mut tries = JoinSet::new();
            for entry in leased {
                let worker = self.clone();
                let span = traces::retry(&entry.request_id);
                tries.spawn(async move { worker.retry(entry).await }.instrument(span));
            }
            let mut store_error = None;
            for tried in tries.join_all().await {
                match tried {
                    Ok(GoTrueState::Up) => *health = GoTrueHealth::default(),
                    Ok(GoTrueState::Down(refusal)) => {
                        health.record_failure(&refusal, self.now());
                    }
                    Ok(GoTrueState::Unknown) => {}
                    Err(cause) => store_error = Some(cause),
                }
            }
            if let Some(store_error) = store_error {
                return Err(store_error);
            }
        }
        Ok(())
    }

    /// Tries one entry, and then removes it, reschedules it or gives it up.
    async fn retry(&self, entry: QueueEntry) -> Result<GoTrueState, StoreError> {
        let Some(queue) = self.logout.store.queue() else { return Ok(GoTrueState::Unknown) };
        let Some(scope) = entry.scope.known() else {
            self.reschedule(queue, entry, &Refusal::Unexpected, Reason::Unreadable).await?;
            return Ok(GoTrueState::Unknown);
        };
        if scope != Scope::Global
            && let Some(wider) = self.wider_entry(queue, &entry, scope).await?
        {
            let pause = elapsed(self.now(), wider.due).min(MAX_RETRY_AFTER) + POLL_INTERVAL;
            queue.reschedule(&entry, pause, false, self.now()).await?;
            return Ok(GoTrueState::Unknown);
        }
        let (tried, decision) = self.try_credentials(&entry, scope).await;
        match decision {
            Decision::Done { already_ended } => {
                self.complete(queue, &entry, scope, already_ended).await?;
            }
            Decision::Hopeless { reason, upstream_status } => {
                self.give_up(queue, &entry, reason, upstream_status).await?;
            }
            Decision::Later { refusal, reason, unknown, .. } => {
                let entry = QueueEntry { tried: entry.tried || unknown, ..entry };
                self.reschedule(queue, entry, &refusal, reason).await?;
            }
        }
        Ok(tried)
    }

    /// The entry of the same session with a wider scope that must be tried before this one. If there are two,
    /// the one with the widest scope.
    async fn wider_entry(
        &self,
        queue: &dyn Queue,
        entry: &QueueEntry,
        scope: Scope,
    ) -> Result<Option<QueueEntry>, StoreError> {
        for wider in [Scope::Global, Scope::Others] {
            if wider == scope {
                break;
            }
            let found = queue.get(entry_id(entry.session_id, wider)).await?;
            if let Some(found) =
                found.filter(|found| blocks_narrower_scopes(found) && self.can_decrypt(found))
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Whether this process can decrypt any of the entry's credentials.
    fn can_decrypt(&self, entry: &QueueEntry) -> bool {
        entry.credentials.iter().any(|sealed| self.queue.open(sealed, entry).is_ok())
    }

    async fn complete(
        &self,
        queue: &dyn Queue,
        entry: &QueueEntry,
        scope: Scope,
        already_ended: bool,
    ) -> Result<(), StoreError> {
        if scope != Scope::Others {
            queue.remove(entry.id).await?;
        } else if !queue.remove_unchanged(entry).await? {
            // The user requested the logout again during the try, perhaps because of a session that began
            // after GoTrue's answer. Try again at once.
            queue.reschedule(entry, Duration::ZERO, false, self.now()).await?;
        }
        if scope == Scope::Global {
            // All sessions of the user have ended, so the session's logouts with narrower scopes have nothing
            // left to end.
            for narrower in [Scope::Others, Scope::Local] {
                queue.remove(entry_id(entry.session_id, narrower)).await?;
            }
        }
        let outcome = if already_ended { Outcome::AlreadyEnded } else { Outcome::Revoked };
        self.metrics.retried(RecordedOutcome::Of(outcome));
        tracing::info!(
            request_id = entry.request_id,
            outcome = outcome.as_str(),
            user_id = %entry.user_id,
            session_id = %entry.session_id,
            attempts = entry.attempts + 1,
            waited_ms = self.now().as_millisecond() - entry.queued_at.as_millisecond(),
            "the worker completed a queued logout"
        );
        Ok(())
    }

    /// Reschedules an entry after a failed try, or gives it up if it is older than [`MAX_AGE`].
    async fn reschedule(
        &self,
        queue: &dyn Queue,
        mut entry: QueueEntry,
        refusal: &Refusal,
        reason: Reason,
    ) -> Result<(), StoreError> {
        let asked_at = entry.renewed_at.max(entry.queued_at);
        if elapsed(asked_at, self.now()) >= MAX_AGE {
            return self.give_up(queue, &entry, reason, None).await;
        }
        self.metrics.retried(RecordedOutcome::Of(Outcome::Failed));
        entry.attempts = entry.attempts.saturating_add(1);
        entry.reason = Stored::Known(reason);
        let pause = backoff::after(entry.attempts, refusal, self.now());
        queue.reschedule(&entry, pause, true, self.now()).await?;
        Ok(())
    }

    /// Gives up an entry, because none of its credentials can end the session or because it is too old. If a
    /// request has changed the entry during the try, the entry is tried again at once instead.
    async fn give_up(
        &self,
        queue: &dyn Queue,
        entry: &QueueEntry,
        reason: Reason,
        upstream_status: Option<u16>,
    ) -> Result<(), StoreError> {
        if !queue.remove_unchanged(entry).await? {
            queue.reschedule(entry, Duration::ZERO, true, self.now()).await?;
            return Ok(());
        }
        self.metrics.retried(RecordedOutcome::GaveUp);
        tracing::error!(
            request_id = entry.request_id,
            reason = reason.as_str(),
            user_id = %entry.user_id,
            session_id = %entry.session_id,
            attempts = entry.attempts + 1,
            upstream_status,
            "the worker gave up a queued logout: its session may still be active; end the session in Supabase if it must not be"
        );
        let time = self.logout.clock.now_in_seconds();
        let (outcome, reason) = (RecordedOutcome::GaveUp, Stored::Known(reason));
        self.failures.record(Failure::of_entry(entry, time, outcome, reason, upstream_status));
        self.record_as_revoked(entry).await;
        Ok(())
    }

    fn now(&self) -> Timestamp {
        self.logout.clock.now()
    }
}

/// Whether entries of the session with narrower scopes must wait for `entry`. A client with an old access
/// token and a refresh token of another account can queue an entry that has only stale credentials. Once
/// GoTrue has refused such an entry, it must not delay logouts of the session's own user.
fn blocks_narrower_scopes(entry: &QueueEntry) -> bool {
    let was_not_reached = matches!(
        entry.reason,
        Stored::Known(Reason::AuthServiceUnavailable | Reason::AuthServiceTimeout)
    );
    !entry.is_stale() || entry.attempts == 0 || was_not_reached
}
