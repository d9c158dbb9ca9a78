//! Tries the credentials of one entry, the newest first.

use std::sync::Arc;

use tokio::time::Instant;

use super::{QueueEntry, Worker};
use crate::{
    gotrue::{OnBehalfOf, Refusal},
    logout::{LogoutReport, LogoutRequest, LogoutResult},
    outcome::{Reason, Scope},
    queue::{credentials::Credentials, entry::SealedCredentials},
    session::{
        Carrier, Proof, Session,
        token::{Claims, TokenError},
        verifier::SignatureStatus,
    },
};

/// The result of a try for GoTrue's health.
#[derive(Debug)]
pub(super) enum GoTrueState {
    /// GoTrue answered for this session.
    Up,
    /// GoTrue itself failed.
    Down(Refusal),
    /// GoTrue was not asked, or its answer concerns one client only.
    Unknown,
}

/// What the worker does with the entry after a try.
#[derive(Debug)]
pub(super) enum Decision {
    /// GoTrue confirmed the logout.
    Done { already_ended: bool },
    /// The credentials can revoke nothing.
    Hopeless { reason: Reason, upstream_status: Option<u16> },
    /// A later try may succeed. `of_credentials`: other credentials of the session may succeed now.
    Later { refusal: Refusal, reason: Reason, unknown: bool, of_credentials: bool },
}

impl Decision {
    /// Whether other credentials of the session would give the same result.
    fn is_about_the_session(&self) -> bool {
        match self {
            Self::Done { .. } => true,
            Self::Hopeless { reason, .. } => *reason == Reason::NotFound,
            Self::Later { of_credentials, .. } => !of_credentials,
        }
    }
}

impl Worker {
    /// Tries the entry's credentials until the result is that of the session. The worker does not give up an
    /// entry while some of its credentials may succeed later.
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
        let asked = logout_request(entry, scope, &caller);
        if scope == Scope::Local && self.logout.is_over(&session).await {
            return (GoTrueState::Unknown, Decision::Done { already_ended: true });
        }
        let deadline = Instant::now() + self.patience;
        let mut ended = self.logout.retry(&session, asked, deadline).await;
        let is_foreign = ended.result == LogoutResult::NotGenuine(TokenError::ForeignRefresh);
        if session.expired && (is_foreign || ended.result == LogoutResult::Expired) {
            // The gateway's clock may be ahead, so GoTrue must judge the access token itself.
            let as_it_is = Session { expired: false, refresh_token: None, ..session.clone() };
            ended = self.logout.retry(&as_it_is, asked, deadline).await;
        }
        let LogoutReport { result, upstream_status, unknown, .. } = ended;
        let hopeless = |reason| Decision::Hopeless { reason, upstream_status };
        match result {
            LogoutResult::Revoked => (GoTrueState::Up, Decision::Done { already_ended: false }),
            LogoutResult::AlreadyEnded => (GoTrueState::Up, Decision::Done { already_ended: true }),
            LogoutResult::OthersLiveOn => (GoTrueState::Up, hopeless(Reason::NotFound)),
            // `bad_jwt`, though the token has not expired: GoTrue's clock or its keys may be wrong.
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
        };
        let expired = claims.expired(self.logout.clock.unix_seconds());
        Session {
            proof: if sealed.proven && !expired { Proof::Proven } else { Proof::Stale },
            expired,
            claims: Arc::new(claims),
            signature: SignatureStatus::Verified,
            access_token: credentials.access_token.clone(),
            refresh_token: credentials.refresh_token.clone(),
            carrier: Carrier::Cookie,
        }
    }

    /// Keeps the session of a proven entry on the revocation list, although GoTrue has not ended it. This needs
    /// only the entry's ids: the secret of its credentials may be lost.
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
        let asked = logout_request(entry, scope, &caller);
        self.logout.record_unended(&session, asked).await;
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

/// Whether a 429 concerns one client only: GoTrue answered the token refresh with it, so there is no status of
/// a logout. GoTrue limits refreshes by the forwarded address (`GOTRUE_RATE_LIMIT_TOKEN_REFRESH`): if that
/// counted for GoTrue's health, one account could delay the logouts of all.
fn is_limit_of_client(refusal: &Refusal, status_of_logout: Option<u16>) -> bool {
    matches!(refusal, Refusal::RateLimited { .. }) && status_of_logout.is_none()
}
