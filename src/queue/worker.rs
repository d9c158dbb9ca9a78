//! The worker: the one task of a process that retries queued logouts.
//!
//! 1. The worker removes an entry once GoTrue confirmed the logout, or gives it up once no credentials can
//!    revoke anything: the tokens have expired by our clock, and GoTrue refuses them and does not refresh them;
//!    the session is gone and the user's other sessions live on; or a proven session asked for it last seven
//!    days ago. Log, metric and failure log report that it gave up; the removal waits for none of them.
//! 2. A failure delays its own entry. Only a failure that concerns GoTrue itself
//!    ([`Refusal::is_about_gotrue`]) delays the others too: then the worker tries one entry at a time, at
//!    growing intervals, those that failed last at the end. While GoTrue works, the worker tries a few at a
//!    time: a stock GoTrue manages 20 logouts a second.
//! 3. The widest scope of a session goes first, because a `local` logout that succeeds makes the session's
//!    `global` impossible. The narrower ones do not wait for an entry of a stale session that GoTrue has
//!    refused, nor for one that this process cannot decrypt.
//! 4. If the process is killed during a try, the lease of the entry ends by itself. Trying twice does no
//!    harm.

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
use super::{
    backoff,
    enqueue::RevocationQueue,
    entry::{MOST_CREDENTIALS, QueueEntry, entry_id},
};
use crate::{
    clock::elapsed,
    failure_log::FailureLog,
    gotrue::Refusal,
    logout::Logout,
    outcome::{Outcome, Reason, RecordedOutcome, Scope, Stored},
    store::{Queue, StoreError, failure::Failure},
    telemetry::{metrics::Metrics, traces},
};

/// The interval between two looks for due entries.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How much longer a lease lasts than the tries of an entry can take.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
const MAX_CONCURRENT: usize = 4;
const MAX_AGE: Duration = Duration::from_hours(7 * 24);

/// Retries the logouts in the queue of a store.
#[derive(Debug)]
pub(crate) struct Worker {
    logout: Logout,
    queue: Arc<RevocationQueue>,
    failures: FailureLog,
    /// The time limit of one try.
    patience: Duration,
    metrics: Arc<Metrics>,
}

impl Worker {
    /// A worker for the queue of `logout`'s store; `None` if that has no queue.
    pub(crate) fn new(
        logout: Logout,
        failures: FailureLog,
        patience: Duration,
        metrics: Arc<Metrics>,
    ) -> Option<Arc<Self>> {
        let queue = logout.queue.clone()?;
        Some(Arc::new(Self { logout, queue, failures, patience, metrics }))
    }

    /// Runs until `stopping` is cancelled, and finishes the tries that are under way then.
    pub(crate) async fn run(self: Arc<Self>, stopping: CancellationToken) {
        let mut health = GoTrueHealth::default();
        while !stopping.is_cancelled() {
            if let Err(cause) = self.clone().run_due(&mut health, &stopping).await {
                tracing::warn!(%cause, "the worker cannot read the queue: queued logouts are not retried");
            }
            tokio::select! {
                () = sleep(POLL_INTERVAL) => {}
                () = self.queue.wait_for_recovery(health.is_failing()) => health = GoTrueHealth::default(),
                () = stopping.cancelled() => {}
            }
        }
    }

    /// Tries the due entries, as many as GoTrue's health allows.
    async fn run_due(
        self: Arc<Self>,
        health: &mut GoTrueHealth,
        stopping: &CancellationToken,
    ) -> Result<(), StoreError> {
        let Some(queue) = self.logout.store.queue() else { return Ok(()) };
        // An entry has several credentials, and each of them takes a try.
        let tries = u32::try_from(MOST_CREDENTIALS).unwrap_or(u32::MAX);
        let lease = self.patience.saturating_mul(tries) + LEASE_MARGIN;
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
            let mut fault = None;
            for tried in tries.join_all().await {
                match tried {
                    Ok(GoTrueState::Up) => *health = GoTrueHealth::default(),
                    Ok(GoTrueState::Down(refusal)) => {
                        health.record_failure(&refusal, self.now());
                    }
                    Ok(GoTrueState::Unknown) => {}
                    Err(cause) => fault = Some(cause),
                }
            }
            if let Some(fault) = fault {
                return Err(fault);
            }
        }
        Ok(())
    }

    /// Tries one entry, then removes or reschedules it.
    async fn retry(&self, entry: QueueEntry) -> Result<GoTrueState, StoreError> {
        let Some(queue) = self.logout.store.queue() else { return Ok(GoTrueState::Unknown) };
        let Some(scope) = entry.scope.known() else {
            self.reschedule(queue, entry, &Refusal::Unexpected, Reason::Unreadable).await?;
            return Ok(GoTrueState::Unknown);
        };
        if scope != Scope::Global
            && let Some(wider) = self.wider(queue, &entry, scope).await?
        {
            let pause =
                elapsed(self.now(), wider.due).min(backoff::MAX_RETRY_AFTER) + POLL_INTERVAL;
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

    /// The entry of the same session for a wider scope that this entry must wait for, the widest first.
    async fn wider(
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
            if let Some(found) = found.filter(|found| may_succeed(found) && self.can_decrypt(found))
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Whether this process can decrypt credentials of the entry.
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
            // The user asked again during the try, perhaps because of a session that began since.
            queue.reschedule(entry, Duration::ZERO, false, self.now()).await?;
        }
        if scope == Scope::Global {
            // All sessions of the user are over: the narrower logouts have nothing left to end.
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
            "a queued logout is done"
        );
        Ok(())
    }

    /// Reschedules an entry after a failure, or gives it up if it is too old.
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

    /// Gives up an entry whose credentials can revoke nothing. If a request added credentials meanwhile, the
    /// entry is due at once instead.
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
            "the worker gave up a queued logout: the session may live; end it at GoTrue if it must not"
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

/// Whether narrower entries of the session wait for this one. A client with an old access token and a refresh
/// token of another account can queue an entry of a stale session: once GoTrue has refused that entry, it must
/// not delay logouts of the session's own user.
fn may_succeed(entry: &QueueEntry) -> bool {
    let was_not_reached = matches!(
        entry.reason,
        Stored::Known(Reason::AuthServiceUnavailable | Reason::AuthServiceTimeout)
    );
    !entry.is_stale() || entry.attempts == 0 || was_not_reached
}
