//! Putting a logout into the queue.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    backoff,
    credentials::{CannotOpen, Credentials, Seal},
    entry::Entry,
};
use crate::{
    error::Error,
    gotrue::Refusal,
    logout::Asked,
    session::{Session, verifier::Standing},
    store::{Queue, StoreFault},
};
use aws_lc_rs::error::Unspecified;
use tokio::sync::Notify;

/// More entries are not taken: a long outage shall not fill the disk.
pub const MOST_ENTRIES: usize = 100_000;
/// Nor, with so many waiting, logouts whose token nobody has verified: a flood of made-up ones shall
/// not take the places of genuine ones.
pub const MOST_UNVERIFIED: usize = 10_000;

/// Puts logouts into a queue.
#[derive(Debug)]
pub struct Postponing {
    seal: Seal,
    /// Entries wait because GoTrue failed.
    failing: AtomicBool,
    well: Notify,
}

/// Why a logout could not be postponed.
#[derive(Debug, thiserror::Error)]
pub enum CannotPostpone {
    /// There are [`MOST_ENTRIES`], or [`MOST_UNVERIFIED`] for one that is not verified.
    #[error("the queue is full")]
    Full,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// No randomness.
    #[error("the system gives no random numbers")]
    Random(#[from] Unspecified),
}

impl Postponing {
    /// Credentials are sealed by `seal`.
    #[must_use]
    pub fn new(seal: Seal) -> Self {
        Self { seal, failing: AtomicBool::new(false), well: Notify::new() }
    }

    /// GoTrue has answered somebody: who waits for it to be well need not wait longer.
    pub fn gotrue_is_well(&self) {
        if self.failing.load(Ordering::Relaxed) {
            self.well.notify_one();
        }
    }

    /// Waits for [`Postponing::gotrue_is_well`], of which is told only while GoTrue is `failing`.
    pub async fn until_well(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
        self.well.notified().await;
    }

    /// The credentials of an entry.
    ///
    /// # Errors
    /// [`CannotOpen`].
    pub fn opened(&self, entry: &Entry) -> Result<Credentials, CannotOpen> {
        self.seal.open(entry)
    }

    /// Puts the logout of `session` into `queue`; once that is done, it survives.
    ///
    /// # Errors
    /// [`CannotPostpone`].
    pub async fn postpone(
        &self,
        queue: &dyn Queue,
        session: &Session,
        asked: Asked<'_>,
        refusal: &Refusal,
        now: SystemTime,
    ) -> Result<(), CannotPostpone> {
        let verified = session.standing == Standing::Verified;
        let most = if verified { MOST_ENTRIES } else { MOST_UNVERIFIED };
        if queue.waiting().await? >= most {
            return Err(CannotPostpone::Full);
        }
        let (claims, caller) = (&session.claims, asked.caller);
        let credentials = Credentials {
            access_token: session.access_token.clone(),
            refresh_token: session.refresh_token.clone(),
            exp: claims.exp,
            iat: claims.iat,
            forwarded_for: caller.forwarded_for.to_str().unwrap_or_default().to_owned(),
            user_agent: caller.user_agent.as_ref().and_then(|a| a.to_str().ok()).map(str::to_owned),
        };
        let now = milliseconds(now);
        let mut entry = Entry {
            id: self.seal.id(&credentials, asked.scope),
            request_id: caller.request_id().to_owned(),
            route: asked.route.to_owned(),
            scope: asked.scope.as_str().to_owned(),
            user_id: claims.sub,
            session_id: claims.session_id,
            verified,
            tried: asked.tried_before,
            queued_at: now,
            due: now + backoff::after(0, refusal, now),
            attempts: 0,
            reason: Error::from(refusal.clone()).reason().to_owned(),
            key_id: String::new(),
            sealed: String::new(),
        };
        self.seal.seal(&credentials, &mut entry)?;
        Ok(queue.put(&entry).await?)
    }
}

/// Milliseconds since the Unix epoch.
#[must_use]
pub fn milliseconds(time: SystemTime) -> i64 {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
