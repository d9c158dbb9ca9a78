//! Access tokens: what the mock writes into them, and how GoTrue judges one that is presented.

use std::time::UNIX_EPOCH;

use axum::http::{HeaderMap, header::AUTHORIZATION};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Mock,
    error::GotrueError,
    state::{Session, State},
    user::User,
};

/// The claims, in the order that GoTrue writes them.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: Uuid,
    aud: &'static str,
    exp: u64,
    iat: u64,
    email: &'a str,
    phone: &'static str,
    app_metadata: Value,
    user_metadata: Value,
    role: &'static str,
    aal: &'static str,
    amr: [Amr; 1],
    session_id: Uuid,
    is_anonymous: bool,
}

#[derive(Serialize)]
struct Amr {
    method: &'static str,
    timestamp: u64,
}

/// A signed access token and its `exp`.
pub(super) struct AccessToken {
    pub(super) token: String,
    pub(super) expires_at: u64,
}

impl AccessToken {
    /// A token of this session that begins now.
    pub(super) fn issue(mock: &Mock, user: &User, session: &Session) -> Result<Self, GotrueError> {
        let iat = mock.clock().now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let expires_at = iat + mock.token_lifetime().as_secs();
        let claims = Claims {
            iss: mock.issuer(),
            sub: user.id,
            aud: "authenticated",
            exp: expires_at,
            iat,
            email: user.email(),
            phone: "",
            app_metadata: user.app_metadata(),
            user_metadata: user.user_metadata(),
            role: "authenticated",
            aal: "aal1",
            amr: [Amr { method: session.method, timestamp: session.began() }],
            session_id: session.id,
            is_anonymous: user.is_anonymous(),
        };
        let token = mock
            .keys()
            .sign(&claims)
            .map_err(|error| GotrueError::unexpected_failure(error.to_string()))?;
        Ok(Self { token, expires_at })
    }
}

/// The claims that GoTrue reads; neither `iss` nor `aud` decides (recorded:
/// `logout-aud-and-iss-foreign`).
#[derive(Deserialize)]
struct Presented {
    #[serde(default)]
    sub: String,
    #[serde(default)]
    session_id: String,
    #[serde(default)]
    role: String,
    exp: Option<f64>,
    nbf: Option<f64>,
}

/// Whose request it is.
pub(super) struct Caller {
    pub(super) user_id: Uuid,
    /// `None`: a token without a session, or with a nil one.
    pub(super) session_id: Option<Uuid>,
}

impl Caller {
    /// GoTrue's `requireAuthentication`, in its order.
    pub(super) fn authenticate(
        mock: &Mock,
        state: &State,
        headers: &HeaderMap,
    ) -> Result<Self, GotrueError> {
        let presented = verify(mock, bearer(headers)?)?;
        let user = find_user(state, &presented.sub)?;
        let session_id = find_session(state, &presented.session_id)?;
        if user.banned {
            return Err(GotrueError::forbidden("user_banned", "User is banned"));
        }
        Ok(Self { user_id: user.id, session_id })
    }
}

/// GoTrue's `requireAdminCredentials`: a genuine token of an administrator's role, such as a
/// project's service-role key. It names no user.
pub(super) fn require_administrator(mock: &Mock, headers: &HeaderMap) -> Result<(), GotrueError> {
    let presented = verify(mock, bearer(headers)?)?;
    if matches!(presented.role.as_str(), "service_role" | "supabase_admin") {
        return Ok(());
    }
    Err(GotrueError::forbidden("not_admin", "User not allowed"))
}

/// `(?i)^bearer (\S+$)` of GoTrue: one space, whatever the case of the scheme.
fn bearer(headers: &HeaderMap) -> Result<&str, GotrueError> {
    headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token)
        .filter(|token| !token.is_empty() && !token.contains(char::is_whitespace))
        .ok_or_else(|| {
            let message = "This endpoint requires a valid Bearer token";
            GotrueError::unauthorized("no_authorization", message)
        })
}

fn verify(mock: &Mock, token: &str) -> Result<Presented, GotrueError> {
    let bad_jwt = |reason: &dyn std::fmt::Display| {
        let message = format!("invalid JWT: unable to parse or verify signature, {reason}");
        GotrueError::forbidden("bad_jwt", message)
    };
    let presented: Presented = mock.keys().verify(token).map_err(|error| bad_jwt(&error))?;
    let now = mock.clock().now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64());
    if presented.exp.is_some_and(|exp| now >= exp) {
        return Err(bad_jwt(&"token has invalid claims: token is expired"));
    }
    if presented.nbf.is_some_and(|nbf| now < nbf) {
        return Err(bad_jwt(&"token has invalid claims: token is not valid yet"));
    }
    Ok(presented)
}

fn find_user<'a>(state: &'a State, sub: &str) -> Result<&'a User, GotrueError> {
    if sub.is_empty() {
        return Err(GotrueError::forbidden("bad_jwt", "invalid claim: missing sub claim"));
    }
    let id = Uuid::try_parse(sub).map_err(|_| {
        GotrueError::bad_request("bad_jwt", "invalid claim: sub claim must be a UUID")
    })?;
    state.user(id).ok_or_else(|| {
        GotrueError::forbidden("user_not_found", "User from sub claim in JWT does not exist")
    })
}

fn find_session(state: &State, session_id: &str) -> Result<Option<Uuid>, GotrueError> {
    if session_id.is_empty() {
        return Ok(None);
    }
    let id = Uuid::try_parse(session_id).map_err(|_| {
        GotrueError::forbidden("bad_jwt", "invalid claim: session_id claim must be a UUID")
    })?;
    if id.is_nil() {
        return Ok(None);
    }
    state.session(id).map(|session| Some(session.id)).ok_or_else(|| {
        let message = "Session from session_id claim in JWT does not exist";
        GotrueError::forbidden("session_not_found", message)
    })
}
