//! Issues access tokens with the same claims as GoTrue.

use std::time::UNIX_EPOCH;

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{database::Session, error::GotrueError, mock::Mock, user::User};

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
    phone: &'static str,
    app_metadata: Value,
    user_metadata: Value,
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
    pub(crate) fn issue(mock: &Mock, user: &User, session: &Session) -> Result<Self, GotrueError> {
        let iat = mock.now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
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
            amr: [AuthenticationMethod {
                method: session.method,
                timestamp: session.created_at_seconds(),
            }],
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
