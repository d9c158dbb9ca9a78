//! Issues access tokens with the same claims as GoTrue.

use std::time::UNIX_EPOCH;

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    access_token_hook::AccessTokenHook, database::Session, error::GotrueError, mock::Mock,
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
    role: &'static str,
    aal: &'static str,
    amr: [AuthenticationMethod; 1],
    session_id: Uuid,
    is_anonymous: bool,
}

/// An entry of the `amr` claim.
#[derive(Serialize)]
struct AuthenticationMethod {
    method: &'static str,
    timestamp: u64,
}

/// A signed access token and its `exp` claim.
pub(crate) struct AccessToken {
    pub(crate) token: String,
    pub(crate) expires_at: u64,
}

impl AccessToken {
    /// Signs an access token for a session; its `iat` is the mock's time.
    /// `method` tells a hook how the user signed in.
    pub(crate) fn issue(
        mock: &Mock,
        user: &User,
        session: &Session,
        method: &str,
    ) -> Result<Self, GotrueError> {
        let iat = mock.now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let expires_at = iat + mock.token_lifetime().as_secs();
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
            role: "authenticated",
            aal: "aal1",
            amr: [AuthenticationMethod {
                method: session.method,
                timestamp: session.created_at_seconds(),
            }],
            session_id: session.id,
            is_anonymous: user.is_anonymous,
        };
        let token = match &mock.settings().access_token_hook {
            Some(hook) => mock.keys().sign(&hooked_claims(mock, hook, &claims, method)?),
            None => mock.keys().sign(&claims),
        };
        let token = token.map_err(|error| GotrueError::unexpected_failure(error.to_string()))?;
        Ok(Self { token, expires_at })
    }
}

/// The claims after the hook. A GoTrue process writes `aud` as an array in the event until it has signed its first token
/// (recorded: `hook-signup`, `hook-refresh`).
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
