//! Putting a logout into the queue.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::error::Unspecified;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Notify;

use super::{
    backoff,
    bounds::{Bounds, QueueFullError},
    credentials::{CannotOpen, Credentials, Seal},
    entry::{QueueEntry, SealedCredentials, entry_id},
};
use crate::{
    gotrue::Refusal,
    logout::{LogoutRequest, outcome::Stored},
    session::{Proof, Session},
    store::{Queue, StoreError},
};

/// The longest refresh token that is kept, in bytes. GoTrue's have some dozens of characters; a client may
/// send any, and several with one access token.
const LONGEST_REFRESH_TOKEN: usize = 4096;

/// Puts logouts into the queue of a store, sealed and within its bounds.
#[derive(Debug)]
pub struct RevocationQueue {
    seal: Seal,
    bounds: Bounds,
    /// The worker has found GoTrue failing.
    failing: AtomicBool,
    well: Notify,
}

/// Why a logout could not be queued.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// The access token has expired, and the refresh token is too long to be kept: nothing is left to ask
    /// GoTrue with.
    #[error("its refresh token is too long to be one of GoTrue's")]
    NoCredentials,
    /// There is no room for it.
    #[error(transparent)]
    Full(#[from] QueueFullError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness.
    #[error("the system gives no random numbers")]
    Random(#[from] Unspecified),
}

impl RevocationQueue {
    /// Seals credentials by `seal` and keeps within `bounds`.
    #[must_use]
    pub fn new(seal: Seal, bounds: Bounds) -> Self {
        Self { seal, bounds, failing: AtomicBool::new(false), well: Notify::new() }
    }

    /// GoTrue has answered a request: wakes the worker if it waits for GoTrue to recover.
    pub fn gotrue_is_well(&self) {
        if self.failing.load(Ordering::Relaxed) {
            self.well.notify_one();
        }
    }

    /// Waits for [`RevocationQueue::gotrue_is_well`], which wakes only while GoTrue is `failing`.
    pub async fn until_well(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
        self.well.notified().await;
    }

    /// Opens credentials of an entry.
    ///
    /// # Errors
    /// [`CannotOpen`].
    pub fn open(
        &self,
        sealed: &SealedCredentials,
        entry: &QueueEntry,
    ) -> Result<Credentials, CannotOpen> {
        self.seal.open(sealed, entry)
    }

    /// Puts the logout of `session` into `queue`, or its credentials into the entry that the session has
    /// there for this scope. Once that is done, it survives a restart.
    ///
    /// # Errors
    /// [`EnqueueError`].
    pub async fn enqueue(
        &self,
        queue: &dyn Queue,
        session: &Session,
        asked: LogoutRequest<'_>,
        refusal: &Refusal,
        now: SystemTime,
    ) -> Result<(), EnqueueError> {
        let credentials = credentials(session, asked);
        if session.expired && credentials.refresh_token.is_none() {
            return Err(EnqueueError::NoCredentials);
        }
        let mut entry = entry(session, asked, refusal, milliseconds(now));
        let proven = session.proof == Proof::Proven;
        let sealed = self.seal.seal(&credentials, &entry, proven)?;
        entry.credentials.push(sealed);
        let pause = backoff::after(0, refusal, now);
        queue.enqueue(&entry, pause, &self.bounds, entry.queued_at).await??;
        Ok(())
    }
}

fn entry(session: &Session, asked: LogoutRequest<'_>, refusal: &Refusal, now: i64) -> QueueEntry {
    let claims = &session.claims;
    QueueEntry {
        id: entry_id(claims.session_id, asked.scope),
        request_id: asked.caller.request_id().to_owned(),
        route: asked.route.clone(),
        scope: Stored::Known(asked.scope),
        user_id: claims.sub,
        session_id: claims.session_id,
        tried: asked.tried_before,
        was_over: asked.was_over,
        queued_at: now,
        renewed_at: 0,
        due: now,
        failed_at: 0,
        attempts: 0,
        reason: Stored::Known(refusal.reason()),
        revision: 0,
        credentials: Vec::new(),
    }
}

fn credentials(session: &Session, asked: LogoutRequest<'_>) -> Credentials {
    let (claims, caller) = (&session.claims, asked.caller);
    let is_kept = |token: &&SecretString| token.expose_secret().len() <= LONGEST_REFRESH_TOKEN;
    let refresh_token = session.refresh_token.as_ref().filter(is_kept);
    Credentials {
        access_token: session.access_token.clone(),
        refresh_token: refresh_token.cloned(),
        exp: claims.exp,
        iat: claims.iat,
        forwarded_for: caller.forwarded_for.to_str().unwrap_or_default().to_owned(),
        user_agent: caller.user_agent.as_ref().and_then(|a| a.to_str().ok()).map(str::to_owned),
    }
}

/// Milliseconds since the Unix epoch.
#[must_use]
pub fn milliseconds(time: SystemTime) -> i64 {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}
