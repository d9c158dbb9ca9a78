//! Finds the session that identifies a request at `verify`.
//!
//! 1. If the request has a Bearer token of this project, that token identifies it. Otherwise the first
//!    session of the cookies that is neither revoked, expired nor ended identifies it.
//! 2. A request that also carries a revoked session of another user is refused, because the application behind
//!    the proxy may read that credential.
//! 3. While the store does not answer, no session is accepted.

use axum::http::HeaderMap;
use tokio::time::Instant;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{
    http::{
        authentication::{
            Authenticated, IntrospectionError, authenticate, authenticate_or_refetch, introspect,
            read_jar,
        },
        context::RequestContext,
        error::Error,
        headers::refuse_duplicates,
        state::AppState,
    },
    readiness::Part,
    session::{
        Credential, Proof, Session, cookies::RequestCookies, introspection::Introspection,
        token::TokenError, verifier::SignatureStatus,
    },
    store::StoreError,
    telemetry::{line_limit::LineLimit, traces},
};

/// While the store does not answer, any client could cause a log line with every request. The limit is shared by
/// all threads, because all threads write to one log.
static STORE_FAILURES: LineLimit = LineLimit::new(20);

/// Why a request has no valid session.
#[derive(Debug)]
pub(super) struct VerifyError {
    pub(super) error: Error,
    /// The access token has expired, and the request has a refresh token of its session.
    pub(super) is_refreshable: bool,
    is_expired: bool,
}

impl From<Error> for VerifyError {
    fn from(error: Error) -> Self {
        Self { error, is_refreshable: false, is_expired: false }
    }
}

impl VerifyError {
    fn expired(session: &Session) -> Self {
        let is_refreshable = !session.refresh_tokens.is_empty();
        Self { error: Error::CredentialExpired, is_refreshable, is_expired: true }
    }

    /// Which refusal is reported if the request has several sessions: first that of a revoked session that has not
    /// expired, then the one that the client or the operator can do something about.
    fn precedence(&self) -> u8 {
        match self.error {
            // The cookie of an old session must not keep the app from refreshing the present one.
            Error::SessionRevoked if self.is_expired => 2,
            Error::SessionRevoked | Error::SessionNotFound => 5,
            Error::NotReady(_) | Error::Overloaded => 4,
            Error::CredentialExpired if self.is_refreshable => 3,
            Error::CredentialExpired => 1,
            _ => 0,
        }
    }
}

/// The session that identifies the request.
pub(super) async fn find(
    app: &AppState,
    context: &RequestContext,
    headers: &HeaderMap,
) -> Result<Session, VerifyError> {
    refuse_duplicates(headers)?;
    let config = &app.config.cookies;
    let cookies = RequestCookies::of(headers, config);
    let credential = Credential::of(headers, &cookies, config, &app.verifier);
    let deadline = Instant::now() + app.config.upstream.timeout;
    let checker = SessionChecker { app, context, headers, deadline };
    let authenticated =
        authenticate(app, &credential, &cookies).instrument(traces::token_check()).await;
    let may_be_outdated = authenticated.may_be_outdated;
    match checker.identity(authenticated, &credential, &cookies).await {
        // Fetch a newer key set only for a request without a valid session: the others must not wait for it.
        Err(_) if may_be_outdated => {
            let refetched = authenticate_or_refetch(app, &credential, &cookies).await;
            checker.identity(refetched, &credential, &cookies).await
        }
        result => result,
    }
}

/// Checks the sessions of one request.
struct SessionChecker<'r> {
    app: &'r AppState,
    context: &'r RequestContext,
    headers: &'r HeaderMap,
    deadline: Instant,
}

impl SessionChecker<'_> {
    /// The first valid session, unless the request also carries a revoked session of another user.
    async fn identity(
        &self,
        authenticated: Authenticated,
        credential: &Credential,
        cookies: &RequestCookies<'_>,
    ) -> Result<Session, VerifyError> {
        let sessions = authenticated.sessions();
        let sessions = sessions.map_err(|error| VerifyError::from(Error::from(error)))?;
        let mut refused: Option<VerifyError> = None;
        let mut beside = Vec::new();
        let mut found = None;
        for mut session in sessions {
            if found.is_some() {
                beside.push(session);
                continue;
            }
            match self.check(&mut session).await {
                Ok(()) => found = Some(session),
                Err(error) => {
                    if refused.as_ref().is_none_or(|known| error.precedence() > known.precedence())
                    {
                        refused = Some(error);
                    }
                    beside.push(session);
                }
            }
        }
        let is_bearer = credential.is_bearer();
        if is_bearer {
            let jar = cookies.sessions(&self.app.config.cookies);
            beside.extend(read_jar(self.app, &jar).await.sessions);
        }
        // If no session of the cookies is valid, `check` has already looked all of them up in the revocation
        // list.
        if let Some(identity) = found.as_ref().or(beside.first().filter(|_| is_bearer)) {
            self.refuse_revoked_beside(identity.claims.sub, &beside).await?;
        }
        found.ok_or_else(|| refused.unwrap_or_else(|| Error::CredentialMissing.into()))
    }

    /// Checks that a session is neither revoked, expired nor ended.
    async fn check(&self, session: &mut Session) -> Result<(), VerifyError> {
        if session.proof == Proof::Unproven {
            return self.check_unproven(session).await;
        }
        if let Err(error) = self.refuse_revoked(session).await {
            return Err(VerifyError { is_expired: session.expired, ..error.into() });
        }
        if session.expired { Err(VerifyError::expired(session)) } else { Ok(()) }
    }

    /// Checks a session whose access token the gateway could not verify. GoTrue must confirm the token before the
    /// gateway looks it up in the revocation list: otherwise the reason `revoked` would show an attacker with a
    /// forged token whether the session was logged out. GoTrue does not verify expired tokens, so these are not
    /// looked up.
    async fn check_unproven(&self, session: &mut Session) -> Result<(), VerifyError> {
        if session.expired {
            return Err(VerifyError::expired(session));
        }
        let answer = self.introspect(session).await?;
        if answer == Introspection::Forged {
            return Err(Error::CredentialInvalid(TokenError::Signature).into());
        }
        session.proof = Proof::Proven;
        self.refuse_revoked(session).await?;
        match answer {
            Introspection::Ended => Err(Error::SessionNotFound.into()),
            Introspection::Banned => Err(Error::CredentialInvalid(TokenError::Banned).into()),
            Introspection::Live | Introspection::Forged => Ok(()),
        }
    }

    async fn introspect(&self, session: &Session) -> Result<Introspection, Error> {
        let Self { app, context, headers, deadline } = *self;
        if session.signature == SignatureStatus::Unverifiable {
            return Err(Error::NotReady(Part::KeySet));
        }
        let answer = introspect(app, context, headers, session, deadline).await;
        answer.map_err(|error| match error {
            IntrospectionError::Overloaded => Error::Overloaded,
            IntrospectionError::Refused(_) => Error::NotReady(Part::AuthService),
        })
    }

    /// Refuses a revoked session, and logs the use of its token.
    async fn refuse_revoked(&self, session: &Session) -> Result<(), Error> {
        if self.is_revoked(session).await? {
            return Err(self.report_revoked(session));
        }
        Ok(())
    }

    async fn is_revoked(&self, session: &Session) -> Result<bool, Error> {
        let now = self.app.logout.clock.now();
        let revoked = self.app.logout.store.is_revoked(&session.claims, now).await;
        revoked.map_err(|cause| store_failed(self.context, &cause))
    }

    /// Logs the use of a revoked session's token, and returns the error for it.
    fn report_revoked(&self, session: &Session) -> Error {
        let now = self.app.logout.clock.now();
        self.app.revoked_session_log.report(self.context, session, now.into());
        Error::SessionRevoked
    }

    /// Refuses the request if one of the sessions `beside` is revoked and of another user than `user`. Expired
    /// sessions, and sessions whose token GoTrue refuses, are ignored.
    async fn refuse_revoked_beside(&self, user: Uuid, beside: &[Session]) -> Result<(), Error> {
        for session in beside {
            let is_ignored = session.expired || session.claims.sub == user;
            if is_ignored || !self.is_revoked(session).await? {
                continue;
            }
            let is_forged = session.proof == Proof::Unproven
                && matches!(self.introspect(session).await, Ok(Introspection::Forged));
            if !is_forged {
                return Err(self.report_revoked(session));
            }
        }
        Ok(())
    }
}

fn store_failed(context: &RequestContext, cause: &StoreError) -> Error {
    if STORE_FAILURES.admits(Instant::now().into_std()) {
        tracing::warn!(
            request_id = context.request_id(),
            %cause,
            "the store did not answer whether a session is revoked, so verify answers 503: check GATEWAY_STORE"
        );
    }
    Error::NotReady(Part::Store)
}

/// Logs the number of lines that were left out since the last call. A background task calls it once a second.
pub(crate) fn report_omitted_lines() {
    let omitted = STORE_FAILURES.take_omitted();
    if omitted > 0 {
        tracing::warn!(
            omitted,
            "the log left out warnings that the store did not answer verify, more than 20 in one second: \
             logout_gateway_verify_total counts them all"
        );
    }
}
