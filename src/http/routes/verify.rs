//! `/api/auth/verify` tells a proxy (forward-auth) whether a request's session lives: 200 without a body and
//! with the identity in headers, or 401 with the reason in a header.
//!
//! A session that was logged out at a gateway is refused at once, although its access token has not expired, and
//! the log has a line about it. With `?redirect=<path>` a page load is redirected instead of refused.

mod session;

pub(crate) use self::session::report_omitted_lines;

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use uuid::Uuid;

use self::session::VerifyError;
#[cfg(test)]
use crate::http::error::ErrorEnvelope;
use crate::{
    http::{context::RequestContext, error::Error, state::AppState},
    outcome::Reason,
    session::Session,
};

const USER_ID: HeaderName = HeaderName::from_static("x-auth-user-id");
const SESSION_ID: HeaderName = HeaderName::from_static("x-auth-session-id");
const ROLE: HeaderName = HeaderName::from_static("x-auth-role");
const AAL: HeaderName = HeaderName::from_static("x-auth-aal");
const ANONYMOUS: HeaderName = HeaderName::from_static("x-auth-anonymous");
const CLIENT_ID: HeaderName = HeaderName::from_static("x-auth-client-id");
const CARRIER: HeaderName = HeaderName::from_static("x-auth-carrier");
/// The reason of a 401.
const REASON: HeaderName = HeaderName::from_static("x-auth-reason");

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Check the session of a request, for a proxy. Any method, at this path and at any path below it.
#[cfg_attr(test, utoipa::path(
    get, path = "/api/auth/verify", tag = "verify",
    params(("redirect" = Option<String>, Query, description = "Where a page load without a valid session is redirected: a path, or one of `GATEWAY_REDIRECT_URLS`.")),
    responses(
        (status = 200, description = "The session is valid. The response has no body. A header whose claim is missing is empty.", headers(
            ("X-Auth-User-Id" = String, description = "The claim `sub`."),
            ("X-Auth-Session-Id" = String, description = "The claim `session_id`."),
            ("X-Auth-Role" = String, description = "The claim `role`."),
            ("X-Auth-Aal" = String, description = "The claim `aal`."),
            ("X-Auth-Anonymous" = String, description = "The claim `is_anonymous`: `true` or `false`, also without the claim."),
            ("X-Auth-Client-Id" = String, description = "The claim `client_id`, which tokens of GoTrue's OAuth server have."),
            ("X-Auth-Carrier" = String, description = "The credential that has the identity: `bearer` or `cookie`."))),
        (status = 302, description = "The request is a page load without a valid session, and its query has an accepted `redirect`.",
            headers(("Location" = String, description = "The target of `redirect`."), ("X-Auth-Reason" = String, description = "As with 401."))),
        (status = 401, description = "`NOT_AUTHENTICATED`", body = ErrorEnvelope,
            headers(("X-Auth-Reason" = String, description = "`missing`, `invalid`, `revoked`, `expired`, or `refreshable`: expired, and the request has a refresh token."))),
        (status = 503, description = "`NOT_READY` or `OVERLOADED`: the session cannot be verified now.", body = ErrorEnvelope),
    ),
    security(("bearer" = []), ("cookie" = []))
))]
pub(in crate::http) async fn verify(
    State(app): State<Arc<AppState>>,
    Extension(context): Extension<Arc<RequestContext>>,
    request: Request,
) -> Response {
    // The extractor `HeaderMap` would copy all headers, a tenth of the instructions of a check.
    let (Parts { headers, uri, .. }, _) = request.into_parts();
    let found = session::find(&app, &context, &headers).await;
    app.metrics.verified(found.as_ref().err().map(|refused| refused.error.reason()));
    match found {
        Ok(session) => identity(&session).into_response(),
        Err(refused) => refusal(&app, refused, uri.query(), &headers),
    }
}

fn refusal(
    app: &AppState,
    refused: VerifyError,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Response {
    let reason = reason(&refused);
    let Some(reason) = reason else { return refused.error.into_response() };
    let target = query.filter(|_| is_navigation(headers)).and_then(|query| {
        let requested =
            form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "redirect");
        app.config.redirects.allowed_destination(&requested?.1)
    });
    let mut response = match target.and_then(|target| HeaderValue::try_from(target.location()).ok())
    {
        Some(location) => (StatusCode::FOUND, [(header::LOCATION, location)]).into_response(),
        None => refused.error.into_response(),
    };
    response.headers_mut().insert(REASON, HeaderValue::from_static(reason));
    response
}

/// The value of `X-Auth-Reason`; `None` for an error that is no 401.
fn reason(refused: &VerifyError) -> Option<&'static str> {
    if refused.error.status() != StatusCode::UNAUTHORIZED {
        return None;
    }
    Some(match refused.error {
        Error::CredentialExpired if refused.is_refreshable => "refreshable",
        // GoTrue says that the session has ended, although no gateway has ended it.
        Error::SessionNotFound => Reason::Revoked.as_str(),
        _ => refused.error.reason().as_str(),
    })
}

/// Whether a browser requests a page to show it. A browser that sends no `Sec-Fetch-Mode` is recognised by its
/// `Accept`.
fn is_navigation(headers: &HeaderMap) -> bool {
    match headers.get(SEC_FETCH_MODE) {
        Some(mode) => mode == "navigate",
        None => headers
            .get_all(header::ACCEPT)
            .iter()
            .any(|accept| accept.to_str().is_ok_and(|accept| accept.split(',').any(accepts_html))),
    }
}

/// Whether an entry of `Accept` (RFC 9110, section 12.5.1) is `text/html`, and not with the weight 0, which refuses it.
fn accepts_html(entry: &str) -> bool {
    let mut parts = entry.split(';').map(str::trim);
    let is_html = parts.next().is_some_and(|range| range.eq_ignore_ascii_case("text/html"));
    let is_refused =
        parts.filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
            name.trim().eq_ignore_ascii_case("q") && value.trim().parse() == Ok(0.0_f32)
        });
    is_html && !is_refused
}

/// The identity headers. Empty ones are sent too, because a proxy might pass on the client's own header in
/// place of an absent one.
fn identity(session: &Session) -> HeaderMap {
    let claims = &session.claims;
    // Room for the headers of every response, too.
    let mut identity = HeaderMap::with_capacity(16);
    let of_id = |id: Uuid| header_value(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    let of_claim = |claim: &Option<String>| header_value(claim.as_deref().unwrap_or_default());
    identity.insert(USER_ID, of_id(claims.sub));
    identity.insert(SESSION_ID, of_id(claims.session_id));
    identity.insert(ROLE, of_claim(&claims.role));
    identity.insert(AAL, of_claim(&claims.aal));
    let is_anonymous = if claims.is_anonymous { "true" } else { "false" };
    identity.insert(ANONYMOUS, HeaderValue::from_static(is_anonymous));
    identity.insert(CLIENT_ID, of_claim(&claims.client_id));
    identity.insert(CARRIER, HeaderValue::from_static(session.carrier.as_str()));
    identity
}

/// The value of a header; empty if `claim` is no valid one.
fn header_value(claim: &str) -> HeaderValue {
    HeaderValue::from_str(claim).unwrap_or(HeaderValue::from_static(""))
}
