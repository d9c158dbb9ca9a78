//! Three published contracts of one logout; they differ only in how success looks.
//!
//! A request is judged in this order: duplicate headers and scope, body, cross-site, session, CSRF.
//! The first that fails answers.

mod audit;
mod reply;
mod request;

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, request::Parts},
    response::{IntoResponse, Response},
};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tracing::Instrument as _;

use self::{
    audit::Line,
    reply::{Contract, Reply},
};
use crate::{
    app::{App, X_CSRF_TOKEN, frame::Call},
    config::Scope,
    csrf::{CsrfFault, submitted::Submitted},
    error::{Envelope, Error},
    logout::Asked,
    session::{
        Carrier, Credential, NoSession, Session,
        cookies::{CSRF_COOKIE, RequestCookies},
    },
};

/// Log out: Supabase envelope API.
#[utoipa::path(
    post, path = "/api/auth/logout", tag = "logout",
    params(("scope" = Option<String>, Query, description = "`local` (default): this session. `others`: every other session of the user. `global`: all.")),
    responses(
        (status = 200, description = "The session was revoked, or was already gone: see `X-Logout-Outcome`.", body = reply::Envelope, example = json!({"data": {"success": true}})),
        (status = 202, description = "GoTrue could not be asked; that is durably queued: `X-Logout-Outcome: queued`.", body = reply::Envelope),
        (status = 400, description = "`BAD_REQUEST`", body = Envelope),
        (status = 401, description = "`NOT_AUTHENTICATED`", body = Envelope),
        (status = 403, description = "`CSRF_FAILED`: nothing was revoked or deleted.", body = Envelope),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = Envelope),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = Envelope),
        (status = 429, description = "`RATE_LIMITED` by GoTrue, with its `Retry-After`", body = Envelope),
        (status = 500, description = "`LOGOUT_FAILED`: the session may live on, the cookies are deleted.", body = Envelope),
        (status = 503, description = "`OVERLOADED`", body = Envelope),
    ),
    security(("bearer" = []), ("cookie" = [], "csrf" = []))
)]
pub(super) async fn envelope(
    app: State<Arc<App>>,
    call: Extension<Arc<Call>>,
    request: Request,
) -> Response {
    logout(app, call, request, Contract::Envelope).await
}

/// Log out: REST API v1.
#[utoipa::path(
    post, path = "/api/v1/auth/logout", tag = "logout",
    params(("scope" = Option<String>, Query, description = "`local` (default), `others` or `global`.")),
    responses(
        (status = 204, description = "The session was revoked, or was already gone: see `X-Logout-Outcome`."),
        (status = 202, description = "Queued; no body."),
        (status = "4XX", description = "As at `/api/auth/logout`", body = Envelope),
        (status = "5XX", description = "As at `/api/auth/logout`", body = Envelope),
    ),
    security(("bearer" = []), ("cookie" = [], "csrf" = []))
)]
pub(super) async fn rest(
    app: State<Arc<App>>,
    call: Extension<Arc<Call>>,
    request: Request,
) -> Response {
    logout(app, call, request, Contract::Rest).await
}

/// Log out: session API.
#[utoipa::path(
    post, path = "/logout", tag = "logout",
    params(("scope" = Option<String>, Query, description = "`local` (default), `others` or `global`.")),
    responses(
        (status = 200, description = "The session was revoked, or was already gone: see `X-Logout-Outcome`.", body = reply::SessionApi, example = json!({"message": "Logout successful. User id: 854d44f4-6c66-4980-be4b-bfede58508e1"})),
        (status = 202, description = "Queued.", body = reply::SessionApi),
        (status = "4XX", description = "As at `/api/auth/logout`", body = Envelope),
        (status = "5XX", description = "As at `/api/auth/logout`", body = Envelope),
    ),
    security(("bearer" = []), ("cookie" = [], "csrf" = []))
)]
pub(super) async fn session_api(
    app: State<Arc<App>>,
    call: Extension<Arc<Call>>,
    request: Request,
) -> Response {
    logout(app, call, request, Contract::SessionApi).await
}

/// Log out: session API, as some frameworks spell it.
#[utoipa::path(
    post, path = "/logout/", tag = "logout",
    responses((status = "default", description = "As at `/logout`")),
    security(("bearer" = []), ("cookie" = [], "csrf" = []))
)]
pub(super) async fn session_api_with_slash(
    app: State<Arc<App>>,
    call: Extension<Arc<Call>>,
    request: Request,
) -> Response {
    logout(app, call, request, Contract::SessionApi).await
}

async fn logout(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Arc<Call>>,
    request: Request,
    contract: Contract,
) -> Response {
    let begun = Instant::now();
    let (Parts { headers, uri, .. }, body) = request.into_parts();
    let admitted = admitted(&app, &call, &headers, uri.query(), body).await;
    let (logouts, metrics, told) = (app.logouts.clone(), app.metrics.clone(), call.clone());
    let judged = async move {
        let cookies = RequestCookies::of(&headers, &app.config.cookies);
        let reply =
            Reply { app: &app, call: &call, headers: &headers, cookies: &cookies, contract, begun };
        match admitted {
            Ok((scope, _admission)) => judge_and_end(&reply, scope).await,
            Err(error) => reply.refused(error),
        }
    };
    // A task of its own: a client that hangs up stops neither the revocation nor its log line, and
    // makes no room for another.
    logouts.spawn(judged.in_current_span()).await.unwrap_or_else(|_panicked| {
        Line::new(&told, contract, begun, "failed", Some(&Error::Internal)).write(&metrics);
        Error::Internal.into_response()
    })
}

async fn judge_and_end(reply: &Reply<'_>, scope: Scope) -> Response {
    let deadline = Instant::now() + reply.app.config.upstream_timeout;
    match authorised(reply).await {
        Ok(session) => {
            let caller = reply.call.on_behalf_of(reply.headers);
            let route = reply.contract.path();
            let asked = Asked { scope, route, caller: &caller, tried_before: false };
            let ended = reply.app.logout.end(&session, asked, deadline).await;
            reply.ended(&session, scope, &ended)
        }
        Err(Refused::CookiesStay(error)) => reply.refused(error),
        Err(Refused::CookiesGo(error)) => reply.refused_with_deletions(&error, scope),
    }
}

/// Whether the request itself is in order and there is room; answers its scope.
async fn admitted(
    app: &App,
    call: &Call,
    headers: &HeaderMap,
    query: Option<&str>,
    body: Body,
) -> Result<(Scope, OwnedSemaphorePermit), Error> {
    if !call.host_is_named {
        return Err(Error::MalformedRequest);
    }
    super::refuse_duplicates(headers)?;
    let scope = request::scope(query, app.config.default_scope)?;
    request::read_and_ignore(body, headers, app.config.limits.header_timeout).await?;
    // Not before the body is here: who sends it slowly takes no place.
    Ok((scope, app.admit()?))
}

enum Refused {
    CookiesStay(Error),
    /// They were judged, and hold no session.
    CookiesGo(Error),
}

/// Whether somebody is calling who may.
async fn authorised(reply: &Reply<'_>) -> Result<Session, Refused> {
    let Reply { app, call, headers, cookies, .. } = *reply;
    let key = &app.config.cookies.name;
    let credential = Credential::of(headers, cookies, key);
    let bearer = credential.is_bearer();
    let own_page = || {
        let own = call.peer.own_origin.as_deref();
        app.csrf
            .allowed_origins
            .judge(headers, own)
            .map_err(|fault| Refused::CookiesStay(fault.into()))
    };
    if !bearer {
        own_page()?;
    }
    let now = app.logout.clock.unix_seconds();
    let refused =
        |error| if bearer { Refused::CookiesStay(error) } else { Refused::CookiesGo(error) };
    let session = app
        .verifier
        .session(credential, cookies, key, now)
        .await
        .map_err(|none| refused(none.into()))?;
    if session.expired && session.refresh_token.is_none() {
        return Err(refused(Error::CredentialExpired));
    }
    let csrf_header = headers.get(X_CSRF_TOKEN).map(|value| Submitted::new(value.as_bytes()));
    match session.carrier {
        Carrier::Bearer => return Ok(session),
        Carrier::Cookie => {}
        // The cookie counts only where the page asks for it.
        Carrier::BearerAndCookie if csrf_header.is_none() => {
            return Err(Refused::CookiesStay(Error::CredentialExpired));
        }
        Carrier::BearerAndCookie => own_page()?,
    }
    app.csrf
        .double_submit(csrf_header, cookies.values(CSRF_COOKIE), session.claims.session_id)
        .map_err(|fault| Refused::CookiesStay(fault.into()))?;
    Ok(session)
}

impl From<CsrfFault> for Error {
    fn from(fault: CsrfFault) -> Self {
        match fault {
            CsrfFault::Missing => Self::CsrfMissing,
            CsrfFault::Invalid => Self::CsrfInvalid,
            CsrfFault::CrossSite => Self::CsrfCrossSite,
        }
    }
}

impl From<NoSession> for Error {
    fn from(none: NoSession) -> Self {
        match none {
            NoSession::Missing => Self::CredentialMissing,
            NoSession::Invalid(fault) => Self::CredentialInvalid(fault),
        }
    }
}
