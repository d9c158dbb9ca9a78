//! `POST /token` with the grants `password`, `refresh_token`, `pkce` and `id_token`.

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    audit_log::AuditAction,
    client_addr::ClientAddr,
    credentials::{phone_digits, weakness},
    database::{Database, RefreshError},
    error::GotrueError,
    flow_state::FlowState,
    mock::Mock,
    rate_limits::LimitedRequest,
    refresh_token::{self, IssuedToken},
    request::{parse_json_object, query_parameter},
    routes::id_token::IdTokenGrant,
    session_response::{SessionTokens, begin_session},
    settings::{Feature, Settings},
    user::{User, UserView},
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Credentials {
    email: String,
    phone: String,
    password: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PkceGrant {
    auth_code: String,
    code_verifier: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RefreshTokenGrant {
    refresh_token: String,
}

pub(crate) async fn token(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    client: ClientAddr,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, GotrueError> {
    // GoTrue reads a form to find the grant type, and has no body left (recorded: `token-form`).
    let is_form = headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let body: &[u8] = if is_form { &[] } else { &body };
    let grant = query_parameter(query.as_deref(), "grant_type");
    if matches!(grant.as_str(), "password" | "refresh_token" | "pkce" | "id_token") {
        LimitedRequest::Token.count(&mock, &headers)?;
    }
    match grant.as_str() {
        "password" => password_grant(&mock, &parse_json_object(body, "PasswordGrantParams")?),
        "refresh_token" => {
            refresh_token_grant(&mock, &parse_json_object(body, "RefreshTokenGrantParams")?)
        }
        "pkce" => pkce_grant(&mock, &parse_json_object(body, "PKCEGrantParams")?),
        "id_token" => {
            let given: IdTokenGrant = parse_json_object(body, "IdTokenGrantParams")?;
            given.answer(&mock, query.as_deref(), &headers, &client)
        }
        "web3" if mock.settings().disabled.contains(&Feature::Web3) => {
            Err(Feature::Web3.disabled_error())
        }
        "web3" => Err(GotrueError::not_implemented("POST /token?grant_type=web3")),
        _ => Err(GotrueError::bad_request("invalid_credentials", "unsupported_grant_type")),
    }
}

impl Credentials {
    /// The user of the address.
    fn find_user<'d>(
        &self,
        database: &'d Database,
        settings: &Settings,
    ) -> Result<Option<&'d User>, GotrueError> {
        let invalid = |message: &str| Err(GotrueError::bad_request("validation_failed", message));
        match (&*self.email, &*self.phone) {
            ("", "") => invalid("missing email or phone"),
            (_, "") if !settings.allows_emails => {
                let message = "Email logins are disabled";
                Err(GotrueError::unprocessable("email_provider_disabled", message))
            }
            ("", _) if !settings.allows_phones => {
                let message = "Phone logins are disabled";
                Err(GotrueError::unprocessable("phone_provider_disabled", message))
            }
            (email, "") => Ok(database.user_by_email(email)),
            ("", phone) => Ok(database.user_by_phone(&phone_digits(phone))),
            _ => invalid("Only an email address or phone number should be provided on login."),
        }
    }
}

fn password_grant(mock: &Mock, given: &Credentials) -> Result<Response, GotrueError> {
    let wrong = || GotrueError::bad_request("invalid_credentials", "Invalid login credentials");
    let mut database = mock.database();
    let user = given.find_user(&database, mock.settings())?;
    let user = user.filter(|user| user.password.is_some()).ok_or_else(wrong)?;
    if user.is_banned(mock.now()) {
        return Err(GotrueError::bad_request("user_banned", "User is banned"));
    }
    if !user.has_password(&given.password) {
        return Err(wrong());
    }
    if !given.email.is_empty() && user.email_confirmed_at.is_none() {
        return Err(GotrueError::bad_request("email_not_confirmed", "Email not confirmed"));
    }
    if !given.phone.is_empty() && user.phone_confirmed_at.is_none() {
        return Err(GotrueError::bad_request("phone_not_confirmed", "Phone not confirmed"));
    }
    let id = user.id;
    let weak_password = weakness(&given.password, mock.settings());
    let weak_password =
        weak_password.map(|(message, reasons)| json!({ "message": message, "reasons": reasons }));
    let provider = if given.phone.is_empty() { "email" } else { "phone" };
    let tokens = database.transaction(|database| {
        let login = AuditAction::Login.with(json!({ "provider": provider }));
        database.audit(id, login, mock.now());
        begin_session(mock, database, id, "password", UserView::Stored)
    })?;
    // The response to a sign-in by password says whether the password is weak (recorded: `password-right`).
    Ok(tokens.with("weak_password", json!(weak_password)).into_response())
}

fn pkce_grant(mock: &Mock, given: &PkceGrant) -> Result<Response, GotrueError> {
    if given.auth_code.is_empty() || given.code_verifier.is_empty() {
        let message = "invalid request: both auth code and code verifier should be non-empty";
        return Err(GotrueError::bad_request("validation_failed", message));
    }
    let mut database = mock.database();
    let code: Option<Uuid> = given.auth_code.parse().ok();
    let has_code = |flow: &&FlowState| code.is_some_and(|code| flow.has_auth_code(code));
    let not_found = || {
        let message = "invalid flow state, no valid flow state found";
        GotrueError::not_found("flow_state_not_found", message)
    };
    let flow = database.flow_states.iter().find(has_code).cloned().ok_or_else(not_found)?;
    let user = flow.user_id.ok_or_else(not_found)?;
    if flow.is_expired(mock.now()) {
        let message = "invalid flow state, flow state has expired";
        return Err(GotrueError::unprocessable("flow_state_expired", message));
    }
    if !flow.is_verified_by(&given.code_verifier) {
        let message = "code challenge does not match previously saved code verifier";
        return Err(GotrueError::bad_request("bad_code_verifier", message));
    }
    let mut tokens = database.transaction(|database| {
        let login = AuditAction::Login.with(json!({ "provider_type": flow.provider_type }));
        database.audit(user, login, mock.now());
        database.flow_states.retain(|flow| !has_code(&flow));
        begin_session(mock, database, user, flow.authentication_method, UserView::Stored)
    })?;
    if let Some(provider) = flow.provider_tokens {
        tokens = tokens.with("provider_token", provider.access_token.into());
        tokens = tokens.with("provider_refresh_token", provider.refresh_token.into());
    }
    Ok(tokens.into_response())
}

fn refresh_token_grant(mock: &Mock, given: &RefreshTokenGrant) -> Result<Response, GotrueError> {
    if !refresh_token::is_well_formed(&given.refresh_token) {
        return Err(GotrueError::bad_request("validation_failed", "Refresh token is not valid"));
    }
    let mut database = mock.database();
    let (tokens, is_new) =
        database.transaction(|database| refresh(mock, database, &given.refresh_token))?;
    let mut response = tokens.into_response();
    if is_new {
        response.headers_mut().extend(NOT_REUSED);
    }
    Ok(response)
}

/// The header of a response whose refresh token is new.
const NOT_REUSED: [(HeaderName, HeaderValue); 1] =
    [(HeaderName::from_static("sb-auth-refresh-token-reuse"), HeaderValue::from_static("false"))];

/// Refreshes a session. Returns its tokens, and whether the refresh token is new.
fn refresh(
    mock: &Mock,
    database: &mut Database,
    token: &str,
) -> Result<(SessionTokens, bool), GotrueError> {
    let refreshed = database.refresh(token, &mock.settings().sessions, mock.now());
    let (session, issued) = refreshed.map_err(|error| refresh_error(&error))?;
    let (session_id, user_id) = (session.id, session.user_id);
    let (token, is_new) = match issued {
        IssuedToken::New(token) => (token, true),
        IssuedToken::Active(token) => (token, false),
    };
    database.audit(user_id, AuditAction::TokenRefreshed, mock.now());
    if is_new {
        database.audit(user_id, AuditAction::TokenRevoked, mock.now());
    }
    let (view, method) = (UserView::Stored, "token_refresh");
    let tokens = SessionTokens::of(mock, database, session_id, token.clone(), view, method);
    let tokens = tokens.map_err(|error| {
        let error = error.with_session(user_id, Some(session_id)).with_refresh_token(&token);
        if is_new { error.with_headers(NOT_REUSED) } else { error }
    })?;
    Ok((tokens, is_new))
}

/// GoTrue's error for a refused refresh.
fn refresh_error(error: &RefreshError) -> GotrueError {
    let invalid =
        |code, reason| GotrueError::bad_request(code, format!("Invalid Refresh Token: {reason}"));
    match *error {
        RefreshError::NotFound => invalid("refresh_token_not_found", "Refresh Token Not Found"),
        RefreshError::Banned(user_id) => {
            invalid("user_banned", "User Banned").with_session(user_id, None)
        }
        RefreshError::SessionExpired { user_id, session_id, expiry } => {
            invalid("session_expired", expiry.message()).with_session(user_id, Some(session_id))
        }
        RefreshError::AlreadyUsed { user_id, session_id } => {
            invalid("refresh_token_already_used", "Already Used")
                .with_session(user_id, Some(session_id))
                .with_commit()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use axum::http::StatusCode;

    use super::*;
    use crate::options::Options;

    #[tokio::test]
    async fn web3_has_gotrues_error_while_it_is_switched_off_and_is_not_implemented_otherwise() {
        let disabled = (StatusCode::UNPROCESSABLE_ENTITY, "web3_provider_disabled");
        let missing = (StatusCode::NOT_IMPLEMENTED, "not_implemented");
        for (features, expected) in [(vec![Feature::Web3], disabled), (Vec::new(), missing)] {
            let settings = Settings { disabled: features, ..Settings::default() };
            let options = Options { settings, ..Options::default() };
            let mock = Mock::new(options, ([127, 0, 0, 1], 9999).into(), || UNIX_EPOCH).unwrap();
            let query = RawQuery(Some("grant_type=web3".to_owned()));
            let (client, headers) = (ClientAddr::default(), HeaderMap::new());
            let result = token(State(mock), query, client, headers, Bytes::from("{}")).await;
            let error = result.unwrap_err();
            let (status, code, _) = error.parts();
            assert_eq!((status, code), expected);
        }
    }
}
