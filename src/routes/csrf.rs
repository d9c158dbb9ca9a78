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
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::{App, frame::Call},
    config::CsrfMode,
    csrf::origin::is_cross_site,
    error::{Envelope, Error},
    session::{
        Session,
        cookies::{
            CSRF_COOKIE, RequestCookies,
            deletion::{Transport, csrf_cookie},
        },
        presence::Presence,
        token::TokenFault,
        verifier::Standing,
    },
};

/// `{"data":{"csrf_token":"…"}}`
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CsrfToken)]
pub struct Answer {
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
pub(super) async fn csrf(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Arc<Call>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    super::refuse_duplicates(&headers)?;
    let own = call.peer.own_origin.as_deref();
    app.csrf.allowed_origins.judge(&headers, own)?;
    let cookies = RequestCookies::of(&headers, &app.config.cookies);
    let session = super::calling(&app, &headers, &cookies).await?;
    genuine(&app, &call, &headers, &session).await?;

    let session_id = session.claims.session_id;
    let held = cookies.values(CSRF_COOKIE).find(|token| app.csrf.is_good(token, session_id));
    let token = match held {
        Some(token) => token.to_owned(),
        None => app.csrf.mint(session_id).map_err(|_| Error::Internal)?,
    };
    let transport = Transport { https: call.peer.https, cross_site: is_cross_site(&headers) };
    // A cookie that the app minted itself is the app's to set.
    let the_apps_own = held.is_some() && app.config.csrf_mode == CsrfMode::DoubleSubmit;
    let set_cookies =
        if the_apps_own { Vec::new() } else { csrf_cookie(&app.config.cookies, &token, transport) };
    let mut response = Json(Answer { data: Data { csrf_token: token } }).into_response();
    for set_cookie in set_cookies {
        response.headers_mut().append(header::SET_COOKIE, set_cookie);
    }
    Ok(response)
}

/// Ended and banned sessions are genuine too. An expired token that only GoTrue could judge gets its
/// CSRF token on its word: GoTrue refuses every expired one alike.
async fn genuine(
    app: &App,
    call: &Call,
    headers: &HeaderMap,
    session: &Session,
) -> Result<(), Error> {
    match session.standing {
        Standing::Verified => Ok(()),
        Standing::Unjudged if session.expired => Ok(()),
        Standing::Unjudgeable => Err(Error::AuthServiceUnavailable),
        Standing::Unjudged => match super::presence(app, call, headers, session).await?? {
            Presence::Live | Presence::Ended | Presence::Banned => Ok(()),
            Presence::Forged => Err(Error::CredentialInvalid(TokenFault::Signature)),
        },
    }
}
