//! `POST /signup` and `POST /token` with the grants `password` and `refresh_token`: the endpoints
//! that respond with the tokens of a session.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::HeaderValue,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    access_token::AccessToken,
    credentials::{check_password_length, parse_email},
    database::{Database, RefreshError},
    error::{GotrueError, insert_session_headers},
    mock::Mock,
    refresh_token::IssuedToken,
    request::{parse_json, query_parameter},
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Credentials {
    email: String,
    password: String,
    data: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RefreshTokenGrant {
    refresh_token: String,
}

/// Creates a confirmed user, or an anonymous one if the request has no e-mail address.
pub(crate) async fn sign_up(
    State(mock): State<Mock>,
    body: Bytes,
) -> Result<Response, GotrueError> {
    let given: Credentials =
        if body.is_empty() { Credentials::default() } else { parse_json(&body)? };
    let now = mock.now();
    let mut database = mock.database();
    let (email, method) = if given.email.is_empty() {
        (None, "anonymous")
    } else {
        check_new_password(&given.password)?;
        let email = parse_email(&given.email)?;
        if database.user_by_email(&email).is_some() {
            let message = "User already registered";
            return Err(GotrueError::unprocessable("user_already_exists", message));
        }
        (Some(email), "password")
    };
    let user_id = database.create_user(email, given.password.into(), given.data, now);
    let (session_id, refresh_token) = begin_session(&mock, &mut database, user_id, method)?;
    token_response(&mock, &database, session_id, &refresh_token, Grant::SignUp)
}

pub(crate) async fn token(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Result<Response, GotrueError> {
    match query_parameter(query.as_deref(), "grant_type").as_str() {
        "password" => password_grant(&mock, &parse_json(&body)?),
        "refresh_token" => refresh_token_grant(&mock, &parse_json(&body)?),
        _ => Err(GotrueError::bad_request("invalid_credentials", "unsupported_grant_type")),
    }
}

fn password_grant(mock: &Mock, given: &Credentials) -> Result<Response, GotrueError> {
    let wrong = || GotrueError::bad_request("invalid_credentials", "Invalid login credentials");
    if given.email.is_empty() {
        return Err(GotrueError::bad_request("validation_failed", "missing email or phone"));
    }
    let mut database = mock.database();
    let user = database.user_by_email(&given.email).ok_or_else(wrong)?;
    if user.banned {
        return Err(GotrueError::bad_request("user_banned", "User is banned"));
    }
    if !user.has_password(&given.password) {
        return Err(wrong());
    }
    let user_id = user.id;
    let (session_id, refresh_token) = begin_session(mock, &mut database, user_id, "password")?;
    token_response(mock, &database, session_id, &refresh_token, Grant::Password)
}

fn refresh_token_grant(mock: &Mock, given: &RefreshTokenGrant) -> Result<Response, GotrueError> {
    if !is_refresh_token(&given.refresh_token) {
        return Err(GotrueError::bad_request("validation_failed", "Refresh token is not valid"));
    }
    let now = mock.now();
    let mut database = mock.database();
    let (session, issued) =
        database.refresh(&given.refresh_token, now).map_err(|error| refresh_error(&error))?;
    let session_id = session.id;
    let (refresh_token, is_new) = match issued {
        IssuedToken::New(token) => (token, true),
        IssuedToken::Active(token) => (token, false),
    };
    let mut response =
        token_response(mock, &database, session_id, &refresh_token, Grant::RefreshToken)?;
    if is_new {
        let reuse = HeaderValue::from_static("false");
        response.headers_mut().insert("sb-auth-refresh-token-reuse", reuse);
    }
    Ok(response)
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
        }
    }
}

/// Accepts twelve lower-case letters and digits, and anything longer, because newer releases of
/// GoTrue have longer refresh tokens.
fn is_refresh_token(token: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    token.len() > 12 || (token.len() == 12 && token.bytes().all(is_allowed))
}

fn begin_session(
    mock: &Mock,
    database: &mut Database,
    user_id: Uuid,
    method: &'static str,
) -> Result<(Uuid, String), GotrueError> {
    database
        .begin_session(user_id, method, mock.now())
        .ok_or_else(|| GotrueError::unexpected_failure("Database error granting user"))
}

/// The kind of request to which a token response is the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grant {
    SignUp,
    Password,
    RefreshToken,
}

fn token_response(
    mock: &Mock,
    database: &Database,
    session_id: Uuid,
    refresh_token: &str,
    grant: Grant,
) -> Result<Response, GotrueError> {
    let session = database.session(session_id);
    let user = session.and_then(|session| database.user(session.user_id));
    let (Some(session), Some(user)) = (session, user) else {
        return Err(GotrueError::unexpected_failure("Database error finding session"));
    };
    let AccessToken { token, expires_at } = AccessToken::issue(mock, user, session)?;
    let mut body = json!({
        "access_token": token,
        "token_type": "bearer",
        "expires_in": mock.token_lifetime().as_secs(),
        "expires_at": expires_at,
        "refresh_token": refresh_token,
        "user": user.to_json(),
    });
    // The response to a sign-in by password says whether the password is weak (recorded:
    // `password-right`). The mock accepts no weak password.
    if let (Grant::Password, Some(body)) = (grant, body.as_object_mut()) {
        body.insert("weak_password".to_owned(), Value::Null);
    }
    let mut response = Json(body).into_response();
    let headers = response.headers_mut();
    insert_session_headers(headers, Some(user.id), Some(session.id));
    if let Some(Ok(prefix)) = refresh_token.get(..5).map(HeaderValue::from_str) {
        headers.insert("sb-auth-refresh-token-prefix", prefix);
    }
    Ok(response)
}

fn check_new_password(password: &str) -> Result<(), GotrueError> {
    if password.is_empty() {
        let message = "Signup requires a valid password";
        return Err(GotrueError::bad_request("validation_failed", message));
    }
    check_password_length(password)
}
