//! Tries the credentials of one queue entry, newest first, and decides what happens to the entry.

use std::sync::Arc;

use tokio::time::Instant;

use super::{QueueEntry, Worker};
use crate::{
    gotrue::{OnBehalfOf, Refusal},
    logout::{LogoutReport, LogoutRequest, LogoutResult},
    outcome::{Reason, Scope},
    queue::credentials::Credentials,
    session::{
        Carrier, Proof, Session,
        token::{Claims, TokenError},
        verifier::SignatureStatus,
    },
    store::entry::SealedCredentials,
};

/// The result of a try, as far as it shows whether GoTrue works.
#[derive(Debug)]
pub(super) enum GoTrueState {
    /// GoTrue answered the request for this session, so it works.
    Up,
    /// GoTrue itself failed, so other entries would fail too.
    Down(Refusal),
    /// The try shows nothing about GoTrue: no request was made, or the answer concerns only one client.
    Unknown,
}

/// The decision about the entry after a try.
#[derive(Debug)]
pub(super) enum Decision {
    /// GoTrue confirmed the logout, or the session had already ended: remove the entry.
    Done { already_ended: bool },
    /// The credentials can never end the session: give up the entry if it has no others.
    Hopeless { reason: Reason, upstream_status: Option<u16> },
    /// A later try may succeed: reschedule the entry. `unknown`: GoTrue may have ended the session without an
    /// answer reaching the gateway. `of_credentials`: the failure concerns these credentials, so that the
    /// entry's other credentials may succeed now.
    Later { refusal: Refusal, reason: Reason, unknown: bool, of_credentials: bool },
}

impl Decision {
    /// Whether the entry's other credentials would give the same result, so that they need not be tried.
    fn is_about_the_session(&self) -> bool {
        match self {
            Self::Done { .. } => true,
            Self::Hopeless { reason, .. } => *reason == Reason::NotFound,
            Self::Later { of_credentials, .. } => !of_credentials,
        }
    }
}

impl Worker {
    /// Tries the entry's credentials until one result applies to the session and not only to the credentials.
    /// If there is no such result and some credentials may succeed later, the decision is to try later.
    pub(super) async fn try_credentials(
        &self,
        entry: &QueueEntry,
        scope: Scope,
    ) -> (GoTrueState, Decision) {
        let mut best = (
            GoTrueState::Unknown,
            Decision::Hopeless { reason: Reason::Expired, upstream_status: None },
        );
        for sealed in &entry.credentials {
            let (tried, decision) = match self.queue.open(sealed, entry) {
                Ok(credentials) => self.try_one_set(entry, sealed, &credentials, scope).await,
                Err(cause) => {
                    tracing::error!(
                        request_id = entry.request_id, %cause,
                        "the worker cannot decrypt a queued logout: set GATEWAY_SECRET_PREVIOUS to the \
                         secret that it was queued with"
                    );
                    let (refusal, reason, unknown) =
                        (Refusal::Unexpected, Reason::Unreadable, false);
                    let of_credentials = true;
                    (
                        GoTrueState::Unknown,
                        Decision::Later { refusal, reason, unknown, of_credentials },
                    )
                }
            };
            if decision.is_about_the_session() {
                return (tried, decision);
            }
            if matches!(decision, Decision::Later { .. })
                || matches!(best.1, Decision::Hopeless { .. })
            {
                best = (tried, decision);
            }
        }
        best
    }

    async fn try_one_set(
        &self,
        entry: &QueueEntry,
        sealed: &SealedCredentials,
        credentials: &Credentials,
        scope: Scope,
    ) -> (GoTrueState, Decision) {
        let session = self.session(entry, sealed, credentials);
        let caller = credentials.caller(&entry.request_id);
        let request = logout_request(entry, scope, &caller);
        if scope == Scope::Local && self.logout.has_ended(&session).await {
            return (GoTrueState::Unknown, Decision::Done { already_ended: true });
        }
        let deadline = Instant::now() + self.try_timeout;
        let mut report = self.logout.retry(&session, request, deadline).await;
        let is_foreign = report.result == LogoutResult::NotGenuine(TokenError::ForeignRefresh);
        if session.expired && (is_foreign || report.result == LogoutResult::Expired) {
            // The gateway's clock may be ahead, so that the access token has not really expired. Send it to
            // GoTrue without refreshing it.
            let unrefreshed =
                Session { expired: false, refresh_tokens: Vec::new(), ..session.clone() };
            report = self.logout.retry(&unrefreshed, request, deadline).await;
        }
        let LogoutReport { result, upstream_status, unknown, .. } = report;
        let hopeless = |reason| Decision::Hopeless { reason, upstream_status };
        match result {
            LogoutResult::Revoked => (GoTrueState::Up, Decision::Done { already_ended: false }),
            LogoutResult::AlreadyEnded => (GoTrueState::Up, Decision::Done { already_ended: true }),
            LogoutResult::OthersLiveOn => (GoTrueState::Up, hopeless(Reason::NotFound)),
            // GoTrue answered `bad_jwt` although the token has not expired: GoTrue's clock or keys may be
            // wrong. Try later.
            LogoutResult::NotGenuine(_) | LogoutResult::Expired if !session.expired => {
                let (refusal, reason) = (Refusal::BadJwt, Reason::Invalid);
                let later = Decision::Later { refusal, reason, unknown, of_credentials: true };
                (GoTrueState::Up, later)
            }
            LogoutResult::NotGenuine(_) | LogoutResult::Expired => (
                GoTrueState::Up,
                hopeless(if is_foreign { Reason::Invalid } else { Reason::Expired }),
            ),
            LogoutResult::Queued(refusal) | LogoutResult::Failed(refusal) => {
                let reason = refusal.reason();
                let is_of_client = is_limit_of_client(&refusal, upstream_status);
                let of_credentials = is_of_client || !refusal.is_passing();
                let tried = match &refusal {
                    _ if is_of_client => GoTrueState::Unknown,
                    refusal if refusal.is_about_gotrue() => GoTrueState::Down(refusal.clone()),
                    Refusal::UserBanned => GoTrueState::Up,
                    _ => GoTrueState::Unknown,
                };
                (tried, Decision::Later { refusal, reason, unknown, of_credentials })
            }
        }
    }

    fn session(
        &self,
        entry: &QueueEntry,
        sealed: &SealedCredentials,
        credentials: &Credentials,
    ) -> Session {
        let claims = Claims {
            sub: entry.user_id,
            session_id: entry.session_id,
            exp: credentials.exp,
            iat: credentials.iat,
            nbf: None,
            role: None,
            aal: None,
            is_anonymous: false,
            client_id: None,
        };
        let expired = claims.expired(self.logout.clock.unix_seconds());
        Session {
            proof: if sealed.proven && !expired { Proof::Proven } else { Proof::Stale },
            expired,
            claims: Arc::new(claims),
            signature: SignatureStatus::Verified,
            access_token: Arc::new(credentials.access_token.clone()),
            refresh_tokens: credentials.refresh_token.iter().cloned().collect(),
            carrier: Carrier::Cookie,
        }
    }

    /// Records the session of an entry with proven credentials in the revocation list, although GoTrue has
    /// not ended it. This needs only the entry's ids, so it works even if the credentials cannot be
    /// decrypted.
    pub(super) async fn record_as_revoked(&self, entry: &QueueEntry) {
        let proven = entry.credentials.iter().filter(|sealed| sealed.proven);
        let (Some(scope), Some(sealed)) =
            (entry.scope.known(), proven.max_by_key(|sealed| sealed.exp))
        else {
            return;
        };
        let credentials = Credentials::without_tokens(sealed.exp);
        let session = self.session(entry, sealed, &credentials);
        let caller = credentials.caller(&entry.request_id);
        let request = logout_request(entry, scope, &caller);
        self.logout.record_unended(&session, request).await;
    }
}

fn logout_request<'a>(
    entry: &'a QueueEntry,
    scope: Scope,
    caller: &'a OnBehalfOf,
) -> LogoutRequest<'a> {
    let QueueEntry { ref route, tried: tried_before, was_over, .. } = *entry;
    LogoutRequest { scope, route, caller, tried_before, was_over }
}

/// Whether a 429 concerns one client only. This is so if GoTrue answered 429 to the token refresh, before any
/// logout request was sent: GoTrue limits refreshes for each forwarded client address
/// (`GOTRUE_RATE_LIMIT_TOKEN_REFRESH`). If such a 429 counted as a failure of GoTrue, one client could delay
/// the logouts of all users.
fn is_limit_of_client(refusal: &Refusal, status_of_logout: Option<u16>) -> bool {
    matches!(refusal, Refusal::RateLimited { .. }) && status_of_logout.is_none()
}
