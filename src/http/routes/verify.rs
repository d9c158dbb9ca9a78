//! `/api/auth/verify`: forward-auth for a proxy. 200 without a body and with the identity, or 401.
//!
//! A session that was logged out here is refused at once, although its access token lives on. The log
//! has a line for it.

use std::{sync::Arc, time::Instant};

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue},
};

use crate::{
    http::{
        authentication::{IntrospectionError, authenticate, introspect, read_session},
        context::RequestContext,
        error::{Envelope, Error},
        headers::refuse_duplicates,
        state::AppState,
    },
    readiness::Part,
    session::{
        Carrier, Credential, Proof, Session, UnknownKey, cookies::RequestCookies,
        introspection::Introspection, token::TokenError, verifier::Standing,
    },
    store::StoreError,
    telemetry::line_limit::LineLimit,
};

const USER_ID: HeaderName = HeaderName::from_static("x-auth-user-id");
const SESSION_ID: HeaderName = HeaderName::from_static("x-auth-session-id");
const ROLE: HeaderName = HeaderName::from_static("x-auth-role");
const AAL: HeaderName = HeaderName::from_static("x-auth-aal");
const CARRIER: HeaderName = HeaderName::from_static("x-auth-carrier");

/// Strangers cause as many failures as they send requests. The log belongs to the whole process, and so
/// does its limit.
static STORE_FAILURES: LineLimit = LineLimit::new(20);

/// Is this session alive? At this path and any below it, with any method.
#[utoipa::path(
    get, path = "/api/auth/verify", tag = "verify",
    responses(
        (status = 200, description = "It is; without a body.", headers(
            ("X-Auth-User-Id" = String), ("X-Auth-Session-Id" = String), ("X-Auth-Role" = String), ("X-Auth-Aal" = String),
            ("X-Auth-Carrier" = String))),
        (status = 401, description = "`NOT_AUTHENTICATED`", body = Envelope),
        (status = 503, description = "`NOT_READY` or `OVERLOADED`: the session cannot be judged now.", body = Envelope),
    ),
    security(("bearer" = []), ("cookie" = []))
)]
pub(in crate::http) async fn verify(
    State(app): State<Arc<AppState>>,
    Extension(call): Extension<Arc<RequestContext>>,
    headers: HeaderMap,
) -> Result<HeaderMap, Error> {
    let judged = judge(&app, &call, &headers).await;
    app.metrics.verified(judged.as_ref().err().map(Error::reason));
    judged.map(|session| identity(&session))
}

async fn judge(
    app: &AppState,
    call: &RequestContext,
    headers: &HeaderMap,
) -> Result<Session, Error> {
    refuse_duplicates(headers)?;
    let cookies = RequestCookies::of(headers, &app.config.cookies);
    let session = authenticate(app, headers, &cookies).await?;
    // `revoked` would reveal to a client with a forged token whether that session was logged out. An expired
    // token of unknown signature may be forged, and GoTrue does not judge it.
    let is_forged_at_will = session.expired && session.proof == Proof::Unproven;
    if !is_forged_at_will && is_revoked(app, call, &session).await? {
        return Err(Error::SessionRevoked);
    }
    if session.expired {
        return Err(Error::CredentialExpired);
    }
    refuse_revoked_beside(app, call, &cookies, &session).await?;
    alive(app, call, headers, &session).await?;
    Ok(session)
}

async fn is_revoked(
    app: &AppState,
    call: &RequestContext,
    session: &Session,
) -> Result<bool, Error> {
    let now = app.logout.clock.unix_seconds();
    let revoked = app.logout.store.is_revoked(&session.claims, now).await;
    let revoked = revoked.map_err(|fault| unknown(call, &fault))?;
    if revoked {
        app.revoked_session_log.report(call, session, app.logout.clock.now());
    }
    Ok(revoked)
}

/// Refuses a request that carries a revoked session of another user beside the one that identifies it: the
/// application behind the proxy may read that one. What cannot be read or has expired is passed over. The
/// identifying token is known, so it does not wait for the key of the other one.
async fn refuse_revoked_beside(
    app: &AppState,
    call: &RequestContext,
    cookies: &RequestCookies<'_>,
    session: &Session,
) -> Result<(), Error> {
    if session.carrier == Carrier::Cookie {
        return Ok(());
    }
    let credential = Credential::of_cookie(cookies, &app.config.cookies.name);
    let beside = read_session(app, credential, cookies, UnknownKey::Refuse).await;
    let Ok(beside) = beside else { return Ok(()) };
    let of_other_user = beside.claims.sub != session.claims.sub;
    if of_other_user && !beside.expired && is_revoked(app, call, &beside).await? {
        return Err(Error::SessionRevoked);
    }
    Ok(())
}

fn unknown(call: &RequestContext, fault: &StoreError) -> Error {
    if STORE_FAILURES.admits(Instant::now()) {
        tracing::warn!(
            request_id = call.request_id(),
            cause = %fault,
            "the store did not answer whether a session was logged out: verify answers 503"
        );
    }
    Error::NotReady(Part::Store)
}

/// Logs how many lines were left out since the last call, if any were. To be called once a second.
pub(crate) fn report_omitted_lines() {
    let omitted = STORE_FAILURES.take_omitted();
    if omitted > 0 {
        tracing::warn!(
            omitted,
            "warnings that the store did not answer verify were left out of the log: more than 20 in one \
             second; logout_gateway_verify_total counts them all"
        );
    }
}

async fn alive(
    app: &AppState,
    call: &RequestContext,
    headers: &HeaderMap,
    session: &Session,
) -> Result<(), Error> {
    match session.standing {
        Standing::Verified => Ok(()),
        Standing::Unjudgeable => Err(Error::NotReady(Part::KeySet)),
        Standing::Unjudged => match introspect(app, call, headers, session).await {
            Ok(Introspection::Live) => Ok(()),
            Ok(Introspection::Ended) => Err(Error::SessionNotFound),
            Ok(Introspection::Banned) => Err(Error::CredentialInvalid(TokenError::Banned)),
            Ok(Introspection::Forged) => Err(Error::CredentialInvalid(TokenError::Signature)),
            Err(IntrospectionError::Overloaded) => Err(Error::Overloaded),
            Err(IntrospectionError::Refused(_)) => Err(Error::NotReady(Part::AuthService)),
        },
    }
}

/// All headers, in any case: of one that is absent, a proxy might pass on what the client sent.
fn identity(session: &Session) -> HeaderMap {
    let claims = &session.claims;
    let mut identity = HeaderMap::with_capacity(8);
    let words = [
        (USER_ID, claims.sub.to_string()),
        (SESSION_ID, claims.session_id.to_string()),
        (ROLE, claims.role.clone().unwrap_or_default()),
        (AAL, claims.aal.clone().unwrap_or_default()),
        (CARRIER, session.carrier.as_str().to_owned()),
    ];
    for (name, word) in words {
        // A claim that is no header value is left empty rather than mangled.
        let value = HeaderValue::try_from(word).unwrap_or(HeaderValue::from_static(""));
        identity.insert(name, value);
    }
    identity
}
