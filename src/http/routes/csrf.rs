//! `GET /api/auth/csrf` returns the CSRF token that a logout by cookie needs.
//!
//! Every genuine session gets a CSRF token, even if its access token has expired or the session has ended, so
//! that the logout can delete the cookies. A valid token in the request's CSRF cookie is returned again, so
//! that a second tab does not invalidate the token of the first one.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::{
    config::{CSRF_COOKIE, CsrfMode},
    csrf::{Binding, Bound, origin::is_cross_site},
    http::{
        authentication::{authenticate, introspect, remove_forged},
        context::RequestContext,
        error::{Error, ErrorEnvelope},
        headers::refuse_duplicates,
        state::AppState,
    },
    session::{
        Carrier, Credential, Session,
        cookies::{
            RequestCookies,
            deletion::{RequestSite, csrf_cookie},
        },
        introspection::Introspection,
        token::{TokenError, token_digest},
        verifier::SignatureStatus,
    },
};

/// `{"data":{"csrf_token":"…"}}`
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CsrfToken)]
pub(crate) struct CsrfTokenBody {
    data: Data,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CsrfTokenData)]
struct Data {
    /// To be sent as `X-CSRF-Token`, with the cookie of the same value.
    csrf_token: String,
}

/// Get the CSRF token for exactly the sessions of this request, in the body and in the cookie `sb-csrf-token`.
#[utoipa::path(
    get, path = "/api/auth/csrf", tag = "logout",
    responses(
        (status = 200, body = CsrfTokenBody),
        (status = 401, description = "`NOT_AUTHENTICATED`", body = ErrorEnvelope),
        (status = 403, description = "`CSRF_FAILED`: a page of another origin sent the request, and that origin is not in `GATEWAY_ALLOWED_ORIGINS`.", body = ErrorEnvelope),
        (status = 429, description = "`RATE_LIMITED`: only GoTrue can check the access token, and it answered 429.", body = ErrorEnvelope),
        (status = 500, description = "`LOGOUT_FAILED`: the gateway cannot check the access token now, because GoTrue or the key set is not available.", body = ErrorEnvelope),
        (status = 503, description = "`OVERLOADED`: only GoTrue can check the access token, and too many such checks are running.", body = ErrorEnvelope),
    ),
    security(("bearer" = []), ("cookie" = []))
)]
pub(in crate::http) async fn csrf(
    State(app): State<Arc<AppState>>,
    Extension(context): Extension<Arc<RequestContext>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    refuse_duplicates(&headers)?;
    let own = context.client.own_origin.as_deref();
    app.csrf.allowed_origins.check(&headers, own)?;
    let cookies = RequestCookies::of(&headers, &app.config.cookies);
    let credential = Credential::of(&headers, &cookies, &app.config.cookies, &app.verifier);
    let sessions = authenticate(&app, credential, &cookies).await.sessions()?;
    let deadline = Instant::now() + app.config.upstream.timeout;
    let sessions = remove_forged(&app, &context, &headers, sessions).await;
    for session in &sessions {
        refuse_forged(&app, &context, &headers, session, deadline).await?;
    }

    let (binding, accepted) = bindings(&sessions);
    let held = cookies.values(CSRF_COOKIE).find(|token| app.csrf.is_valid(token, &accepted));
    let token = match held {
        Some(token) => token.to_owned(),
        None => app.csrf.mint(&binding).map_err(|_| Error::Internal)?,
    };
    let transport =
        RequestSite { is_https: context.client.is_https, is_cross_site: is_cross_site(&headers) };
    // In double-submit mode the application makes the CSRF token and sets the cookie itself.
    let is_apps_own = held.is_some() && app.config.csrf.mode == CsrfMode::DoubleSubmit;
    let set_cookies =
        if is_apps_own { Vec::new() } else { csrf_cookie(&app.config.cookies, &token, transport) };
    let mut response = Json(CsrfTokenBody { data: Data { csrf_token: token } }).into_response();
    for set_cookie in set_cookies {
        response.headers_mut().append(header::SET_COOKIE, set_cookie);
    }
    Ok(response)
}

/// The binding of a new CSRF token of these sessions, and the bindings that their logout accepts.
///
/// A forger can write an expired HS256 token with the ids of another user's session, and without the secret
/// neither the gateway nor GoTrue can distinguish it from a genuine one. So its CSRF token is bound to that
/// access token alone. A CSRF token that is bound to the session was minted while GoTrue accepted the session's
/// token, so it stays valid after the access token has expired.
pub(super) fn bindings(sessions: &[Session]) -> (Binding, Vec<Binding>) {
    let to_sessions =
        Binding::to(sessions.iter().map(|session| Bound::Session(session.claims.session_id)));
    let may_be_forged =
        |session: &Session| session.signature == SignatureStatus::LeftToGoTrue && session.expired;
    if !sessions.iter().any(may_be_forged) {
        return (to_sessions.clone(), vec![to_sessions]);
    }
    let to_tokens = Binding::to(sessions.iter().map(|session| {
        if may_be_forged(session) {
            Bound::AccessToken(token_digest(session.access_token.expose_secret()))
        } else {
            Bound::Session(session.claims.session_id)
        }
    }));
    // The logout would use the cookie's refresh token, and a forger can write such a Bearer token.
    if sessions.iter().any(|session| session.carrier == Carrier::BearerAndCookie) {
        return (to_tokens, vec![to_sessions]);
    }
    (to_tokens.clone(), vec![to_tokens, to_sessions])
}

/// Refuses a session that is not genuine. A session that has ended, or whose user is banned, is genuine. An
/// expired session that only GoTrue could have verified may be genuine: it passes, and its CSRF token is
/// bound to its access token.
async fn refuse_forged(
    app: &AppState,
    context: &RequestContext,
    headers: &HeaderMap,
    session: &Session,
    deadline: Instant,
) -> Result<(), Error> {
    match session.signature {
        SignatureStatus::Verified => Ok(()),
        SignatureStatus::LeftToGoTrue if session.expired => Ok(()),
        SignatureStatus::Unverifiable => Err(Error::AuthServiceUnavailable),
        SignatureStatus::LeftToGoTrue => {
            match introspect(app, context, headers, session, deadline).await? {
                Introspection::Live | Introspection::Ended | Introspection::Banned => Ok(()),
                Introspection::Forged => Err(Error::CredentialInvalid(TokenError::Signature)),
            }
        }
    }
}
