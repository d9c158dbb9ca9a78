//! Putting a logout into the queue.

use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::error::Unspecified;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Notify;

use super::{
    backoff,
    bounds::{Bounds, QueueFullError},
    credentials::{Credentials, Seal, UnsealError},
    entry::{NEVER, QueueEntry, SealedCredentials, entry_id},
};
use crate::{
    gotrue::Refusal,
    http::error::Error,
    logout::LogoutRequest,
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
    pub fn report_gotrue_answered(&self) {
        if self.failing.load(Ordering::Relaxed) {
            self.well.notify_one();
        }
    }

    /// Waits for [`RevocationQueue::report_gotrue_answered`], which wakes only while GoTrue is `failing`.
    pub async fn wait_for_recovery(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
        self.well.notified().await;
    }

    /// Opens credentials of an entry.
    ///
    /// # Errors
    /// [`UnsealError`].
    pub fn open(
        &self,
        sealed: &SealedCredentials,
        entry: &QueueEntry,
    ) -> Result<Credentials, UnsealError> {
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
        now: Timestamp,
    ) -> Result<(), EnqueueError> {
        let credentials = credentials(session, asked);
        if session.expired && credentials.refresh_token.is_none() {
            return Err(EnqueueError::NoCredentials);
        }
        let mut entry = entry(session, asked, refusal, now);
        let proven = session.proof == Proof::Proven;
        let sealed = self.seal.seal(&credentials, &entry, proven)?;
        entry.credentials.push(sealed);
        let pause = backoff::after(0, refusal, now);
        queue.enqueue(&entry, pause, &self.bounds, now).await??;
        Ok(())
    }
}

fn entry(
    session: &Session,
    asked: LogoutRequest<'_>,
    refusal: &Refusal,
    now: Timestamp,
) -> QueueEntry {
    let claims = &session.claims;
    QueueEntry {
        id: entry_id(claims.session_id, asked.scope),
        request_id: asked.caller.request_id().to_owned(),
        route: asked.route.to_owned(),
        scope: asked.scope.as_str().to_owned(),
        user_id: claims.sub,
        session_id: claims.session_id,
        tried: asked.tried_before,
        was_over: asked.was_over,
        queued_at: now,
        renewed_at: NEVER,
        due: now,
        failed_at: NEVER,
        attempts: 0,
        reason: Error::from(refusal.clone()).reason().to_owned(),
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
