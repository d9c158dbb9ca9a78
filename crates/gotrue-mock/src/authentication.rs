//! Authenticates requests by their access tokens, with the checks of GoTrue in the same order.

use std::{fmt::Display, time::UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    audit_log::AuditActor, database::Database, error::GotrueError, mock::Mock, user::User,
};

/// The claims that GoTrue reads. GoTrue checks neither `iss` nor `aud` (recorded:
/// `logout-aud-and-iss-foreign`).
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: String,
    #[serde(default)]
    session_id: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    is_anonymous: bool,
    /// A text or a list.
    #[serde(default)]
    aud: Value,
    exp: Option<f64>,
    nbf: Option<f64>,
}

/// The audience of GoTrue's own tokens (`GOTRUE_JWT_AUD`).
const AUDIENCE: &str = "authenticated";

/// The user, and the session, of an authenticated request.
pub(crate) struct Caller {
    pub(crate) user_id: Uuid,
    /// `None` if the token has no `session_id` claim, or the nil UUID.
    pub(crate) session_id: Option<Uuid>,
    /// What the access token says, which may be older than the user's row.
    pub(crate) is_anonymous: bool,
    /// The first audience of the access token; `None` if it has none.
    audience: Option<String>,
    is_administrator: bool,
}

impl Caller {
    /// Does what GoTrue's `requireAuthentication` does: verifies the token, finds its user and
    /// session, and refuses a banned user.
    pub(crate) fn authenticate(
        mock: &Mock,
        database: &Database,
        headers: &HeaderMap,
    ) -> Result<Self, GotrueError> {
        let claims = verify(mock, bearer_token(headers)?)?;
        let user = find_user(database, &claims.sub)?;
        let session_id = find_session(database, &claims.session_id)?;
        if user.is_banned(mock.now()) {
            return Err(GotrueError::forbidden("user_banned", "User is banned"));
        }
        Ok(Self {
            user_id: user.id,
            session_id,
            is_anonymous: claims.is_anonymous,
            audience: first_audience(&claims.aud),
            is_administrator: is_administrator(&claims.role),
        })
    }

    /// Whether the token's audience is GoTrue's `requestAud`: the header `X-JWT-Aud`; without it, the token's own
    /// audience, or for an administrator [`AUDIENCE`].
    pub(crate) fn has_audience_of(&self, headers: &HeaderMap) -> bool {
        let Some(audience) = &self.audience else { return false };
        let requested = headers.get("x-jwt-aud").map_or(b"".as_slice(), HeaderValue::as_bytes);
        if !requested.is_empty() {
            return requested == audience.as_bytes();
        }
        audience == AUDIENCE || !self.is_administrator && !audience.is_empty()
    }
}

/// Does what GoTrue's `requireAdminCredentials` does: requires a valid token with an
/// administrator's role, such as a project's service-role key. Such a token has no user. Returns the administrator as
/// the audit log names one.
pub(crate) fn require_administrator(
    mock: &Mock,
    headers: &HeaderMap,
) -> Result<AuditActor, GotrueError> {
    let claims = verify(mock, bearer_token(headers)?)?;
    if is_administrator(&claims.role) {
        return Ok(AuditActor::administrator(claims.role));
    }
    Err(GotrueError::forbidden("not_admin", "User not allowed"))
}

fn is_administrator(role: &str) -> bool {
    matches!(role, "service_role" | "supabase_admin")
}

fn first_audience(claim: &Value) -> Option<String> {
    let first = match claim {
        Value::Array(audiences) => audiences.first(),
        other => Some(other),
    };
    first.and_then(Value::as_str).map(str::to_owned)
}

/// Reads the bearer token like GoTrue's pattern `(?i)^bearer (\S+$)`: the scheme in any case, and
/// exactly one space.
fn bearer_token(headers: &HeaderMap) -> Result<&str, GotrueError> {
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

fn verify(mock: &Mock, token: &str) -> Result<Claims, GotrueError> {
    let bad_jwt = |reason: &dyn Display| {
        let message = format!("invalid JWT: unable to parse or verify signature, {reason}");
        GotrueError::forbidden("bad_jwt", message)
    };
    let claims: Claims = mock.keys().verify(token).map_err(|error| bad_jwt(&error))?;
    let now = mock.now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64());
    if claims.exp.is_some_and(|exp| now >= exp) {
        return Err(bad_jwt(&"token has invalid claims: token is expired"));
    }
    if claims.nbf.is_some_and(|nbf| now < nbf) {
        return Err(bad_jwt(&"token has invalid claims: token is not valid yet"));
    }
    Ok(claims)
}

fn find_user<'a>(database: &'a Database, sub: &str) -> Result<&'a User, GotrueError> {
    if sub.is_empty() {
        return Err(GotrueError::forbidden("bad_jwt", "invalid claim: missing sub claim"));
    }
    let id = Uuid::try_parse(sub).map_err(|_| {
        GotrueError::bad_request("bad_jwt", "invalid claim: sub claim must be a UUID")
    })?;
    database.user(id).ok_or_else(|| {
        GotrueError::forbidden("user_not_found", "User from sub claim in JWT does not exist")
    })
}

fn find_session(database: &Database, session_id: &str) -> Result<Option<Uuid>, GotrueError> {
    if session_id.is_empty() {
        return Ok(None);
    }
    let id = Uuid::try_parse(session_id).map_err(|_| {
        GotrueError::forbidden("bad_jwt", "invalid claim: session_id claim must be a UUID")
    })?;
    if id.is_nil() {
        return Ok(None);
    }
    database.session(id).map(|session| Some(session.id)).ok_or_else(|| {
        let message = "Session from session_id claim in JWT does not exist";
        GotrueError::forbidden("session_not_found", message)
    })
}
