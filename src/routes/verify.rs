//! `/api/auth/verify`: forward-auth for a proxy. 200 without a body and with the identity, or 401.
//!
//! A session that was logged out here is refused at once, although its access token lives on. The log
//! has a line for it.

pub mod revoked_lines;

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue},
};

use uuid::Uuid;

use crate::{
    app::{App, frame::Call},
    error::{Envelope, Error, Part},
    session::{
        Carrier, Credential, Proof, Session, UnknownKey, cookies::RequestCookies,
        introspection::Introspection, token::TokenFault, verifier::Standing,
    },
    store::StoreFault,
};

const USER_ID: HeaderName = HeaderName::from_static("x-auth-user-id");
const SESSION_ID: HeaderName = HeaderName::from_static("x-auth-session-id");
const ROLE: HeaderName = HeaderName::from_static("x-auth-role");
const AAL: HeaderName = HeaderName::from_static("x-auth-aal");
const CARRIER: HeaderName = HeaderName::from_static("x-auth-carrier");

/// Is this session alive? At this path and any below it, with any method.
#[utoipa::path(
    get, path = "/api/auth/verify", tag = "verify",
    responses(
        (status = 200, description = "It is; without a body.", headers(
            ("X-Auth-User-Id" = String), ("X-Auth-Session-Id" = String), ("X-Auth-Role" = String), ("X-Auth-Aal" = String),
            ("X-Auth-Carrier" = String))),
        (status = 401, description = "`NOT_AUTHENTICATED`", body = Envelope),
        (status = 503, description = "`NOT_READY` or `OVERLOADED`: nobody can tell now.", body = Envelope),
    ),
    security(("bearer" = []), ("cookie" = []))
)]
pub(super) async fn verify(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Arc<Call>>,
    headers: HeaderMap,
) -> Result<HeaderMap, Error> {
    let judged = judge(&app, &call, &headers).await;
    app.metrics.verified(judged.as_ref().map_or_else(Error::reason, |_| "ok"));
    judged.map(|session| identity(&session))
}

async fn judge(app: &App, call: &Call, headers: &HeaderMap) -> Result<Session, Error> {
    super::refuse_duplicates(headers)?;
    let cookies = RequestCookies::of(headers, &app.config.cookies);
    let session = super::calling(app, headers, &cookies).await?;
    if session.expired {
        return Err(Error::CredentialExpired);
    }
    if is_revoked(app, call, &session).await? {
        return Err(Error::SessionRevoked);
    }
    refuse_revoked_beside(app, call, &cookies, &session).await?;
    alive(app, call, headers, &session).await?;
    Ok(session)
}

async fn is_revoked(app: &App, call: &Call, session: &Session) -> Result<bool, Error> {
    let now = app.logout.clock.unix_seconds();
    let revoked = app.logout.store.is_revoked(&session.claims, now).await;
    let revoked = revoked.map_err(|fault| unknown(call, &fault))?;
    if revoked {
        report_revoked(app, call, session);
    }
    Ok(revoked)
}

/// Refuses a request that carries a revoked session of another user beside the one that identifies it: the
/// application behind the proxy may read that one. What cannot be read or has expired is passed over. The
/// identifying token is known, so it does not wait for the key of the other one.
async fn refuse_revoked_beside(
    app: &App,
    call: &Call,
    cookies: &RequestCookies<'_>,
    session: &Session,
) -> Result<(), Error> {
    if session.carrier == Carrier::Cookie {
        return Ok(());
    }
    let credential = Credential::of_cookie(cookies, &app.config.cookies.name);
    let beside = super::read_session(app, credential, cookies, UnknownKey::Refuse).await;
    let Ok(beside) = beside else { return Ok(()) };
    let of_other_user = beside.claims.sub != session.claims.sub;
    if of_other_user && !beside.expired && is_revoked(app, call, &beside).await? {
        return Err(Error::SessionRevoked);
    }
    Ok(())
}

/// Logs that a token of a session was used after its logout. Anybody can write the ids of an unproven
/// token: all of those share one line a second.
fn report_revoked(app: &App, call: &Call, session: &Session) {
    let (claims, proven) = (&session.claims, session.proof == Proof::Proven);
    let limited_by = if proven { claims.session_id } else { Uuid::nil() };
    if app.revoked_lines.is_due(limited_by, app.logout.clock.now()) {
        tracing::warn!(
            request_id = call.request_id(),
            user_id = %claims.sub,
            session_id = %claims.session_id,
            client = %call.peer.client,
            proven,
            "verify refused a token whose session was logged out: it may be stolen"
        );
    }
}

fn unknown(call: &Call, fault: &StoreFault) -> Error {
    tracing::warn!(request_id = call.request_id(), cause = %fault, "nobody can tell who was logged out");
    Error::NotReady(Part::Store)
}

async fn alive(
    app: &App,
    call: &Call,
    headers: &HeaderMap,
    session: &Session,
) -> Result<(), Error> {
    match session.standing {
        Standing::Verified => Ok(()),
        Standing::Unjudgeable => Err(Error::NotReady(Part::KeySet)),
        Standing::Unjudged => {
            let answer = super::introspect(app, call, headers, session).await?;
            match answer.map_err(|_| Error::NotReady(Part::AuthService))? {
                Introspection::Live => Ok(()),
                Introspection::Ended => Err(Error::SessionNotFound),
                Introspection::Banned => Err(Error::CredentialInvalid(TokenFault::Banned)),
                Introspection::Forged => Err(Error::CredentialInvalid(TokenFault::Signature)),
            }
        }
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
