//! Refreshes an expired session at GoTrue, so that it can be revoked.

use secrecy::{ExposeSecret as _, SecretString};

use super::{Logout, attempt::RefreshError};
use crate::{
    gotrue::{Deadline, OnBehalfOf, Refusal},
    session::{Proof, Session, token::session_of},
};

/// How many refresh tokens of one unproven session the gateway tries: an attacker can forge any number of such
/// sessions, and each try is a request to GoTrue. Of other sessions it tries all that were read.
const MOST_TRIES_OF_UNPROVEN: usize = 8;

impl Logout {
    /// Refreshes the access token with the first refresh token that GoTrue accepts. The next refresh token is
    /// tried only if GoTrue refuses one or returns the token of another session: after any other error it would
    /// fail as well.
    pub(super) async fn refresh_with_any(
        &self,
        session: &Session,
        caller: &OnBehalfOf,
        deadline: Deadline,
    ) -> Result<SecretString, RefreshError> {
        let mut result = Err(RefreshError::Refused(Refusal::RefreshTokenRefused));
        let most = match session.proof {
            Proof::Unproven => MOST_TRIES_OF_UNPROVEN,
            Proof::Stale | Proof::Proven => usize::MAX,
        };
        for refresh_token in session.refresh_tokens.iter().take(most) {
            result = self.refresh(session, refresh_token, caller, deadline).await;
            if !matches!(
                result,
                Err(RefreshError::Foreign | RefreshError::Refused(Refusal::RefreshTokenRefused))
            ) {
                break;
            }
        }
        result
    }

    /// Refreshes the access token. The new token must be of the same session and user.
    async fn refresh(
        &self,
        session: &Session,
        refresh_token: &SecretString,
        caller: &OnBehalfOf,
        deadline: Deadline,
    ) -> Result<SecretString, RefreshError> {
        let refreshed = self.gotrue.refresh(refresh_token, caller, deadline).await?;
        let same = session_of(refreshed.access_token.expose_secret())
            == Some((session.claims.sub, session.claims.session_id));
        if same { Ok(refreshed.access_token) } else { Err(RefreshError::Foreign) }
    }
}
