//! Adds, finds and purges flow states.

use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::Database;
use crate::{
    error::GotrueError,
    external_flow::ExternalFlow,
    flow_state::{Challenge, FlowState},
};

/// The age at which GoTrue's clean-up deletes a flow state.
const CLEANUP_AGE: Duration = Duration::from_hours(24);

impl Database {
    /// Stores the flow of a user who gets a mail, and returns it. `None` if the client does not ask for PKCE.
    pub(crate) fn begin_pkce(
        &mut self,
        user_id: Uuid,
        authentication_method: &'static str,
        challenge: &Challenge,
        now: SystemTime,
    ) -> Result<Option<&mut FlowState>, GotrueError> {
        if !challenge.is_given() {
            return Ok(None);
        }
        let (auth_code, challenge) = (self.new_uuid(), challenge.clone());
        let flow = FlowState::new(user_id, auth_code, authentication_method, challenge, now)?;
        self.add_flow_state(flow);
        Ok(self.flow_states.last_mut())
    }

    /// Stores a new flow state, and purges old ones.
    pub(crate) fn add_flow_state(&mut self, flow: FlowState) {
        self.purge_flow_states(flow.created_at);
        self.flow_states.push(flow);
    }

    pub(super) fn purge_flow_states(&mut self, now: SystemTime) {
        self.flow_states.retain(|flow| now <= flow.created_at + CLEANUP_AGE);
    }

    /// The flow at an identity provider with this parameter `state`.
    pub(crate) fn flow_state_mut(&mut self, state: Uuid) -> Option<&mut FlowState> {
        self.flow_states.iter_mut().find(|flow| flow.has_state(state))
    }

    /// The flow of a callback's parameter `state`, with the checks of GoTrue in the same order.
    pub(crate) fn find_external_flow(
        &self,
        state: &str,
        now: SystemTime,
    ) -> Result<ExternalFlow, GotrueError> {
        let bad_state = |message: &str| GotrueError::bad_request("bad_oauth_state", message);
        if state.is_empty() {
            let message = "OAuth state parameter missing";
            return Err(GotrueError::bad_request("bad_oauth_callback", message));
        }
        let state: Uuid =
            state.parse().map_err(|_| bad_state("OAuth state parameter is invalid"))?;
        let flow = self.flow_states.iter().find(|flow| flow.has_state(state));
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

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_flow_state_is_purged_after_a_day() {
        let mut database = Database::new(Some(1));
        let mut add = |hours: u64| {
            let now = UNIX_EPOCH + Duration::from_hours(hours);
            let challenge = Challenge { challenge: "a".repeat(43), method: "plain".to_owned() };
            let flow = FlowState::new(Uuid::nil(), Uuid::nil(), "magiclink", challenge, now);
            database.add_flow_state(flow.unwrap());
            database.flow_states.len()
        };
        assert_eq!([add(0), add(1), add(24), add(25), add(26)], [1, 2, 3, 3, 3]);
        database.clean_up(UNIX_EPOCH + Duration::from_hours(50));
        assert_eq!(database.flow_states.len(), 1);
    }
}
