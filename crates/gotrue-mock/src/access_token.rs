//! Issues access tokens with the same claims as GoTrue.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    access_token_hook::AccessTokenHook, error::GotrueError, mock::Mock, session::Session,
    user::User,
};

/// The claims, in the order in which GoTrue writes them.
#[derive(Serialize)]
struct Claims<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    iss: &'a str,
    sub: Uuid,
    aud: &'static str,
    exp: u64,
    iat: u64,
    email: &'a str,
    phone: &'a str,
    app_metadata: &'a Map<String, Value>,
    user_metadata: &'a Map<String, Value>,
    role: &'a str,
    aal: &'static str,
    amr: Vec<AmrEntry>,
    session_id: Uuid,
    is_anonymous: bool,
}

/// An entry of the `amr` claim.
#[derive(Serialize)]
struct AmrEntry {
    method: &'static str,
    timestamp: u64,
}

/// A signed access token and its lifetime.
pub(crate) struct AccessToken {
    pub(crate) token: String,
    /// The `exp` claim.
    pub(crate) expires_at: u64,
    /// The lifetime in seconds.
    pub(crate) expires_in: u64,
}

impl AccessToken {
    /// Signs an access token for a session; its `iat` is the mock's time.
    /// A hook receives `method`: how the user signed in.
    pub(crate) fn issue(
        mock: &Mock,
        user: &User,
        session: &Session,
        method: &str,
    ) -> Result<Self, GotrueError> {
        let iat = unix_seconds(mock.now());
        let (aal, low_aal_time) = (session.token_aal(), mock.settings().sessions.low_aal);
        let lifetime = iat + mock.token_lifetime().as_secs();
        // A session that lacks the second factor gets no token for longer than GoTrue refreshes it.
        let low_aal_end = low_aal_time.filter(|_| aal < user.highest_aal());
        let low_aal_end = low_aal_end.map(|time| unix_seconds(session.created_at + time));
        let expires_at = low_aal_end.map_or(lifetime, |end| end.min(lifetime));
        let claims = Claims {
            iss: mock.issuer(),
            sub: user.id,
            aud: "authenticated",
            exp: expires_at,
            iat,
            email: user.email(),
            phone: user.phone(),
            app_metadata: &user.app_metadata,
            user_metadata: &user.user_metadata,
            role: &user.role,
            aal: aal.as_str(),
            amr: session
                .amr
                .iter()
                .map(|entry| AmrEntry { method: entry.method, timestamp: unix_seconds(entry.at) })
                .collect(),
            session_id: session.id,
            is_anonymous: user.is_anonymous,
        };
        let token = match &mock.settings().access_token_hook {
            Some(hook) => mock.keys().sign(&hooked_claims(mock, hook, &claims, method)?),
            None => mock.keys().sign(&claims),
        };
        let token = token.map_err(|error| GotrueError::unexpected_failure(error.to_string()))?;
        Ok(Self { token, expires_at, expires_in: expires_at.saturating_sub(iat) })
    }
}

/// A time in whole seconds since the Unix epoch.
pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The claims after the hook. A GoTrue process writes `aud` as an array in the event until it has signed its first
/// token (recorded: `hook-signup`, `hook-refresh`).
fn hooked_claims(
    mock: &Mock,
    hook: &AccessTokenHook,
    claims: &Claims<'_>,
    method: &str,
) -> Result<Value, GotrueError> {
    let mut event = serde_json::to_value(claims)
        .map_err(|error| GotrueError::unexpected_failure(error.to_string()))?;
    if let Some(aud) = event.get_mut("aud").filter(|_| !mock.has_signed()) {
        *aud = json!([claims.aud]);
    }
    let hooked = hook.run(&event, claims.sub, method)?;
    mock.set_signed(true);
    Ok(hooked)
}
