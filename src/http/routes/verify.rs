//! `/api/auth/verify` answers a proxy (forward-auth) whether the session of a request lives: 200 without a
//! body and with the identity in headers, or 401.
//!
//! A session that was logged out at a gateway is refused at once, although its access token has not expired,
//! and the log has a line about it.

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
        error::{Error, ErrorEnvelope},
        headers::refuse_duplicates,
        state::AppState,
    },
    readiness::Part,
    session::{
        Carrier, Credential, Proof, Session, UnknownKey, cookies::RequestCookies,
        introspection::Introspection, token::TokenError, verifier::SignatureStatus,
    },
    store::StoreError,
    telemetry::line_limit::LineLimit,
};

const USER_ID: HeaderName = HeaderName::from_static("x-auth-user-id");
const SESSION_ID: HeaderName = HeaderName::from_static("x-auth-session-id");
const ROLE: HeaderName = HeaderName::from_static("x-auth-role");
const AAL: HeaderName = HeaderName::from_static("x-auth-aal");
const CARRIER: HeaderName = HeaderName::from_static("x-auth-carrier");

/// While the store does not answer, any client could cause a log line with every request. The limit is shared
/// by all threads, because all threads write to one log.
static STORE_FAILURES: LineLimit = LineLimit::new(20);

/// Is this session alive? At this path and any below it, with any method.
#[utoipa::path(
    get, path = "/api/auth/verify", tag = "verify",
    responses(
        (status = 200, description = "It is; without a body.", headers(
            ("X-Auth-User-Id" = String), ("X-Auth-Session-Id" = String), ("X-Auth-Role" = String), ("X-Auth-Aal" = String),
            ("X-Auth-Carrier" = String))),
        (status = 401, description = "`NOT_AUTHENTICATED`", body = ErrorEnvelope),
        (status = 503, description = "`NOT_READY` or `OVERLOADED`: the session cannot be judged now.", body = ErrorEnvelope),
    ),
    security(("bearer" = []), ("cookie" = []))
)]
pub(in crate::http) async fn verify(
    State(app): State<Arc<AppState>>,
    Extension(context): Extension<Arc<RequestContext>>,
    headers: HeaderMap,
) -> Result<HeaderMap, Error> {
    let checked = check(&app, &context, &headers).await;
    app.metrics.verified(checked.as_ref().err().map(Error::reason));
    checked.map(|session| identity(&session))
}

async fn check(
    app: &AppState,
    context: &RequestContext,
    headers: &HeaderMap,
) -> Result<Session, Error> {
    refuse_duplicates(headers)?;
    let cookies = RequestCookies::of(headers, &app.config.cookies);
    let session = authenticate(app, headers, &cookies).await?;
    // The reason `revoked` would show an attacker with a forged token whether the session was logged out. An
    // expired token whose signature is not verified may be forged, and GoTrue does not verify it either.
    let may_be_forged = session.expired && session.proof == Proof::Unproven;
    if !may_be_forged && is_revoked(app, context, &session).await? {
        return Err(Error::SessionRevoked);
    }
    if session.expired {
        return Err(Error::CredentialExpired);
    }
    refuse_revoked_beside(app, context, &cookies, &session).await?;
    refuse_ended(app, context, headers, &session).await?;
    Ok(session)
}

async fn is_revoked(
    app: &AppState,
    context: &RequestContext,
    session: &Session,
) -> Result<bool, Error> {
    let now = app.logout.clock.now();
    let revoked = app.logout.store.is_revoked(&session.claims, now).await;
    let revoked = revoked.map_err(|cause| store_failed(context, &cause))?;
    if revoked {
        app.revoked_session_log.report(context, session, now.into());
    }
    Ok(revoked)
}

/// Refuses a request that carries, beside the session that identifies it, a revoked session of another user
/// in the cookie: the application behind the proxy may read the cookie. A cookie that cannot be read or has
/// expired is ignored. The key set is not fetched again for the cookie, because the request must not wait for
/// it.
async fn refuse_revoked_beside(
    app: &AppState,
    context: &RequestContext,
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
    if of_other_user && !beside.expired && is_revoked(app, context, &beside).await? {
        return Err(Error::SessionRevoked);
    }
    Ok(())
}

fn store_failed(context: &RequestContext, cause: &StoreError) -> Error {
    if STORE_FAILURES.admits(Instant::now()) {
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

async fn refuse_ended(
    app: &AppState,
    context: &RequestContext,
    headers: &HeaderMap,
    session: &Session,
) -> Result<(), Error> {
    match session.signature {
        SignatureStatus::Verified => Ok(()),
        SignatureStatus::Unverifiable => Err(Error::NotReady(Part::KeySet)),
        SignatureStatus::LeftToGoTrue => match introspect(app, context, headers, session).await {
            Ok(Introspection::Live) => Ok(()),
            Ok(Introspection::Ended) => Err(Error::SessionNotFound),
            Ok(Introspection::Banned) => Err(Error::CredentialInvalid(TokenError::Banned)),
            Ok(Introspection::Forged) => Err(Error::CredentialInvalid(TokenError::Signature)),
            Err(IntrospectionError::Overloaded) => Err(Error::Overloaded),
            Err(IntrospectionError::Refused(_)) => Err(Error::NotReady(Part::AuthService)),
        },
    }
}

/// The identity headers. Empty ones are sent too, because a proxy might pass on the client's own header in
/// place of an absent one.
fn identity(session: &Session) -> HeaderMap {
    let claims = &session.claims;
    let mut identity = HeaderMap::with_capacity(8);
    let fields = [
        (USER_ID, claims.sub.to_string()),
        (SESSION_ID, claims.session_id.to_string()),
        (ROLE, claims.role.clone().unwrap_or_default()),
        (AAL, claims.aal.clone().unwrap_or_default()),
        (CARRIER, session.carrier.as_str().to_owned()),
    ];
    for (name, text) in fields {
        // A claim that is no valid header value becomes an empty header.
        let value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        identity.insert(name, value);
    }
    identity
}
