//! What gives a session its tokens: `POST /signup` and the two grants of `POST /token`.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::HeaderValue,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    Mock,
    access_token::AccessToken,
    error::{GotrueError, name_session},
    gotrue::parameter,
    password::check_strength,
    refresh::Issued,
    state::{self, RefreshError, Session},
    user::User,
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

/// Email and password make a confirmed user, anything without an email an anonymous one.
pub(super) async fn signup(State(mock): State<Mock>, body: Bytes) -> Result<Response, GotrueError> {
    let given: Credentials = if body.is_empty() { Credentials::default() } else { parse(&body)? };
    let now = mock.clock().now();
    let mut state = mock.state();
    let (email, method) = if given.email.is_empty() {
        (None, "anonymous")
    } else {
        check_password(&given.password)?;
        let email = check_email(&given.email)?;
        if state.user_by_email(&email).is_some() {
            let message = "User already registered";
            return Err(GotrueError::unprocessable("user_already_exists", message));
        }
        (Some(email), "password")
    };
    let user_id = state.create_user(email, given.password.into(), given.data, now);
    let (session_id, refresh_token) = begin_session(&mut state, user_id, method, &mock)?;
    answer(&mock, &state, session_id, &refresh_token, Grant::SignUp)
}

pub(super) async fn token(
    State(mock): State<Mock>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Result<Response, GotrueError> {
    match parameter(query.as_deref(), "grant_type").as_str() {
        "password" => password_grant(&mock, &parse(&body)?),
        "refresh_token" => refresh_token_grant(&mock, &parse(&body)?),
        _ => Err(GotrueError::bad_request("invalid_credentials", "unsupported_grant_type")),
    }
}

fn password_grant(mock: &Mock, given: &Credentials) -> Result<Response, GotrueError> {
    let wrong = || GotrueError::bad_request("invalid_credentials", "Invalid login credentials");
    if given.email.is_empty() {
        return Err(GotrueError::bad_request("validation_failed", "missing email or phone"));
    }
    let mut state = mock.state();
    let user = state.user_by_email(&given.email).ok_or_else(wrong)?;
    if user.banned {
        return Err(GotrueError::bad_request("user_banned", "User is banned"));
    }
    if !state::has_password(user, &given.password) {
        return Err(wrong());
    }
    let user_id = user.id;
    let (session_id, refresh_token) = begin_session(&mut state, user_id, "password", mock)?;
    answer(mock, &state, session_id, &refresh_token, Grant::Password)
}

fn refresh_token_grant(mock: &Mock, given: &RefreshTokenGrant) -> Result<Response, GotrueError> {
    if !is_refresh_token(&given.refresh_token) {
        return Err(GotrueError::bad_request("validation_failed", "Refresh token is not valid"));
    }
    let now = mock.clock().now();
    let mut state = mock.state();
    let (session, issued) =
        state.refresh(&given.refresh_token, now).map_err(|error| refused(&error))?;
    let session_id = session.id;
    let (refresh_token, is_new) = match issued {
        Issued::New(token) => (token, true),
        Issued::Active(token) => (token, false),
    };
    let mut response = answer(mock, &state, session_id, &refresh_token, Grant::RefreshToken)?;
    if is_new {
        let reuse = HeaderValue::from_static("false");
        response.headers_mut().insert("sb-auth-refresh-token-reuse", reuse);
    }
    Ok(response)
}

fn refused(error: &RefreshError) -> GotrueError {
    let invalid =
        |code, reason| GotrueError::bad_request(code, format!("Invalid Refresh Token: {reason}"));
    match *error {
        RefreshError::NotFound => invalid("refresh_token_not_found", "Refresh Token Not Found"),
        RefreshError::Banned(user_id) => invalid("user_banned", "User Banned").about(user_id, None),
        RefreshError::SessionExpired { user_id, session_id, expiry } => {
            invalid("session_expired", expiry.message()).about(user_id, Some(session_id))
        }
        RefreshError::AlreadyUsed { user_id, session_id } => {
            invalid("refresh_token_already_used", "Already Used").about(user_id, Some(session_id))
        }
    }
}

/// Twelve characters; the longer kind of newer servers is judged by its length alone.
fn is_refresh_token(token: &str) -> bool {
    let lower = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    token.len() > 12 || (token.len() == 12 && token.bytes().all(lower))
}

fn begin_session(
    state: &mut state::State,
    user_id: Uuid,
    method: &'static str,
    mock: &Mock,
) -> Result<(Uuid, String), GotrueError> {
    let begun = state.begin_session(user_id, method, mock.clock().now());
    begun.ok_or_else(|| GotrueError::unexpected_failure("Database error granting user"))
}

/// What a token response answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grant {
    SignUp,
    Password,
    RefreshToken,
}

/// The token response of a live session.
fn answer(
    mock: &Mock,
    state: &state::State,
    session_id: Uuid,
    refresh_token: &str,
    grant: Grant,
) -> Result<Response, GotrueError> {
    let session = state.session(session_id);
    let user = session.and_then(|session| state.user(session.user_id));
    let (Some(session), Some(user)) = (session, user) else {
        return Err(GotrueError::unexpected_failure("Database error finding session"));
    };
    tokens(mock, user, session, refresh_token, grant)
}

fn tokens(
    mock: &Mock,
    user: &User,
    session: &Session,
    refresh_token: &str,
    grant: Grant,
) -> Result<Response, GotrueError> {
    let AccessToken { token, expires_at } = AccessToken::issue(mock, user, session)?;
    let mut body = json!({
        "access_token": token,
        "token_type": "bearer",
        "expires_in": mock.token_lifetime().as_secs(),
        "expires_at": expires_at,
        "refresh_token": refresh_token,
        "user": user.to_json(),
    });
    // A sign-in by password says how weak the password is (recorded: `password-right`); the mock lets
    // no weak one in.
    if let (Grant::Password, Some(body)) = (grant, body.as_object_mut()) {
        body.insert("weak_password".to_owned(), Value::Null);
    }
    let mut response = Json(body).into_response();
    let headers = response.headers_mut();
    name_session(headers, Some(user.id), Some(session.id));
    if let Some(Ok(prefix)) = refresh_token.get(..5).map(HeaderValue::from_str) {
        headers.insert("sb-auth-refresh-token-prefix", prefix);
    }
    Ok(response)
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, GotrueError> {
    serde_json::from_slice(body).map_err(|error| {
        let reason = if error.is_eof() {
            "unexpected end of JSON input".to_owned()
        } else {
            error.to_string()
        };
        let message = format!("Could not parse request body as JSON: {reason}");
        GotrueError::bad_request("bad_json", message)
    })
}

fn check_password(password: &str) -> Result<(), GotrueError> {
    if password.is_empty() {
        let message = "Signup requires a valid password";
        return Err(GotrueError::bad_request("validation_failed", message));
    }
    check_strength(password)
}

/// GoTrue keeps addresses in lower case.
pub(super) fn check_email(email: &str) -> Result<String, GotrueError> {
    let plausible = email.len() <= 255
        && !email.contains(char::is_whitespace)
        && email.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@')
        });
    if plausible {
        return Ok(email.to_lowercase());
    }
    let message = "Unable to validate email address: invalid format";
    Err(GotrueError::bad_request("validation_failed", message))
}
