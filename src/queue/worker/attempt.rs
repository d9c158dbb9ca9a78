//! Trying the credentials of one entry, the newest first.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Entry, Worker};
use crate::{
    config::Scope,
    error::Error,
    gotrue::Refusal,
    logout::{Asked, Ended, Outcome},
    queue::{credentials::Credentials, entry::SealedCredentials},
    session::{
        Carrier, Proof, Session,
        token::{Claims, TokenFault},
        verifier::Standing,
    },
};

/// What a try shows about GoTrue's health.
#[derive(Debug)]
pub(super) enum Tried {
    /// GoTrue answered for this session.
    Answered,
    /// GoTrue itself is not well.
    GoTrueFailed(Refusal),
    /// GoTrue was not asked, or did not answer for this session.
    Nothing,
}

/// What becomes of the entry.
#[derive(Debug)]
pub(super) enum Settled {
    /// GoTrue confirmed.
    Done { already_ended: bool },
    /// Nothing is left to revoke it with.
    Hopeless { reason: &'static str, upstream_status: Option<u16> },
    /// It may succeed later.
    Later { refusal: Refusal, reason: &'static str, unknown: bool },
}

impl Settled {
    /// Whether other credentials of the session would settle the same.
    fn is_about_the_session(&self) -> bool {
        match self {
            Self::Done { .. } => true,
            Self::Hopeless { reason, .. } => *reason == "not_found",
            // Any other refusal may be about these credentials alone.
            Self::Later { refusal, .. } => refusal.is_passing(),
        }
    }
}

impl Worker {
    /// Tries the entry's credentials until one of them settles what becomes of it. An entry that may
    /// succeed later by some of its credentials is not given up for the others.
    pub(super) async fn try_credentials(&self, entry: &Entry, scope: Scope) -> (Tried, Settled) {
        let mut best =
            (Tried::Nothing, Settled::Hopeless { reason: "expired", upstream_status: None });
        for sealed in &entry.credentials {
            let (tried, settled) = match self.queue.open(sealed, entry) {
                Ok(credentials) => self.try_one(entry, sealed, &credentials, scope).await,
                Err(cause) => {
                    tracing::error!(
                        request_id = entry.request_id, %cause,
                        "the worker cannot decrypt a queued logout: set GATEWAY_SECRET_PREVIOUS to the \
                         secret that it was queued with"
                    );
                    let refusal = Refusal::Unexpected;
                    (
                        Tried::Nothing,
                        Settled::Later { refusal, reason: "unreadable", unknown: false },
                    )
                }
            };
            if settled.is_about_the_session() {
                return (tried, settled);
            }
            if matches!(settled, Settled::Later { .. })
                || matches!(best.1, Settled::Hopeless { .. })
            {
                best = (tried, settled);
            }
        }
        best
    }

    async fn try_one(
        &self,
        entry: &Entry,
        sealed: &SealedCredentials,
        credentials: &Credentials,
        scope: Scope,
    ) -> (Tried, Settled) {
        let session = self.session(entry, sealed, credentials);
        let caller = credentials.caller(&entry.request_id);
        let asked =
            Asked { scope, route: &entry.route, caller: &caller, tried_before: entry.tried };
        if scope == Scope::Local && self.logout.is_over(&session).await {
            return (Tried::Nothing, Settled::Done { already_ended: true });
        }
        let deadline = Instant::now() + self.patience;
        let Ended { outcome, upstream_status, unknown, .. } =
            self.logout.retry(&session, asked, deadline).await;
        let hopeless = |reason| Settled::Hopeless { reason, upstream_status };
        match outcome {
            Outcome::Revoked => (Tried::Answered, Settled::Done { already_ended: false }),
            Outcome::AlreadyEnded => (Tried::Answered, Settled::Done { already_ended: true }),
            Outcome::OthersLiveOn => (Tried::Answered, hopeless("not_found")),
            // GoTrue may have been restarted with other keys: a token that has not expired is tried again.
            Outcome::NotGenuine(TokenFault::Signature) if !session.expired => {
                let refusal = Refusal::BadJwt;
                (Tried::Answered, Settled::Later { refusal, reason: "invalid", unknown })
            }
            Outcome::NotGenuine(_) => (Tried::Answered, hopeless("invalid")),
            // Mostly there was no refresh token to ask with.
            Outcome::Expired => (Tried::Nothing, hopeless("expired")),
            Outcome::Queued(refusal) | Outcome::Failed(refusal) => {
                let reason = Error::from(refusal.clone()).reason();
                let tried = match &refusal {
                    refusal if refusal.is_about_gotrue() => Tried::GoTrueFailed(refusal.clone()),
                    Refusal::UserBanned => Tried::Answered,
                    _ => Tried::Nothing,
                };
                (tried, Settled::Later { refusal, reason, unknown })
            }
        }
    }

    fn session(
        &self,
        entry: &Entry,
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
            standing: Standing::Verified,
            access_token: credentials.access_token.clone(),
            refresh_token: credentials.refresh_token.clone(),
            carrier: Carrier::Cookie,
        }
    }

    /// Keeps the session of a proven entry on the revocation list, though GoTrue has not ended it.
    pub(super) async fn keep_refusing(&self, entry: &Entry) {
        let proven = entry.credentials.iter().filter(|sealed| sealed.proven);
        for sealed in proven {
            let (Some(scope), Ok(credentials)) =
                (Scope::parse(&entry.scope), self.queue.open(sealed, entry))
            else {
                continue;
            };
            let session = self.session(entry, sealed, &credentials);
            let caller = credentials.caller(&entry.request_id);
            let asked =
                Asked { scope, route: &entry.route, caller: &caller, tried_before: entry.tried };
            return self.logout.record_unended(&session, asked).await;
        }
    }
}
