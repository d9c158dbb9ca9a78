//! `GET` and `POST /verify`: exchanges the code, the token hash or the link of a message for a session.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use url::{Url, form_urlencoded};
use uuid::Uuid;

use crate::{
    credentials::{parse_email, parse_phone},
    database::Database,
    error::GotrueError,
    mailer::Redirect,
    mock::Mock,
    one_time_tokens::{CodeKind, PKCE_PREFIX},
    rate_limits::LimitedRequest,
    request::{parse_json_object, query_parameter},
    session_response::{SessionTokens, begin_session},
    user::UserView,
    verification::{Accepted, Verification, VerificationType},
};

/// The message after the first of two codes for a new e-mail address.
const FIRST_OF_TWO: &str =
    "Confirmation link accepted. Please proceed to confirm link sent to the other email";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(rename = "type")]
    kind: String,
    token: String,
    token_hash: String,
    email: String,
    phone: String,
    redirect_to: String,
}

/// A code with its address, or a token hash.
pub(crate) async fn verify(
    State(mock): State<Mock>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, GotrueError> {
    LimitedRequest::Verify.check(&mock, &headers)?;
    let body: Body = parse_json_object(&body, "VerifyParams")?;
    let verification = body.check()?;
    let mut database = mock.database();
    match verification.accept(&mut database, mock.settings(), mock.now())? {
        Accepted::User { id, .. } => {
            Ok(begin_session(&mock, &mut database, id, "otp", UserView::Stored)?.into_response())
        }
        // GoTrue writes the status as a text (recorded: `email-change-first`).
        Accepted::FirstOfTwo => {
            Ok(Json(json!({ "code": "200", "msg": FIRST_OF_TWO })).into_response())
        }
    }
}

impl Body {
    fn check(&self) -> Result<Verification, GotrueError> {
        let invalid = |message: &str| GotrueError::bad_request("validation_failed", message);
        if self.kind.is_empty() {
            return Err(invalid("Verify requires a verification type"));
        }
        if self.token.is_empty() == self.token_hash.is_empty() {
            return Err(invalid("Verify requires either a token or a token hash"));
        }
        let kind = VerificationType::parse(&self.kind);
        if !self.token_hash.is_empty() {
            if !self.email.is_empty() || !self.phone.is_empty() || !self.redirect_to.is_empty() {
                return Err(invalid("Only the token_hash and type should be provided"));
            }
            return Ok(Verification::by_hash(kind, &self.token_hash));
        }
        match (&*self.email, &*self.phone) {
            ("", phone) if !phone.is_empty() => {
                Ok(Verification::by_phone(kind, &parse_phone(phone)?, &self.token))
            }
            (email, "") if !email.is_empty() => {
                let email = parse_email(email).map_err(|_| {
                    GotrueError::unprocessable("validation_failed", "Invalid email format")
                })?;
                Ok(Verification::by_email(kind, &email, &self.token))
            }
            _ => Err(invalid("Only an email address or phone number should be provided on verify")),
        }
    }
}

/// A link. The answer is always a redirect to the site, with the session or the error.
pub(crate) async fn verify_link(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, GotrueError> {
    LimitedRequest::Verify.check(&mock, &headers)?;
    let query = query.as_deref();
    let (kind, token) = (query_parameter(query, "type"), query_parameter(query, "token"));
    let invalid = |message: &str| GotrueError::bad_request("validation_failed", message);
    if kind.is_empty() {
        return Err(invalid("Verify requires a verification type"));
    }
    if token.is_empty() {
        return Err(invalid("Verify requires a token or a token hash"));
    }
    let redirect = Redirect::of(&mock, query, &headers);
    let is_pkce = token.starts_with(PKCE_PREFIX);
    let method = VerificationType::authentication_method(&kind);
    if is_pkce && method.is_none() {
        return Err(GotrueError::unexpected());
    }
    let mut database = mock.database();
    let verification = Verification::by_hash(VerificationType::parse(&kind), &token);
    let accepted = verification.accept(&mut database, mock.settings(), mock.now());
    let mut tokens = None;
    let location = match accepted {
        Err(error) => error_location(redirect.as_str(), &error, is_pkce),
        Ok(Accepted::FirstOfTwo) => first_of_two_location(redirect.as_str(), is_pkce),
        Ok(Accepted::User { id, .. }) if is_pkce => {
            let code = auth_code(&mock, &mut database, id, method.unwrap_or_default());
            code_location(redirect.as_str(), code)
        }
        Ok(Accepted::User { id, code }) => {
            let begun = begin_session(&mock, &mut database, id, "otp", UserView::Stored)?;
            let location = session_location(redirect.as_str(), &begun, link_type(&kind, code));
            tokens = Some(begun);
            location
        }
    };
    let mut response = see_other(&location);
    if let Some(tokens) = tokens {
        tokens.insert_headers(response.headers_mut());
    }
    Ok(response)
}

/// The `type` to which a link leads back. Of `email`, GoTrue names what the code was for (recorded:
/// `verify-link-type-email`).
fn link_type(requested: &str, code: CodeKind) -> &str {
    match (requested, code) {
        ("email", CodeKind::Recovery) => "magiclink",
        ("email", _) => "signup",
        (requested, _) => requested,
    }
}

fn first_of_two_location(address: &str, is_pkce: bool) -> String {
    let message = ("message", FIRST_OF_TWO);
    let in_query: &[_] = if is_pkce { &[message] } else { &[] };
    format!("{}#{}", with_query(address, in_query), encoded(&[message, ("sb", "")]))
}

/// Leads back with the code for `grant_type=pkce`, or with the error that there is none.
fn code_location(address: &str, code: Option<Uuid>) -> String {
    if let Some(code) = code {
        return with_query(address, &[("code", &code.to_string())]);
    }
    let message = "No associated flow state found. 422: No valid flow state found for user.";
    error_location(address, &GotrueError::bad_request("flow_state_not_found", message), true)
}

fn auth_code(mock: &Mock, database: &mut Database, user_id: Uuid, method: &str) -> Option<Uuid> {
    let now = mock.now();
    let mut flows = database.flow_states.iter_mut().rev();
    let flow =
        flows.find(|flow| flow.user_id == user_id && flow.authentication_method == method)?;
    Some(flow.issue_code(now))
}

/// The session in the fragment, as GoTrue's `AsRedirectURL` writes it.
fn session_location(address: &str, tokens: &SessionTokens, kind: &str) -> String {
    let member = |name: &str| match tokens.body.get(name) {
        Some(serde_json::Value::String(text)) => text.clone(),
        other => other.map(ToString::to_string).unwrap_or_default(),
    };
    let mut members: Vec<(&str, String)> =
        ["access_token", "expires_at", "expires_in", "refresh_token", "token_type"]
            .iter()
            .map(|name| (*name, member(name)))
            .collect();
    members.extend([("sb", String::new()), ("type", kind.to_owned())]);
    members.sort();
    format!("{address}#{}", encoded(&members))
}

fn error_location(address: &str, error: &GotrueError, is_pkce: bool) -> String {
    let (status, code, message) = error.parts();
    let mut members =
        vec![("error_code", code.to_owned()), ("error_description", message.to_owned())];
    let name = match status {
        StatusCode::BAD_REQUEST => Some("invalid_request"),
        StatusCode::UNAUTHORIZED => Some("unauthorized_client"),
        StatusCode::FORBIDDEN => Some("access_denied"),
        StatusCode::INTERNAL_SERVER_ERROR => Some("server_error"),
        StatusCode::SERVICE_UNAVAILABLE => Some("temporarily_unavailable"),
        _ => None,
    };
    members.extend(name.map(|name| ("error", name.to_owned())));
    members.sort();
    let in_query = if is_pkce { members.clone() } else { Vec::new() };
    members.push(("sb", String::new()));
    members.sort();
    let pairs: Vec<_> = in_query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    format!("{}#{}", with_query(address, &pairs), encoded(&members))
}

/// The address with these parameters added to its query.
pub(crate) fn with_query(address: &str, parameters: &[(&str, &str)]) -> String {
    if parameters.is_empty() {
        return address.to_owned();
    }
    let Ok(url) = Url::parse(address) else { return address.to_owned() };
    let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    pairs.retain(|(name, _)| !parameters.iter().any(|(added, _)| added == name));
    pairs.extend(parameters.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
    pairs.sort();
    let base = address.split(['?', '#']).next().unwrap_or_default();
    format!("{base}?{}", encoded(&pairs))
}

pub(crate) fn encoded<N: AsRef<str>, V: AsRef<str>>(pairs: &[(N, V)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The redirect as Go's `http.Redirect` writes it.
fn see_other(location: &str) -> Response {
    let page = format!("<a href=\"{}\">See Other</a>.\n\n", location.replace('&', "&amp;"));
    let location = HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("/"));
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    let headers = [(header::LOCATION, location), (header::CONTENT_TYPE, html)];
    (StatusCode::SEE_OTHER, headers, page).into_response()
}
