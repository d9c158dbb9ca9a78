//! Finds the session that identifies a request at `verify`.
//!
//! 1. A Bearer token of this project decides alone. Else it is the first session of the jar that is neither revoked,
//!    expired nor ended.
//! 2. If the request shows a revoked session of another user beside it, the request is refused: the application behind
//!    the proxy may read that one.
//! 3. While the store does not answer, nobody is let in.

use std::time::Instant;

use axum::http::HeaderMap;

use crate::{
    http::{
        authentication::{IntrospectionError, authenticate, introspect, read_jar},
        context::RequestContext,
        error::Error,
        headers::refuse_duplicates,
        state::AppState,
    },
    readiness::Part,
    session::{
        Credential, Proof, Session, UnknownKey, cookies::RequestCookies,
        introspection::Introspection, token::TokenError, verifier::SignatureStatus,
    },
    store::StoreError,
    telemetry::line_limit::LineLimit,
};

/// While the store does not answer, every request of a stranger would write a line. The log belongs to the whole
/// process, and so does the limit.
static STORE_FAILURES: LineLimit = LineLimit::new(20);

/// Why a request shows no living session.
#[derive(Debug)]
pub(super) struct NoSession {
    pub(super) error: Error,
    /// The access token has expired, and the request has a refresh token of its session.
    pub(super) is_refreshable: bool,
}

impl From<Error> for NoSession {
    fn from(error: Error) -> Self {
        Self { error, is_refreshable: false }
    }
}

impl NoSession {
    fn expired(session: &Session) -> Self {
        let is_refreshable = !session.refresh_tokens.is_empty();
        Self { error: Error::CredentialExpired, is_refreshable }
    }

    /// Which refusal is reported if the request shows several sessions: a revoked one before all others, and then the
    /// one that the client or the operator can do something about.
    fn precedence(&self) -> u8 {
        match self.error {
            Error::SessionRevoked | Error::SessionNotFound => 4,
            Error::NotReady(_) | Error::Overloaded => 3,
            Error::CredentialExpired if self.is_refreshable => 2,
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
) -> Result<Session, NoSession> {
    refuse_duplicates(headers)?;
    let config = &app.config.cookies;
    let cookies = RequestCookies::of(headers, config);
    let credential = Credential::of(headers, &cookies, config, &app.verifier);
    let is_bearer = credential.is_bearer();
    let sessions = authenticate(app, credential, &cookies).await.sessions();
    let sessions = sessions.map_err(|error| NoSession::from(Error::from(error)))?;

    let deadline = tokio::time::Instant::now() + app.config.upstream.timeout;
    let mut refused: Option<NoSession> = None;
    let mut beside = Vec::new();
    let mut found = None;
    for session in sessions {
        if found.is_some() {
            beside.push(session);
            continue;
        }
        match check(app, context, headers, &session, deadline).await {
            Ok(()) => found = Some(session),
            Err(error) => {
                if refused.as_ref().is_none_or(|known| error.precedence() > known.precedence()) {
                    refused = Some(error);
                }
                beside.push(session);
            }
        }
    }
    if is_bearer {
        // The key set is not fetched again for the cookies, because the identifying session must not wait.
        beside.extend(read_jar(app, cookies.sessions(config), UnknownKey::Refuse).await.sessions);
    }
    // Without a living session, the checks of a jar's sessions have found the revoked ones.
    if let Some(identity) = found.as_ref().or(beside.first().filter(|_| is_bearer)) {
        refuse_revoked_beside(app, context, identity, &beside).await?;
    }
    found.ok_or_else(|| refused.unwrap_or_else(|| Error::CredentialMissing.into()))
}

/// Checks that a session is neither revoked, expired nor ended.
async fn check(
    app: &AppState,
    context: &RequestContext,
    headers: &HeaderMap,
    session: &Session,
    deadline: tokio::time::Instant,
) -> Result<(), NoSession> {
    // The answer `revoked` would tell a forger whether a session was logged out. An expired token whose
    // signature is not verified may be forged, and GoTrue does not verify it either.
    let may_be_forged = session.expired && session.proof == Proof::Unproven;
    if !may_be_forged && is_revoked(app, context, session).await? {
        return Err(Error::SessionRevoked.into());
    }
    if session.expired {
        return Err(NoSession::expired(session));
    }
    Ok(refuse_ended(app, context, headers, session, deadline).await?)
}

async fn is_revoked(
    app: &AppState,
    context: &RequestContext,
    session: &Session,
) -> Result<bool, Error> {
    let now = app.logout.clock.now();
    let revoked = app.logout.store.is_revoked(&session.claims, now).await;
    let revoked = revoked.map_err(|fault| store_failed(context, &fault))?;
    if revoked {
        app.revoked_session_log.report(context, session, now.into());
    }
    Ok(revoked)
}

/// Refuses a request that shows a revoked session of another user. Expired ones are passed over.
async fn refuse_revoked_beside(
    app: &AppState,
    context: &RequestContext,
    identity: &Session,
    beside: &[Session],
) -> Result<(), Error> {
    for session in beside {
        let of_other_user = session.claims.sub != identity.claims.sub;
        if of_other_user && !session.expired && is_revoked(app, context, session).await? {
            return Err(Error::SessionRevoked);
        }
    }
    Ok(())
}

fn store_failed(context: &RequestContext, fault: &StoreError) -> Error {
    if STORE_FAILURES.admits(Instant::now()) {
        tracing::warn!(
            request_id = context.request_id(),
            cause = %fault,
            "the store did not answer whether a session is revoked, so verify answers 503: check GATEWAY_STORE"
        );
    }
    Error::NotReady(Part::Store)
}

/// Logs how many lines were left out since the last call. A background task calls it once a second.
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

async fn refuse_ended(
    app: &AppState,
    context: &RequestContext,
    headers: &HeaderMap,
    session: &Session,
    deadline: tokio::time::Instant,
) -> Result<(), Error> {
    match session.signature {
        SignatureStatus::Verified => Ok(()),
        SignatureStatus::Unverifiable => Err(Error::NotReady(Part::KeySet)),
        SignatureStatus::LeftToGoTrue => {
            match introspect(app, context, headers, session, deadline).await {
                Ok(Introspection::Live) => Ok(()),
                Ok(Introspection::Ended) => Err(Error::SessionNotFound),
                Ok(Introspection::Banned) => Err(Error::CredentialInvalid(TokenError::Banned)),
                Ok(Introspection::Forged) => Err(Error::CredentialInvalid(TokenError::Signature)),
                Err(IntrospectionError::Overloaded) => Err(Error::Overloaded),
                Err(IntrospectionError::Refused(_)) => Err(Error::NotReady(Part::AuthService)),
            }
        }
    }
}
