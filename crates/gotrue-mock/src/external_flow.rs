//! A sign-in at an identity provider that has begun. GoTrue keeps it in `auth.flow_state`, too; its id is the parameter `state`.

use std::time::SystemTime;

use uuid::Uuid;

use crate::{
    database::Database,
    error::GotrueError,
    flow_state::{FlowState, LIFETIME},
};

/// The sign-in between `GET /authorize` and `GET /callback`.
#[derive(Clone, Debug)]
pub(crate) struct ExternalFlow {
    /// The parameter `state`.
    pub(crate) id: Uuid,
    /// The provider as the client wrote it.
    pub(crate) provider: String,
    /// The address to which the callback leads.
    pub(crate) redirect_to: String,
    /// The token hash of an invitation; empty if there is none.
    pub(crate) invite_token: String,
    /// The user to whom the identity is to be linked; `None` if the person signs in.
    pub(crate) linking_user: Option<Uuid>,
    /// The challenge of a client that asks for PKCE. Its user is not known yet.
    pub(crate) pkce: Option<FlowState>,
    pub(crate) created_at: SystemTime,
}

/// The tokens of the identity provider, which GoTrue passes on to the client once.
#[derive(Clone, Debug)]
pub(crate) struct ProviderTokens {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
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
        let id: Uuid = state.parse().map_err(|_| bad_state("OAuth state parameter is invalid"))?;
        let is_code_issued = |flow: &FlowState| database.has_auth_code(flow.auth_code);
        let flow = database.external_flows.iter().find(|flow| flow.id == id);
        let flow = flow.ok_or_else(|| bad_state("OAuth state not found or expired"))?;
        if now > flow.created_at + LIFETIME {
            return Err(bad_state("OAuth state has expired"));
        }
        if flow.pkce.as_ref().is_some_and(is_code_issued) {
            let message = "State has already been used";
            return Err(GotrueError::bad_request("flow_state_already_used", message));
        }
        Ok(flow.clone())
    }
}
