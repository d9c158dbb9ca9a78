//! The effects of logouts on the queue. A logout is queued if GoTrue fails. A `local` logout first carries
//! out the logouts with wider scopes that are queued for its session. A confirmed logout removes the entries
//! that have nothing left to end.

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
    },
    session::{Proof, Session},
    store::{
        Queue, StoreError,
        entry::{NEVER, QueueEntry, entry_id},
    },
};

/// The longest refresh token that is queued, in bytes. GoTrue's refresh tokens have some dozens of
/// characters. The bound stops a client from filling the queue with long made-up ones.
const LONGEST_REFRESH_TOKEN: usize = 4096;

impl Logout {
    /// Puts a logout into the queue after GoTrue failed with `refusal`.
    ///
    /// # Errors
    /// [`EnqueueError`]; the logout is then not queued.
    pub(super) async fn put_into_queue(
        &self,
        (sealing, queue): (&RevocationQueue, &dyn Queue),
        session: &Session,
        request: LogoutRequest<'_>,
        refusal: &Refusal,
    ) -> Result<(), EnqueueError> {
        let credentials = credentials(session, request);
        if session.expired && credentials.refresh_token.is_none() {
            return Err(EnqueueError::NoCredentials);
        }
        let now = self.clock.now();
        let entry = entry(session, request, refusal, now);
        let (proven, pause) = (session.proof == Proof::Proven, backoff::after(0, refusal, now));
        sealing.enqueue(queue, entry, &credentials, proven, pause).await
    }

    /// Sends the logout to GoTrue. Before a `local` logout, the queued logouts of the same session with wider
    /// scopes are sent, because GoTrue refuses them once the session has ended.
    pub(super) async fn revoke_widest(
        &self,
        session: &Session,
        request: LogoutRequest<'_>,
        may_have_queued: bool,
        deadline: Deadline,
    ) -> Attempt {
        let wider = match request.scope {
            Scope::Local if may_have_queued => Box::pin(self.queued_wider_scopes(session)).await,
            _ => Ok(Vec::new()),
        };
        let wider = match wider {
            Ok(wider) => wider,
            Err(cause) if self.is_on_list(session) => {
                let request_id = request.caller.request_id();
                tracing::warn!(
                    request_id, %cause,
                    "the store failed to return queued logouts of this session with a wider scope: this logout fails without asking \
                     GoTrue, because it would make such a queued logout impossible"
                );
                return Attempt::without_answer(LogoutResult::Failed(Refusal::Failed));
            }
            Err(cause) => {
                let request_id = request.caller.request_id();
                tracing::warn!(
                    request_id, %cause,
                    "the store failed to return queued logouts of this session with a wider scope: the gateway sends this logout \
                     alone to GoTrue, because no earlier logout of the session is known; check GATEWAY_STORE"
                );
                Vec::new()
            }
        };
        for (scope, entry) in wider {
            let QueueEntry { tried, was_over, .. } = entry;
            // If the queued logout was tried before, only the entry knows whether the session had ended
            // before the first try: the revocation list has the session because of the queued logout itself.
            let was_over = was_over || (!tried && request.was_over);
            let wider = LogoutRequest { scope, tried_before: tried, was_over, ..request };
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
        let under_way = self.begin(session, request);
        self.revoke(session, request, deadline).await.during(under_way)
    }

    /// Whether this instance's copy of the revocation list has this session, or an unconfirmed `global` or
    /// `others` logout of it.
    ///
    /// While the queue cannot be read, a `local` logout of such a session is not sent to GoTrue. It would
    /// succeed and make a queued `global` logout impossible, although the gateway has promised the user that
    /// all sessions end. Waiting does little harm: `/api/auth/verify` refuses this session's tokens already,
    /// and the queued logout will end the session.
    ///
    /// Sending the widest scope that the list shows instead would be wrong: the list keeps it for a week, so
    /// a `local` logout could end sessions that began after the `others` logout was done.
    ///
    /// Logouts of all other sessions are sent to GoTrue while the store is down, because hardly any of them
    /// has a logout with a wider scope in the queue.
    fn is_on_list(&self, session: &Session) -> bool {
        self.is_refused(session) || self.has_counted_cut_off(session)
    }

    /// The queued logouts of this session with scopes wider than `local` that the session's user requested,
    /// widest scope first.
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

    /// The queued `others` logout of this session, if `request` has the scope `others`: it is done once
    /// GoTrue confirms `request`.
    pub(super) async fn queued_others(
        &self,
        session: &Session,
        request: LogoutRequest<'_>,
    ) -> Option<QueueEntry> {
        let queue = self.store.queue().filter(|_| request.scope == Scope::Others)?;
        queue.get(entry_id(session.claims.session_id, Scope::Others)).await.ok()?
    }

    /// Removes the queue entries of this session that are done after GoTrue confirmed a logout with `scope`.
    /// After `local` and `global` the session has ended, so its queued logouts have nothing left to end.
    /// After `others` the session is still active. Then only `before`, the entry as it was before GoTrue was
    /// asked, is removed, and only if it has not changed: the user may have requested the logout again
    /// because of a session that began in between.
    pub(super) async fn remove_settled(
        &self,
        session: &Session,
        scope: Scope,
        before: Option<&QueueEntry>,
    ) {
        let Some(queue) = self.store.queue() else { return };
        let session = session.claims.session_id;
        let ended: &[Scope] = match scope {
            Scope::Global => &[Scope::Global, Scope::Others, Scope::Local],
            Scope::Local => &[Scope::Local],
            Scope::Others => &[],
        };
        let remove = async {
            for scope in ended {
                queue.remove(entry_id(session, *scope)).await?;
            }
            if let (Scope::Others, Some(entry)) = (scope, before) {
                queue.remove_unchanged(entry).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(cause) = remove.await {
            tracing::warn!(%cause, "the store failed to remove a queued logout that is done: the worker will try it again, which does no harm");
        }
    }

    /// Whether the user of `session` requested the queued logout. An entry with only stale credentials counts
    /// only if this request has the same refresh token, because an expired access token may come from an old
    /// log. Otherwise a thief with an old token could turn the user's `local` logout into a `global` one.
    fn is_of_user(&self, entry: &QueueEntry, session: &Session) -> bool {
        if !entry.is_stale() {
            return true;
        }
        let Some(queue) = &self.queue else { return false };
        let are_equal = |queued: &SecretString, shown: &SecretString| {
            let [queued, shown] = [queued, shown].map(|token| token.expose_secret().as_bytes());
            verify_slices_are_equal(queued, shown).is_ok()
        };
        let is_shown = |sealed| {
            let refresh_token = queue.open(sealed, entry).ok().and_then(|c| c.refresh_token);
            refresh_token.is_some_and(|queued| {
                session.refresh_tokens.iter().any(|shown| are_equal(&queued, shown))
            })
        };
        entry.credentials.iter().any(is_shown)
    }
}

fn entry(
    session: &Session,
    request: LogoutRequest<'_>,
    refusal: &Refusal,
    now: Timestamp,
) -> QueueEntry {
    let claims = &session.claims;
    QueueEntry {
        id: entry_id(claims.session_id, request.scope),
        request_id: request.caller.request_id().to_owned(),
        route: request.route.clone(),
        scope: Stored::Known(request.scope),
        user_id: claims.sub,
        session_id: claims.session_id,
        tried: request.tried_before,
        was_over: request.was_over,
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

fn credentials(session: &Session, request: LogoutRequest<'_>) -> Credentials {
    let (claims, caller) = (&session.claims, request.caller);
    let forwarded_for = caller.forwarded_for.as_ref().and_then(|address| address.to_str().ok());
    let is_kept = |token: &&SecretString| token.expose_secret().len() <= LONGEST_REFRESH_TOKEN;
    let refresh_token = session.refresh_tokens.iter().find(is_kept);
    Credentials {
        access_token: SecretString::clone(&session.access_token),
        refresh_token: refresh_token.cloned(),
        exp: claims.exp,
        iat: claims.iat,
        forwarded_for: forwarded_for.unwrap_or_default().to_owned(),
        user_agent: caller.user_agent.as_ref().and_then(|a| a.to_str().ok()).map(str::to_owned),
    }
}
