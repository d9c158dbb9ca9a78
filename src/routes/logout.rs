//! Three published contracts of one logout; they differ only in how success looks.
//!
//! A request is judged in this order: duplicate headers and scope, body, cross-site, session, CSRF.
//! The first that fails answers.

mod reply;
mod request;

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue},
    response::Response,
};
use tokio::time::Instant;

use self::reply::{Contract, Reply};
use crate::{
    app::{App, X_CSRF_TOKEN, frame::Call},
    config::Scope,
    csrf::CsrfFault,
    error::{Envelope, Error},
    gotrue::OnBehalfOf,
    logout::Ended,
    session::{
        Carrier, Credential, NoSession, Session,
        cookies::{RequestCookies, deletion::CSRF_COOKIE},
    },
};

/// Log out: Supabase envelope API.
#[utoipa::path(
    post, path = "/api/auth/logout", tag = "logout",
    params(("scope" = Option<String>, Query, description = "`local` (default): this session. `others`: every other session of the user. `global`: all.")),
    responses(
        (status = 200, description = "The session was revoked, or was already gone: see `X-Logout-Outcome`.", body = reply::Envelope, example = json!({"data": {"success": true}})),
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
    let (parts, body) = request.into_parts();
    let cookies = RequestCookies::of(&parts.headers);
    let reply = Reply {
        app: &app,
        call: &call,
        headers: &parts.headers,
        cookies: &cookies,
        contract,
        begun,
    };
    let scope = match admitted(&app, &parts.headers, parts.uri.query(), body).await {
        Ok(scope) => scope,
        Err(error) => return reply.refused(error),
    };
    let session = match authorised(&app, &call, &parts.headers, &cookies).await {
        Ok(session) => session,
        Err(Refused::CookiesStay(error)) => return reply.refused(error),
        Err(Refused::CookiesGo(error)) => return reply.refused_with_deletions(&error, scope),
    };
    let ended = end(&app, session.clone(), scope, call.on_behalf_of(&parts.headers)).await;
    match ended {
        Some(ended) => reply.ended(&session, scope, &ended),
        None => reply.refused(Error::Internal),
    }
}

/// Whether the request itself is in order; answers its scope.
async fn admitted(
    app: &App,
    headers: &HeaderMap,
    query: Option<&str>,
    body: Body,
) -> Result<Scope, Error> {
    super::refuse_duplicates(headers)?;
    let scope = request::scope(query, app.config.default_scope)?;
    request::read_and_ignore(body, headers, app.config.limits.header_timeout).await?;
    Ok(scope)
}

enum Refused {
    CookiesStay(Error),
    /// They were judged, and hold no session.
    CookiesGo(Error),
}

/// Whether somebody is calling who may.
async fn authorised(
    app: &App,
    call: &Call,
    headers: &HeaderMap,
    cookies: &RequestCookies<'_>,
) -> Result<Session, Refused> {
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
    let csrf_header = headers.get(X_CSRF_TOKEN).map(HeaderValue::as_bytes);
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

/// Ends the session in a task of its own: a client that hangs up does not stop it. `None` if it
/// panicked.
async fn end(app: &Arc<App>, session: Session, scope: Scope, caller: OnBehalfOf) -> Option<Ended> {
    let deadline = Instant::now() + app.config.upstream_timeout;
    let task_app = app.clone();
    let task = app
        .logouts
        .spawn(async move { task_app.logout.end(&session, scope, &caller, deadline).await });
    task.await.ok()
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
