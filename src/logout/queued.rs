//! A logout and the queue: GoTrue's failure puts the logout into the queue; a `local` logout first does the
//! wider ones that are queued for its session; a confirmed logout removes the entries that it settles.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Logout, LogoutRequest, LogoutResult, attempt::Attempt};
use crate::{
    gotrue::{Deadline, Refusal},
    outcome::{Scope, Stored},
    queue::{
        backoff,
        credentials::Credentials,
        enqueue::{EnqueueError, RevocationQueue},
        entry::{NEVER, QueueEntry, entry_id},
    },
    session::{Proof, Session},
    store::{Queue, StoreError},
};

/// The longest refresh token that is queued, in bytes. GoTrue's have some dozens of characters, but a client
/// may send any, and several with one access token.
const LONGEST_REFRESH_TOKEN: usize = 4096;

impl Logout {
    /// Puts the logout of `session`, which GoTrue failed to do because of `refusal`, into the queue.
    ///
    /// # Errors
    /// [`EnqueueError`]; then the logout is not queued.
    pub(super) async fn put_into_queue(
        &self,
        (sealing, queue): (&RevocationQueue, &dyn Queue),
        session: &Session,
        asked: LogoutRequest<'_>,
        refusal: &Refusal,
    ) -> Result<(), EnqueueError> {
        let credentials = credentials(session, asked);
        if session.expired && credentials.refresh_token.is_none() {
            return Err(EnqueueError::NoCredentials);
        }
        let now = self.clock.now();
        let entry = entry(session, asked, refusal, now);
        let (proven, pause) = (session.proof == Proof::Proven, backoff::after(0, refusal, now));
        sealing.enqueue(queue, entry, &credentials, proven, pause).await
    }

    /// Revokes what is asked for; before a `local` logout, what the same session has in the queue:
    /// without the session, GoTrue would refuse that for ever.
    pub(super) async fn revoke_widest(
        &self,
        session: &Session,
        asked: LogoutRequest<'_>,
        may_have_queued: bool,
        deadline: Deadline,
    ) -> Attempt {
        let wider = match asked.scope {
            Scope::Local if may_have_queued => Box::pin(self.queued_wider_scopes(session)).await,
            _ => Ok(Vec::new()),
        };
        let wider = match wider {
            Ok(wider) => wider,
            Err(cause) if self.is_on_list(session) => {
                let request_id = asked.caller.request_id();
                tracing::warn!(
                    request_id, %cause,
                    "the store does not say whether a wider logout of this session is queued: GoTrue is not asked \
                     to end the session, for that would make the queued one impossible"
                );
                return Attempt::without_answer(LogoutResult::Failed(Refusal::Failed));
            }
            Err(cause) => {
                tracing::warn!(%cause, "the store does not say whether a wider logout of this session is queued: GoTrue is asked to end the session \
                     alone");
                Vec::new()
            }
        };
        for (scope, entry) in wider {
            let QueueEntry { tried, was_over, .. } = entry;
            // Before a try of unknown outcome the session was as the entry says. The queued logout itself
            // has put it on the list since.
            let was_over = was_over || (!tried && asked.was_over);
            let wider = LogoutRequest { scope, tried_before: tried, was_over, ..asked };
            let attempt = Box::pin(self.revoke(session, wider, deadline)).await;
            if attempt.result != LogoutResult::Revoked {
                return attempt.of_narrower_scope();
            }
            self.record(session, wider, &attempt).await;
            Box::pin(self.remove_settled(session, scope, Some(&entry))).await;
            if scope == Scope::Global {
                return attempt;
            }
        }
        let under_way = self.begin(session, asked);
        self.revoke(session, asked, deadline).await.during(under_way)
    }

    /// Whether the list, as far as this instance knows it, has this session, or an unconfirmed `global` or
    /// `others` of it.
    ///
    /// For such a session a `local` logout is not asked of GoTrue while the queue cannot be read. It would
    /// succeed and make a queued `global` impossible, whose user was promised that all sessions end. The
    /// other sessions would live, while this one is refused by `verify` in any case and ends with its queued
    /// logout. To ask GoTrue for the widest scope that the list shows would not do instead: the list holds
    /// that for a week, so that a `local` logout could end sessions which began after the `others` was done.
    /// All other sessions are logged out while the store is down, an expired one included: hardly any of
    /// them has a wider logout in the queue.
    fn is_on_list(&self, session: &Session) -> bool {
        self.is_refused(session) || self.has_counted_cut_off(session)
    }

    /// The entries of this session in the queue, wider than `local`, that its user asked for; the widest
    /// first.
    async fn queued_wider_scopes(
        &self,
        session: &Session,
    ) -> Result<Vec<(Scope, QueueEntry)>, StoreError> {
        let Some(queue) = self.store.queue() else { return Ok(Vec::new()) };
        let mut wider = Vec::new();
        for scope in [Scope::Global, Scope::Others] {
            let entry = queue.get(entry_id(session.claims.session_id, scope)).await?;
            if let Some(entry) = entry.filter(|entry| self.is_of_user(entry, session)) {
                wider.push((scope, entry));
            }
        }
        Ok(wider)
    }

    /// The entry that a confirmed `others` of this session settles.
    pub(super) async fn queued_others(
        &self,
        session: &Session,
        asked: LogoutRequest<'_>,
    ) -> Option<QueueEntry> {
        let queue = self.store.queue().filter(|_| asked.scope == Scope::Others)?;
        queue.get(entry_id(session.claims.session_id, Scope::Others)).await.ok()?
    }

    /// Removes what a confirmed logout of this scope has settled. After `local` and `global` the session is
    /// over, and whatever is queued for it has nothing left to end. After `others` it lives, so only the entry
    /// that was there `before` GoTrue was asked goes: the user may have asked again since, because of a session
    /// that began meanwhile.
    pub(super) async fn remove_settled(
        &self,
        session: &Session,
        scope: Scope,
        before: Option<&QueueEntry>,
    ) {
        let Some(queue) = self.store.queue() else { return };
        let session = session.claims.session_id;
        let over: &[Scope] = match scope {
            Scope::Global => &[Scope::Global, Scope::Others, Scope::Local],
            Scope::Local => &[Scope::Local],
            Scope::Others => &[],
        };
        let remove = async {
            for scope in over {
                queue.remove(entry_id(session, *scope)).await?;
            }
            if let (Scope::Others, Some(entry)) = (scope, before) {
                queue.remove_unchanged(entry).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(cause) = remove.await {
            tracing::warn!(%cause, "the store did not remove a queued logout that is done: the worker tries it again, which does no harm");
        }
    }

    /// Whether the user of `session` asked for what is queued. An expired access token may come from an old
    /// log, so an entry of a stale session counts only where this request shows the same refresh token:
    /// else an old token would make the user's `local` logout a `global` one.
    fn is_of_user(&self, entry: &QueueEntry, session: &Session) -> bool {
        if !entry.is_stale() {
            return true;
        }
        let (Some(queue), Some(shown)) = (&self.queue, &session.refresh_token) else {
            return false;
        };
        let is_shown = |sealed| {
            let refresh_token = queue.open(sealed, entry).ok().and_then(|c| c.refresh_token);
            refresh_token.is_some_and(|queued| {
                let [queued, shown] =
                    [&queued, shown].map(|token| token.expose_secret().as_bytes());
                verify_slices_are_equal(queued, shown).is_ok()
            })
        };
        entry.credentials.iter().any(is_shown)
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
        route: asked.route.clone(),
        scope: Stored::Known(asked.scope),
        user_id: claims.sub,
        session_id: claims.session_id,
        tried: asked.tried_before,
        was_over: asked.was_over,
        queued_at: now,
        renewed_at: NEVER,
        due: now,
        failed_at: NEVER,
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
