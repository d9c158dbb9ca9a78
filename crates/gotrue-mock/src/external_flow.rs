//! A sign-in at an identity provider that has begun, between `GET /authorize` and `GET /callback`.

use std::{fmt, time::SystemTime};

use uuid::Uuid;

use crate::{database::Database, error::GotrueError};

/// The parameters of a request to `GET /authorize`.
#[derive(Clone)]
pub(crate) struct ExternalFlow {
    /// The parameter `state`.
    pub(crate) state: Uuid,
    /// The provider as the client wrote it.
    pub(crate) provider: String,
    /// The address to which the callback leads.
    pub(crate) redirect_to: String,
    /// The token hash of an invitation; empty if there is none.
    pub(crate) invite_token: String,
    /// The user to whom the identity is to be linked; `None` if the person signs in.
    pub(crate) linking_user: Option<Uuid>,
}

/// The tokens of the identity provider, which GoTrue passes on to the client once.
#[derive(Clone)]
pub(crate) struct ProviderTokens {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

/// Shows the provider only: `state` and the token of an invitation are credentials.
impl fmt::Debug for ExternalFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalFlow").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl fmt::Debug for ProviderTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderTokens").finish_non_exhaustive()
    }
}

impl ExternalFlow {
    /// The flow of a callback's parameter `state`, with the checks of GoTrue in the same order.
    pub(crate) fn find(
        database: &Database,
        state: &str,
        now: SystemTime,
    ) -> Result<Self, GotrueError> {
        let bad_state = |message: &str| GotrueError::bad_request("bad_oauth_state", message);
        if state.is_empty() {
            let message = "OAuth state parameter missing";
            return Err(GotrueError::bad_request("bad_oauth_callback", message));
        }
        let state: Uuid =
            state.parse().map_err(|_| bad_state("OAuth state parameter is invalid"))?;
        let flow = database.flow_states.iter().find(|flow| flow.has_state(state));
        let not_found = || bad_state("OAuth state not found or expired");
        let flow = flow.ok_or_else(not_found)?;
        if flow.is_expired(now) {
            return Err(bad_state("OAuth state has expired"));
        }
        if flow.pkce.is_some() && flow.user_id.is_some() {
            let message = "State has already been used";
            return Err(GotrueError::bad_request("flow_state_already_used", message));
        }
        flow.external.clone().ok_or_else(not_found)
    }
}
