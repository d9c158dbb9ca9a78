//! The routes of a logout: three published contracts, and HTML forms. They differ only in the response.
//!
//! A request is checked in this order: duplicate headers and scope, body, cross-site, session, CSRF. The first
//! check that fails makes the response.

mod audit;
mod contract;
mod form;
mod jar;
mod request;
mod response;

pub(crate) use self::audit::report_omitted_lines;

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use tokio::time::Instant;
use tracing::Instrument as _;

use self::{
    audit::{FinishedLogout, Line},
    contract::Contract,
    request::{Authorized, Incoming, Unauthorized},
    response::{CookieDeletion, LogoutResponse, severity},
};
#[cfg(test)]
use crate::http::error::ErrorEnvelope;
use crate::{
    http::{context::RequestContext, error::Error, state::AppState},
    logout::LogoutRequest,
    outcome::{Outcome, Scope, Stored},
    session::cookies::RequestCookies,
};

/// The paths of all contracts.
pub(crate) const PATHS: [&str; 6] = [
    "/api/auth/logout",
    "/api/auth/logout/",
    "/api/v1/auth/logout",
    "/api/v1/auth/logout/",
    "/logout",
    "/logout/",
];

/// Log out: Supabase envelope API.
#[cfg_attr(test, utoipa::path(
    post, path = "/api/auth/logout", tag = "logout",
    params(("scope" = Option<String>, Query, description = "`local` (default): this session. `others`: every other session of the user. `global`: all.")),
    responses(
        (status = 200, description = "The sessions that the scope names have ended.", body = contract::SuccessEnvelope,
            headers(("X-Logout-Outcome" = String, description = "`revoked`: GoTrue ended the sessions. `already-ended`: the session had ended before."),
                ("X-Logout-Cookies-Left" = u32, description = "Absent if all cookies are deleted: the number of names whose deletion did not fit into the response. Send the same request again to delete them.")),
            example = json!({"data": {"success": true}})),
        (status = 202, description = "GoTrue is not available, and a durable queue holds the revocation.", body = contract::SuccessEnvelope,
            headers(("X-Logout-Outcome" = String, description = "`queued`."))),
        (status = 400, description = "`BAD_REQUEST`", body = ErrorEnvelope),
        (status = 401, description = "`NOT_AUTHENTICATED`", body = ErrorEnvelope),
        (status = 403, description = "`CSRF_FAILED`: nothing was revoked or deleted.", body = ErrorEnvelope),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`", body = ErrorEnvelope),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`", body = ErrorEnvelope),
        (status = 429, description = "`RATE_LIMITED`: GoTrue answered 429.", body = ErrorEnvelope,
            headers(("Retry-After" = String, description = "GoTrue's `Retry-After`, if it sent one."))),
        (status = 500, description = "`LOGOUT_FAILED`: GoTrue did not confirm the logout, and the session may still be valid. The cookies are deleted, except with `scope=others`.", body = ErrorEnvelope),
        (status = 503, description = "`OVERLOADED`: more requests at once than `GATEWAY_MAX_IN_FLIGHT` allows.", body = ErrorEnvelope,
            headers(("Retry-After" = u32, description = "The number of seconds until the client should try again."))),
    ),
    security(("bearer" = []), ("cookie" = [], "csrf" = []))
))]
pub(in crate::http) async fn envelope(
    app: State<Arc<AppState>>,
    context: Extension<Arc<RequestContext>>,
    request: Request,
) -> Response {
    logout(app, context, request, Contract::Envelope).await
}

/// Log out: REST API v1.
#[cfg_attr(test, utoipa::path(
    post, path = "/api/v1/auth/logout", tag = "logout",
    params(("scope" = Option<String>, Query, description = "`local` (default), `others` or `global`.")),
    responses(
        (status = 204, description = "The sessions that the scope names have ended.",
            headers(("X-Logout-Outcome" = String, description = "`revoked`: GoTrue ended the sessions. `already-ended`: the session had ended before."))),
        (status = 202, description = "As at `/api/auth/logout`, but without a body."),
        (status = "4XX", description = "As at `/api/auth/logout`", body = ErrorEnvelope),
        (status = "5XX", description = "As at `/api/auth/logout`", body = ErrorEnvelope),
    ),
    security(("bearer" = []), ("cookie" = [], "csrf" = []))
))]
pub(in crate::http) async fn rest(
    app: State<Arc<AppState>>,
    context: Extension<Arc<RequestContext>>,
    request: Request,
) -> Response {
    logout(app, context, request, Contract::Rest).await
}

/// Log out: session API.
#[cfg_attr(test, utoipa::path(
    post, path = "/logout", tag = "logout",
    params(("scope" = Option<String>, Query, description = "`local` (default), `others` or `global`.")),
    request_body(content = Option<form::Fields>, content_type = "application/x-www-form-urlencoded", description = "The fields of an HTML form. The field `csrf_token` takes the place of the header `X-CSRF-Token`, and every response is a redirect."),
    responses(
        (status = 303, description = "The response to every form, also after an error: a redirect to `redirect_to`, or to `GATEWAY_REDIRECT_DEFAULT`. After an error the query has `logout=<outcome>`.",
            headers(("Location" = String, description = "The target of the redirect."))),
        (status = 200, description = "The sessions that the scope names have ended.", body = contract::SessionApi,
            headers(("X-Logout-Outcome" = String, description = "`revoked`: GoTrue ended the sessions. `already-ended`: the session had ended before.")),
            example = json!({"message": "Logout successful. User id: 854d44f4-6c66-4980-be4b-bfede58508e1"})),
        (status = 202, description = "As at `/api/auth/logout`.", body = contract::SessionApi),
        (status = "4XX", description = "As at `/api/auth/logout`", body = ErrorEnvelope),
        (status = "5XX", description = "As at `/api/auth/logout`", body = ErrorEnvelope),
    ),
    security(("bearer" = []), ("cookie" = [], "csrf" = []), ("cookie" = []))
))]
pub(in crate::http) async fn session_api(
    app: State<Arc<AppState>>,
    context: Extension<Arc<RequestContext>>,
    request: Request,
) -> Response {
    let is_form = form::is_form(request.headers(), request.body(), &app.verifier);
    let contract = if is_form { Contract::Form } else { Contract::SessionApi };
    logout(app, context, request, contract).await
}

/// Log out: session API, as some frameworks spell it.
#[cfg(test)]
#[utoipa::path(
    post, path = "/logout/", tag = "logout",
    responses((status = "default", description = "As at `/logout`")),
    security(("bearer" = []), ("cookie" = [], "csrf" = []))
)]
#[expect(dead_code, reason = "the description uses its annotation alone")]
pub(in crate::http) fn session_api_with_slash() {}

async fn logout(
    State(app): State<Arc<AppState>>,
    Extension(context): Extension<Arc<RequestContext>>,
    request: Request,
    contract: Contract,
) -> Response {
    let begun = Instant::now();
    let (Parts { headers, uri, .. }, body) = request.into_parts();
    let (form, scope) = request::read(&app, &context, &headers, uri.query(), body, contract).await;
    let destination = (contract == Contract::Form)
        .then(|| app.config.redirects.destination(form.redirect_to.as_deref()));
    let location_bytes = destination.as_ref().map_or(0, |found| found.location().len());
    let (logouts, metrics, panicked_context) =
        (app.logouts.clone(), app.metrics.clone(), context.clone());
    let work = async move {
        let cookies = &RequestCookies::of(&headers, &app.config.cookies);
        let (app, context, headers) = (&*app, &*context, &headers);
        let csrf_field = form.csrf_token.as_deref();
        let incoming = Incoming { app, context, headers, cookies, csrf_field };
        let config = &*app.config;
        let deletion = CookieDeletion { config, context, headers, cookies, location_bytes };
        let finished = match scope {
            Ok(scope) => authorize_and_end(&incoming, scope, contract, &deletion).await,
            Err(error) => FinishedLogout::before_session(LogoutResponse::refused(error), None),
        };
        finished.record(app, context, contract, begun)
    };
    // Run the logout in a task of its own: a client that hangs up then stops neither the revocation nor its
    // audit line, and does not free the place of its request. The future has 4.9 KB, and the task would move it nine
    // times, so it is boxed.
    let response =
        logouts.spawn(Box::pin(work).in_current_span()).await.unwrap_or_else(|_panicked| {
            let error = Error::Internal;
            Line::new(&panicked_context, contract, begun, Outcome::Failed, Some(&error))
                .write(&metrics);
            error.into_response()
        });
    match destination {
        Some(destination) => form::see_other(response, &destination),
        None => response,
    }
}

async fn authorize_and_end(
    incoming: &Incoming<'_>,
    scope: Scope,
    contract: Contract,
    deletion: &CookieDeletion<'_>,
) -> FinishedLogout {
    let Incoming { app, context, headers, cookies, .. } = *incoming;
    let Authorized { sessions, refused, deadline } = match incoming.authorize().await {
        Ok(authorized) => authorized,
        Err(Unauthorized { error, deletes_cookies: false }) => {
            return FinishedLogout::before_session(LogoutResponse::refused(error), None);
        }
        Err(Unauthorized { error, deletes_cookies: true }) => {
            let mut response = LogoutResponse::refused(error);
            if !cookies.is_empty() && scope != Scope::Others {
                deletion.add_to(&mut response);
            }
            return FinishedLogout::before_session(response, Some(scope));
        }
    };
    // The request holds its permit until the revocations have ended, even if the client hangs up.
    let _permit = match app.in_flight.take(jar::best_proof(&sessions)) {
        Ok(permit) => permit,
        // Keep the cookies, because the client may try again.
        Err(overloaded) => {
            let response = LogoutResponse::refused(overloaded.into());
            return FinishedLogout::not_tried(response, scope, sessions);
        }
    };
    let (caller, route) = (context.on_behalf_of(headers), Stored::Known(contract.route()));
    let request = LogoutRequest {
        scope,
        route: &route,
        caller: &caller,
        tried_before: false,
        was_over: false,
    };
    let ended = jar::end(&app.logout, sessions, request, deadline).await;
    let not_found = app.config.logout.session_not_found;
    let (mut response, deletes_cookies, sessions) =
        response::of_sessions(ended, contract, not_found);
    if let Some(refused) = refused {
        // The configuration refuses one more session of the cookies, which stays valid: keep the cookies, and do not
        // report success.
        if severity(response.outcome) < severity(Outcome::Refused) {
            response = LogoutResponse::refused(refused);
            return FinishedLogout { response, scope: Some(scope), reports_first: false, sessions };
        }
    } else if deletes_cookies && scope != Scope::Others {
        deletion.add_to(&mut response);
    }
    FinishedLogout { response, scope: Some(scope), reports_first: true, sessions }
}
