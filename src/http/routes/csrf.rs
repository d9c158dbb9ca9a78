//! `GET /api/auth/csrf` returns the CSRF token that a logout by cookie needs.
//!
//! Every genuine session gets a CSRF token, even if its access token has expired or the session has ended, so
//! that the logout can delete the cookies. A valid token in the request's CSRF cookie is returned again, so
//! that a second tab does not invalidate the token of the first one.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Request, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tokio::time::Instant;

#[cfg(test)]
use crate::http::error::ErrorEnvelope;
use crate::{
    config::{CSRF_COOKIE, CsrfMode},
    csrf::{Binding, BoundTo, origin::is_cross_site},
    http::{
        authentication::{authenticate_or_refetch, introspect, remove_forged},
        context::RequestContext,
        error::Error,
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

/// A CSRF token.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = CsrfToken))]
pub(crate) struct CsrfTokenBody {
    data: Data,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = CsrfTokenData))]
struct Data {
    /// To be sent as `X-CSRF-Token`, with the cookie of the same value.
    csrf_token: String,
}

/// Get the CSRF token for exactly the sessions of this request, in the body and in the cookie `sb-csrf-token`.
#[cfg_attr(test, utoipa::path(
    get, path = "/api/auth/csrf", tag = "logout",
    responses(
        (status = 200, description = "The token.", body = CsrfTokenBody,
            headers(("Set-Cookie" = String, description = "The cookie `sb-csrf-token`, with the same token.")),
            example = json!({"data": {"csrf_token": "…"}})),
        (status = 401, description = "`NOT_AUTHENTICATED`", body = ErrorEnvelope),
        (status = 403, description = "`CSRF_FAILED`: a page of another origin sent the request, and that origin is not in `GATEWAY_ALLOWED_ORIGINS`.", body = ErrorEnvelope),
        (status = 429, description = "`RATE_LIMITED`: only GoTrue can check the access token, and it answered 429.", body = ErrorEnvelope),
        (status = 500, description = "`LOGOUT_FAILED`: the gateway cannot check the access token now, because GoTrue or the key set is not available.", body = ErrorEnvelope),
        (status = 503, description = "`OVERLOADED`: only GoTrue can check the access token, and too many such checks are running.", body = ErrorEnvelope),
    ),
    security(("bearer" = []), ("cookie" = []))
))]
pub(in crate::http) async fn csrf(
    State(app): State<Arc<AppState>>,
    Extension(context): Extension<Arc<RequestContext>>,
    request: Request,
) -> Result<Response, Error> {
    let headers = request.into_parts().0.headers;
    refuse_duplicates(&headers)?;
    let own = context.client.own_origin.as_deref();
    app.csrf.allowed_origins.check(&headers, own)?;
    let cookies = RequestCookies::of(&headers, &app.config.cookies);
    let credential = Credential::of(&headers, &cookies, &app.config.cookies, &app.verifier);
    let sessions = authenticate_or_refetch(&app, &credential, &cookies).await.sessions()?;
    let sessions = remove_forged(&app, &context, &headers, sessions).await;
    let are_genuine = all_are_genuine(&app, &context, &headers, &sessions).await?;

    let bindings = Bindings::of(&sessions);
    let (binding, accepted) = (bindings.of_new_token(are_genuine), bindings.accepted());
    let held = cookies.values(CSRF_COOKIE).find(|token| app.csrf.is_valid(token, &accepted));
    let token = match held {
        Some(token) => token.to_owned(),
        None => app.csrf.mint(binding).map_err(|_| Error::Internal)?,
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

/// The bindings of CSRF tokens for the sessions of one request.
///
/// An attacker can forge an HS256 token with the ids of another user's session. Without the secret only GoTrue
/// can distinguish it from a genuine one, and once it has expired, GoTrue cannot either. So if GoTrue has not
/// confirmed an access token, a new CSRF token is bound to that access token instead of its session. A CSRF token
/// that is bound to the session was made while GoTrue accepted the session's token, so it stays valid after the
/// access token has expired.
pub(super) struct Bindings {
    /// The binding to all sessions by their ids.
    to_sessions: Binding,
    /// The same binding, but to the access token itself for each session that the gateway did not verify. `None`
    /// if the gateway verified all access tokens.
    to_tokens: Option<Binding>,
    /// Whether the session is that of an expired Bearer token with the refresh token of a cookie.
    has_bearer: bool,
}

/// The most unverified sessions for which all subsets are tried.
const MOST_IN_SUBSETS: usize = 6;

impl Bindings {
    pub(super) fn of<'s>(sessions: impl IntoIterator<Item = &'s Session>) -> Self {
        let sessions: Vec<_> = sessions.into_iter().collect();
        let is_verified = |session: &&Session| session.signature == SignatureStatus::Verified;
        let to_session = |session: &&Session| BoundTo::Session(session.claims.session_id);
        let to_token = |session: &&Session| {
            if is_verified(session) {
                to_session(session)
            } else {
                BoundTo::AccessToken(token_digest(session.access_token.expose_secret()))
            }
        };
        Self {
            to_sessions: Binding::to(sessions.iter().map(to_session)),
            to_tokens: (!sessions.iter().all(is_verified))
                .then(|| Binding::to(sessions.iter().map(to_token))),
            has_bearer: sessions.iter().any(|s| s.carrier == Carrier::BearerAndCookie),
        }
    }

    /// The bindings that may be valid after [`remove_forged`]: GoTrue may refuse the token of any session that the
    /// gateway did not verify, so there is a binding for each subset of them. `None` if all sessions are verified, or
    /// if so many are not that there would be too many subsets.
    pub(super) fn after_any_removal(sessions: &[Session]) -> Option<Vec<Binding>> {
        let is_verified = |session: &&Session| session.signature == SignatureStatus::Verified;
        let (verified, unverified): (Vec<_>, Vec<_>) = sessions.iter().partition(is_verified);
        if !(1..=MOST_IN_SUBSETS).contains(&unverified.len()) {
            return None;
        }
        let subset = |choice: u32| {
            let kept = (0..).zip(&unverified).filter(move |(index, _)| choice >> index & 1 == 1);
            let kept = kept.map(|(_, session)| *session);
            let kept: Vec<_> = verified.iter().copied().chain(kept).collect();
            Self::of(kept).accepted()
        };
        let all = (1 << unverified.len()) - 1;
        Some((0..=all).rev().flat_map(subset).collect())
    }

    /// The binding of a new CSRF token; `are_genuine` says whether all access tokens are known to be genuine.
    fn of_new_token(&self, are_genuine: bool) -> &Binding {
        match &self.to_tokens {
            Some(to_tokens) if !are_genuine => to_tokens,
            Some(_) | None => &self.to_sessions,
        }
    }

    /// The bindings of CSRF tokens that a logout accepts.
    pub(super) fn accepted(&self) -> Vec<Binding> {
        // This logout would use the cookie's refresh token, and an attacker can forge the Bearer token: accept
        // only a CSRF token that is bound to the session.
        let to_tokens = self.to_tokens.clone().filter(|_| !self.has_bearer);
        std::iter::once(self.to_sessions.clone()).chain(to_tokens).collect()
    }
}

/// Whether all sessions are known to be genuine. A session that has ended, or whose user is banned, is genuine.
///
/// # Errors
/// The first error, if there is one for every session: GoTrue refuses its token or does not answer. An error of
/// only some sessions makes the result `false`, because a planted cookie must not prevent a CSRF token for the
/// others.
async fn all_are_genuine(
    app: &AppState,
    context: &RequestContext,
    headers: &HeaderMap,
    sessions: &[Session],
) -> Result<bool, Error> {
    let deadline = Instant::now() + app.config.upstream.timeout;
    let (mut are_genuine, mut has_usable) = (true, false);
    let mut refused = None;
    for session in sessions {
        match is_genuine(app, context, headers, session, deadline).await {
            Ok(is_genuine) => {
                are_genuine &= is_genuine;
                has_usable = true;
            }
            Err(error) => {
                are_genuine = false;
                refused = refused.or(Some(error));
            }
        }
    }
    refused.filter(|_| !has_usable).map_or(Ok(are_genuine), Err)
}

/// Whether a session is genuine. An expired session that only GoTrue could have verified may be genuine: the
/// result is `false`, and no error.
async fn is_genuine(
    app: &AppState,
    context: &RequestContext,
    headers: &HeaderMap,
    session: &Session,
    deadline: Instant,
) -> Result<bool, Error> {
    match session.signature {
        SignatureStatus::Verified => Ok(true),
        SignatureStatus::LeftToGoTrue if session.expired => Ok(false),
        SignatureStatus::Unverifiable => Err(Error::AuthServiceUnavailable),
        SignatureStatus::LeftToGoTrue => {
            match introspect(app, context, headers, session, deadline).await? {
                Introspection::Live | Introspection::Ended | Introspection::Banned => Ok(true),
                Introspection::Forged => Err(Error::CredentialInvalid(TokenError::Signature)),
            }
        }
    }
}
