//! The one task of a process that asks GoTrue again for what was postponed.
//!
//! 1. An entry is removed once GoTrue confirmed, or once nothing more can be done and the failure log
//!    says so: the token has expired and cannot be refreshed, the session is gone and its siblings
//!    live on, or seven days are over.
//! 2. While GoTrue fails, all entries wait and one probes, ever more rarely. A GoTrue that is well gets
//!    a few at a time: a stock one manages 20 logouts in a second.
//! 3. Whoever is killed while asking leaves a lease that ends by itself; asking twice does no harm.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    backoff::{self, LONGEST},
    credentials::{CannotOpen, Credentials},
    entry::Entry,
    postponing::{Postponing, milliseconds},
};
use crate::{
    config::Scope,
    error::Error,
    gotrue::Refusal,
    logout::{Asked, Ended, Logout, Outcome},
    session::{Carrier, Proof, Session, token::Claims, verifier::Standing},
    store::{Queue, StoreFault, failure::Failure},
    telemetry::{metrics::Metrics, traces},
};

/// How often it looks for what is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How much longer than a try a lease lasts.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
const AT_A_TIME: usize = 4;
const GIVE_UP_AFTER: Duration = Duration::from_hours(7 * 24);

/// Works off the queue of a store.
#[derive(Debug)]
pub struct Worker {
    logout: Logout,
    postponing: Arc<Postponing>,
    /// How long GoTrue may take for one entry.
    patience: Duration,
    metrics: Arc<Metrics>,
}

/// What GoTrue was like the last time.
#[derive(Debug, Default)]
struct Health {
    /// Failures in a row.
    failures: u32,
    /// Nobody is asked before; milliseconds since the Unix epoch.
    wait_until: i64,
}

/// What is known after a try.
enum Tried {
    /// GoTrue answered for this session.
    Answered,
    /// GoTrue is not well.
    Failed(Refusal),
    /// It was not asked.
    Nothing,
}

impl Worker {
    /// For the queue of `logout`'s store, unless it has none.
    #[must_use]
    pub fn new(logout: Logout, patience: Duration, metrics: Arc<Metrics>) -> Option<Arc<Self>> {
        let postponing = logout.postponing.clone()?;
        Some(Arc::new(Self { logout, postponing, patience, metrics }))
    }

    /// Works until `stopping`; what has been begun then is brought to its end.
    pub async fn run(self: Arc<Self>, stopping: CancellationToken) {
        let mut health = Health::default();
        while !stopping.is_cancelled() {
            if let Err(cause) = self.clone().work(&mut health, &stopping).await {
                tracing::warn!(%cause, "the queue cannot be worked off");
            }
            tokio::select! {
                () = sleep(LOOK_EVERY) => {}
                () = self.postponing.until_well(health.failures > 0) => health = Health::default(),
                () = stopping.cancelled() => {}
            }
        }
    }

    /// Tries what is due, as much as GoTrue's health allows.
    async fn work(
        self: Arc<Self>,
        health: &mut Health,
        stopping: &CancellationToken,
    ) -> Result<(), StoreFault> {
        let Some(queue) = self.logout.store.queue() else { return Ok(()) };
        while !stopping.is_cancelled() {
            let now = self.now();
            if health.waits(now) {
                break;
            }
            let most = if health.failures == 0 { AT_A_TIME } else { 1 };
            let lease = i64::try_from((self.patience + LEASE_MARGIN).as_millis());
            let until = now.saturating_add(lease.unwrap_or(i64::MAX));
            let leased = queue.lease(now, until, most).await?;
            if leased.is_empty() {
                break;
            }
            let mut tries = JoinSet::new();
            for entry in leased {
                let worker = self.clone();
                let span = traces::retry(&entry.request_id);
                tries.spawn(async move { worker.try_again(entry, until).await }.instrument(span));
            }
            let mut faults = Vec::new();
            for tried in tries.join_all().await {
                match tried {
                    Ok(Tried::Answered) => *health = Health::default(),
                    Ok(Tried::Failed(refusal)) => health.failed(&refusal, self.now()),
                    Ok(Tried::Nothing) => {}
                    Err(fault) => faults.push(fault),
                }
            }
            if let Some(fault) = faults.pop() {
                return Err(fault);
            }
        }
        Ok(())
    }

    async fn try_again(&self, entry: Entry, leased_until: i64) -> Result<Tried, StoreFault> {
        let Some(queue) = self.logout.store.queue() else { return Ok(Tried::Nothing) };
        let (scope, credentials) = match self.readable(&entry) {
            Ok(readable) => readable,
            Err(cause) => {
                tracing::error!(request_id = entry.request_id, %cause, "a postponed logout cannot be read");
                self.put_off(queue, entry, leased_until, &Refusal::Unexpected, "unreadable")
                    .await?;
                return Ok(Tried::Nothing);
            }
        };
        let session = self.session(&entry, &credentials);
        let caller = credentials.caller(&entry.request_id);
        let Entry { ref route, tried, .. } = entry;
        let asked = Asked { scope, route, caller: &caller, tried_before: tried };
        let deadline = Instant::now() + self.patience;
        let Ended { outcome, upstream_status, unknown, .. } =
            self.logout.end_at_last(&session, asked, deadline).await;
        let (reason, tried) = match outcome {
            Outcome::Revoked | Outcome::AlreadyEnded => {
                self.done(queue, &entry, &outcome).await?;
                return Ok(Tried::Answered);
            }
            Outcome::OthersLiveOn => ("not_found", Tried::Answered),
            Outcome::NotGenuine(_) => ("invalid", Tried::Answered),
            // Mostly there was nothing to ask with.
            Outcome::Expired => ("expired", Tried::Nothing),
            Outcome::Failed(Refusal::RefreshTokenUsed) => {
                ("refresh_token_already_used", Tried::Answered)
            }
            Outcome::Queued(refusal) | Outcome::Failed(refusal) => {
                let reason = Error::from(refusal.clone()).reason();
                let entry = Entry { tried: tried || unknown, ..entry };
                self.put_off(queue, entry, leased_until, &refusal, reason).await?;
                let failed = refusal.is_passing();
                return Ok(if failed { Tried::Failed(refusal) } else { Tried::Answered });
            }
        };
        self.give_up(queue, &entry, reason, upstream_status).await?;
        Ok(tried)
    }

    fn readable(&self, entry: &Entry) -> Result<(Scope, Credentials), CannotOpen> {
        let scope = Scope::parse(&entry.scope).ok_or(CannotOpen::Damaged)?;
        Ok((scope, self.postponing.opened(entry)?))
    }

    fn session(&self, entry: &Entry, credentials: &Credentials) -> Session {
        let claims = Claims {
            sub: entry.user_id,
            session_id: entry.session_id,
            exp: credentials.exp,
            iat: credentials.iat,
            nbf: None,
            role: None,
            aal: None,
        };
        let expired = claims.expired(self.logout.clock.unix_seconds());
        let proof = match (entry.verified, expired) {
            (true, false) => Proof::Proven,
            (true, true) => Proof::Stale,
            (false, _) => Proof::Unproven,
        };
        Session {
            proof,
            expired,
            claims: Arc::new(claims),
            standing: if entry.verified { Standing::Verified } else { Standing::Unjudged },
            access_token: credentials.access_token.clone(),
            refresh_token: credentials.refresh_token.clone(),
            carrier: Carrier::Cookie,
        }
    }

    async fn done(
        &self,
        queue: &dyn Queue,
        entry: &Entry,
        outcome: &Outcome,
    ) -> Result<(), StoreFault> {
        queue.remove(entry.id).await?;
        let ended = *outcome == Outcome::AlreadyEnded;
        self.metrics.retried(if ended { "already-ended" } else { "revoked" });
        tracing::info!(
            request_id = entry.request_id,
            outcome = ?outcome,
            user_id = %entry.user_id,
            session_id = %entry.session_id,
            attempts = entry.attempts + 1,
            waited_ms = self.now() - entry.queued_at,
            "a postponed logout is done"
        );
        Ok(())
    }

    /// Later again, unless it is too late.
    async fn put_off(
        &self,
        queue: &dyn Queue,
        mut entry: Entry,
        leased_until: i64,
        refusal: &Refusal,
        reason: &str,
    ) -> Result<(), StoreFault> {
        let now = self.now();
        // A clock that was set back makes nothing old.
        let waited = now.saturating_sub(entry.queued_at).max(0).unsigned_abs();
        if Duration::from_millis(waited) >= GIVE_UP_AFTER {
            return self.give_up(queue, &entry, reason, None).await;
        }
        self.metrics.retried("failed");
        entry.attempts = entry.attempts.saturating_add(1);
        entry.due = now.saturating_add(backoff::after(entry.attempts, refusal, now));
        reason.clone_into(&mut entry.reason);
        queue.put_off(&entry, leased_until).await?;
        Ok(())
    }

    /// Never silently: the failure log has it before the queue loses it.
    async fn give_up(
        &self,
        queue: &dyn Queue,
        entry: &Entry,
        reason: &str,
        upstream_status: Option<u16>,
    ) -> Result<(), StoreFault> {
        let time = self.logout.clock.unix_seconds();
        let failure = Failure::of_entry(entry, time, "gave-up", reason, upstream_status);
        self.logout.store.note(&[failure]).await?;
        queue.remove(entry.id).await?;
        self.metrics.retried("gave-up");
        tracing::error!(
            request_id = entry.request_id,
            reason,
            user_id = %entry.user_id,
            session_id = %entry.session_id,
            attempts = entry.attempts + 1,
            upstream_status,
            "a postponed logout was given up: the session may live"
        );
        Ok(())
    }

    fn now(&self) -> i64 {
        milliseconds(self.logout.clock.now())
    }
}

impl Health {
    /// A `Retry-After` puts off its own entry for all it asks, and the others for [`LONGEST`] at most.
    fn failed(&mut self, refusal: &Refusal, now: i64) {
        let wait = backoff::after(self.failures, refusal, now).min(LONGEST);
        self.wait_until = self.wait_until.max(now.saturating_add(wait));
        self.failures = self.failures.saturating_add(1);
    }

    /// Whether nobody is asked yet. Who would have to wait longer than anybody has to, sees a clock
    /// that was set back.
    fn waits(&self, now: i64) -> bool {
        (1..=LONGEST).contains(&self.wait_until.saturating_sub(now))
    }
}
