//! `GET /api/auth/csrf`: the token that a cookie-carried logout needs.
//!
//! Every genuine session gets one, expired and ended ones included: nobody is locked in. The token
//! that the request's cookie already holds is answered again if it is good, so that a second tab
//! never invalidates the first one's.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    config::{CSRF_COOKIE, CsrfMode},
    csrf::{Binding, origin::is_cross_site},
    http::{
        authentication::{authenticate, introspect},
        context::RequestContext,
        error::{Envelope, Error},
        headers::refuse_duplicates,
        state::AppState,
    },
    session::{
        Carrier, Session,
        cookies::{
            RequestCookies,
            deletion::{Transport, csrf_cookie},
        },
        introspection::Introspection,
        token::{TokenError, token_digest},
        verifier::Standing,
    },
};

/// `{"data":{"csrf_token":"…"}}`
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CsrfToken)]
pub(crate) struct Answer {
    data: Data,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CsrfTokenData)]
struct Data {
    /// To be sent as `X-CSRF-Token`, with the cookie of the same value.
    csrf_token: String,
}

/// The CSRF token of the calling session, and its cookie `sb-csrf-token`.
#[utoipa::path(
    get, path = "/api/auth/csrf", tag = "logout",
    responses(
        (status = 200, body = Answer),
        (status = 401, description = "`NOT_AUTHENTICATED`", body = Envelope),
        (status = 403, description = "`CSRF_FAILED`: asked by a page of another site.", body = Envelope),
        (status = 429, description = "`RATE_LIMITED` by GoTrue, where it judges the token", body = Envelope),
        (status = 500, description = "`LOGOUT_FAILED`: nobody can judge the session now.", body = Envelope),
        (status = 503, description = "`OVERLOADED`", body = Envelope),
    ),
    security(("bearer" = []), ("cookie" = []))
)]
pub(in crate::http) async fn csrf(
    State(app): State<Arc<AppState>>,
    Extension(call): Extension<Arc<RequestContext>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    refuse_duplicates(&headers)?;
    let own = call.client.own_origin.as_deref();
    app.csrf.allowed_origins.judge(&headers, own)?;
    let cookies = RequestCookies::of(&headers, &app.config.cookies);
    let session = authenticate(&app, &headers, &cookies).await?;
    genuine(&app, &call, &headers, &session).await?;

    let (binding, accepted) = bindings(&session);
    let held = cookies.values(CSRF_COOKIE).find(|token| app.csrf.is_good(token, &accepted));
    let token = match held {
        Some(token) => token.to_owned(),
        None => app.csrf.mint(binding).map_err(|_| Error::Internal)?,
    };
    let transport = Transport { https: call.client.is_https, cross_site: is_cross_site(&headers) };
    // A cookie that the app minted itself is the app's to set.
    let the_apps_own = held.is_some() && app.config.csrf.mode == CsrfMode::DoubleSubmit;
    let set_cookies =
        if the_apps_own { Vec::new() } else { csrf_cookie(&app.config.cookies, &token, transport) };
    let mut response = Json(Answer { data: Data { csrf_token: token } }).into_response();
    for set_cookie in set_cookies {
        response.headers_mut().append(header::SET_COOKIE, set_cookie);
    }
    Ok(response)
}

/// What a new CSRF token of this session is bound to, and which bindings its logout accepts.
///
/// Anybody can write an expired HS256 token with the ids of somebody else's session, and without the
/// secret neither the gateway nor GoTrue can tell it from a genuine one. Its CSRF token is good for that
/// very access token alone. A CSRF token that is bound to the session was minted while GoTrue vouched for
/// it: it stays good after the access token has expired.
pub(super) fn bindings(session: &Session) -> (Binding, Vec<Binding>) {
    let of_session = Binding::Session(session.claims.session_id);
    if session.standing == Standing::Unjudged && session.expired {
        let digest = token_digest(session.access_token.expose_secret());
        let of_token = Binding::AccessToken(digest);
        match session.carrier {
            // It is the cookie's refresh token that would be used, and anybody can write such a Bearer.
            Carrier::BearerAndCookie => (of_token, vec![of_session]),
            Carrier::Bearer | Carrier::Cookie => (of_token, vec![of_token, of_session]),
        }
    } else {
        (of_session, vec![of_session])
    }
}

/// Refuses a session that is not genuine. Ended and banned ones are; so may be an expired one that only
/// GoTrue could have judged, which gets a CSRF token for itself.
async fn genuine(
    app: &AppState,
    call: &RequestContext,
    headers: &HeaderMap,
    session: &Session,
) -> Result<(), Error> {
    match session.standing {
        Standing::Verified => Ok(()),
        Standing::Unjudged if session.expired => Ok(()),
        Standing::Unjudgeable => Err(Error::AuthServiceUnavailable),
        Standing::Unjudged => match introspect(app, call, headers, session).await? {
            Introspection::Live | Introspection::Ended | Introspection::Banned => Ok(()),
            Introspection::Forged => Err(Error::CredentialInvalid(TokenError::Signature)),
        },
    }
}
