//! Three published contracts of one logout, and one for forms; they differ in how the answer looks.
//!
//! A request is judged in this order: duplicate headers and scope, body, cross-site, session, CSRF.
//! The first that fails answers.

mod audit;
mod contract;
mod form;
mod request;
mod response;

pub(crate) use self::audit::report_omitted_lines;

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, request::Parts},
    response::{IntoResponse, Response},
};
use tokio::time::Instant;
use tracing::Instrument as _;

use self::{audit::Line, contract::Contract, form::Fields, response::Reply};
use crate::{
    config::{CSRF_COOKIE, Scope},
    csrf::submitted::SubmittedToken,
    http::{
        authentication::read_session,
        context::RequestContext,
        error::{Envelope, Error},
        headers::{X_CSRF_TOKEN, refuse_duplicates},
        state::AppState,
    },
    logout::LogoutRequest,
    session::{
        AuthenticationError, Carrier, Credential, Session, UnknownKey, cookies::RequestCookies,
        token::TokenError,
    },
};

/// Where all contracts are served.
pub(crate) const PATHS: [&str; 4] =
    ["/api/auth/logout", "/api/v1/auth/logout", "/logout", "/logout/"];

/// Log out: Supabase envelope API.
#[utoipa::path(
    post, path = "/api/auth/logout", tag = "logout",
    params(("scope" = Option<String>, Query, description = "`local` (default): this session. `others`: every other session of the user. `global`: all.")),
    responses(
        (status = 200, description = "The session was revoked, or was already gone: see `X-Logout-Outcome`.", body = contract::Envelope, example = json!({"data": {"success": true}})),
        (status = 202, description = "GoTrue could not be asked; that is durably queued: `X-Logout-Outcome: queued`.", body = contract::Envelope),
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
pub(in crate::http) async fn envelope(
    app: State<Arc<AppState>>,
    call: Extension<Arc<RequestContext>>,
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
pub(in crate::http) async fn rest(
    app: State<Arc<AppState>>,
    call: Extension<Arc<RequestContext>>,
    request: Request,
) -> Response {
    logout(app, call, request, Contract::Rest).await
}

/// Log out: session API.
#[utoipa::path(
    post, path = "/logout", tag = "logout",
    params(("scope" = Option<String>, Query, description = "`local` (default), `others` or `global`.")),
    request_body(content = Option<form::Fields>, content_type = "application/x-www-form-urlencoded", description = "From an HTML form, whose field stands for the header `X-CSRF-Token`; every answer is then a redirect."),
    responses(
        (status = 303, description = "To a form, whatever became of it: to `redirect_to`, or to the default, with `?logout=<outcome>` if nobody was logged out."),
        (status = 200, description = "The session was revoked, or was already gone: see `X-Logout-Outcome`.", body = contract::SessionApi, example = json!({"message": "Logout successful. User id: 854d44f4-6c66-4980-be4b-bfede58508e1"})),
        (status = 202, description = "Queued.", body = contract::SessionApi),
        (status = "4XX", description = "As at `/api/auth/logout`", body = Envelope),
        (status = "5XX", description = "As at `/api/auth/logout`", body = Envelope),
    ),
    security(("bearer" = []), ("cookie" = [], "csrf" = []), ("cookie" = []))
)]
pub(in crate::http) async fn session_api(
    app: State<Arc<AppState>>,
    call: Extension<Arc<RequestContext>>,
    request: Request,
) -> Response {
    logout_or_form(app, call, request).await
}

/// Log out: session API, as some frameworks spell it.
#[utoipa::path(
    post, path = "/logout/", tag = "logout",
    responses((status = "default", description = "As at `/logout`")),
    security(("bearer" = []), ("cookie" = [], "csrf" = []))
)]
pub(in crate::http) async fn session_api_with_slash(
    app: State<Arc<AppState>>,
    call: Extension<Arc<RequestContext>>,
    request: Request,
) -> Response {
    logout_or_form(app, call, request).await
}

async fn logout_or_form(
    app: State<Arc<AppState>>,
    call: Extension<Arc<RequestContext>>,
    request: Request,
) -> Response {
    let by_form = form::is_form(request.headers(), request.body());
    let contract = if by_form { Contract::Form } else { Contract::SessionApi };
    logout(app, call, request, contract).await
}

async fn logout(
    State(app): State<Arc<AppState>>,
    Extension(call): Extension<Arc<RequestContext>>,
    request: Request,
    contract: Contract,
) -> Response {
    let begun = Instant::now();
    let (Parts { headers, uri, .. }, body) = request.into_parts();
    let (form, scope) = asked(&app, &call, &headers, uri.query(), body, contract).await;
    let destination = (contract == Contract::Form)
        .then(|| app.config.redirects.destination(form.redirect_to.as_deref()));
    let (logouts, metrics, told) = (app.logouts.clone(), app.metrics.clone(), call.clone());
    let leads_to = destination.clone();
    let judged = async move {
        let reply = Reply {
            app: &app,
            call: &call,
            headers: &headers,
            cookies: &RequestCookies::of(&headers, &app.config.cookies),
            contract,
            destination: leads_to.as_ref(),
            begun,
        };
        match scope {
            Ok(scope) => judge_and_end(&reply, scope, &form).await,
            Err(error) => reply.refused(error),
        }
    };
    // A task of its own: a client that hangs up stops neither the revocation nor its log line, and
    // makes no room for another.
    let answer = logouts.spawn(judged.in_current_span()).await.unwrap_or_else(|_panicked| {
        Line::new(&told, contract, begun, "failed", Some(&Error::Internal)).write(&metrics);
        Error::Internal.into_response()
    });
    match destination {
        Some(destination) => form::see_other(answer, &destination),
        None => answer,
    }
}

async fn judge_and_end(reply: &Reply<'_>, scope: Scope, form: &Fields) -> Response {
    let deadline = Instant::now() + reply.app.config.upstream.timeout;
    match authorised(reply, form).await {
        Ok(session) => {
            // The place is taken until the revocation has ended, even if the client hangs up.
            let _place = match reply.app.places.take(session.proof) {
                Ok(place) => place,
                Err(overloaded) => {
                    return reply.refused_session(&session, scope, overloaded.into());
                }
            };
            let caller = reply.call.on_behalf_of(reply.headers);
            let route = reply.contract.path();
            let (tried_before, was_over) = (false, false);
            let asked = LogoutRequest { scope, route, caller: &caller, tried_before, was_over };
            let ended = reply.app.logout.end(&session, asked, deadline).await;
            reply.ended(&session, scope, &ended)
        }
        Err(Refused::CookiesStay(error)) => reply.refused(error),
        Err(Refused::CookiesGo(error)) => reply.refused_with_deletions(&error, scope),
    }
}

/// What a form says, and the scope if the request itself is in order.
async fn asked(
    app: &AppState,
    call: &RequestContext,
    headers: &HeaderMap,
    query: Option<&str>,
    body: Body,
    contract: Contract,
) -> (Fields, Result<Scope, Error>) {
    let in_order = if call.has_valid_host { Ok(()) } else { Err(Error::MalformedRequest) };
    let in_query =
        in_order.and_then(|()| refuse_duplicates(headers)).and_then(|()| request::scope(query));
    if contract != Contract::Form
        && let Err(error) = in_query
    {
        return (Fields::default(), Err(error));
    }
    let body = request::read(body, headers, app.config.limits.header_timeout).await;
    let (form, in_order) = match (&body, contract) {
        (Err(error), _) => (Fields::default(), Err(error.clone())),
        (Ok(body), Contract::Form) => Fields::read(body),
        (Ok(body), _) => (Fields::default(), request::ignore(body, headers)),
    };
    let scope = in_query.and_then(|in_query| {
        in_order?;
        match (in_query, form.scope) {
            (Some(_), Some(_)) => Err(Error::UnsupportedScope),
            (scope, in_form) => Ok(scope.or(in_form).unwrap_or(app.config.logout.default_scope)),
        }
    });
    (form, scope)
}

enum Refused {
    CookiesStay(Error),
    /// They were judged, and hold no session.
    CookiesGo(Error),
}

/// Authenticates the caller and, for cookies, judges the page that asks and the CSRF token.
async fn authorised(reply: &Reply<'_>, form: &Fields) -> Result<Session, Refused> {
    let Reply { app, call, headers, cookies, .. } = *reply;
    let key = &app.config.cookies.name;
    let credential = Credential::of(headers, cookies, key);
    let bearer = credential.is_bearer();
    let own_page = || {
        let own = call.client.own_origin.as_deref();
        app.csrf
            .allowed_origins
            .judge(headers, own)
            .map_err(|fault| Refused::CookiesStay(fault.into()))
    };
    if !bearer {
        own_page()?;
    }
    let refused =
        |error| if bearer { Refused::CookiesStay(error) } else { Refused::CookiesGo(error) };
    let session = match read_session(app, credential, cookies, UnknownKey::Refetch).await {
        Ok(session) => session,
        // The gateway's setting is wrong, and the session lives: the browser keeps it.
        Err(none @ AuthenticationError::Invalid(TokenError::Issuer | TokenError::Audience)) => {
            return Err(Refused::CookiesStay(none.into()));
        }
        Err(none) => return Err(refused(none.into())),
    };
    if session.expired && session.refresh_token.is_none() {
        return Err(refused(Error::CredentialExpired));
    }
    let in_header = headers.get(X_CSRF_TOKEN).map(HeaderValue::as_bytes);
    let in_form = form.csrf_token.as_deref().map(str::as_bytes);
    let submitted = in_form.or(in_header).map(SubmittedToken::new);
    match session.carrier {
        Carrier::Bearer => return Ok(session),
        Carrier::Cookie => {}
        // The cookie counts only where the page asks for it.
        Carrier::BearerAndCookie if submitted.is_none() => {
            return Err(Refused::CookiesStay(Error::CredentialExpired));
        }
        Carrier::BearerAndCookie => own_page()?,
    }
    let (_, accepted) = super::csrf::bindings(&session);
    app.csrf
        .double_submit(submitted, cookies.values(CSRF_COOKIE), &accepted)
        .map_err(|fault| Refused::CookiesStay(fault.into()))?;
    Ok(session)
}
