//! What a test in the same process does to a mock, and reads of it, without HTTP.

use std::time::Duration;

use secrecy::SecretString;
use serde::Serialize;
use serde_json::Map;
use uuid::Uuid;

use super::{
    Call, ClockLimitError, Fault, JwkError, Mock, SessionExpiry, access_token::AccessToken, lock,
};

/// The tokens of one live session.
#[derive(Clone)]
pub struct Tokens {
    /// The user's id, the `sub` claim.
    pub user_id: Uuid,
    /// The session's id, the `session_id` claim.
    pub session_id: Uuid,
    /// A signed JWT.
    pub access_token: String,
    /// Twelve characters.
    pub refresh_token: String,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("user_id", &self.user_id)
            .field("session_id", &self.session_id)
            .finish_non_exhaustive()
    }
}

impl Mock {
    /// A confirmed user, as a sign-up makes one.
    #[must_use]
    pub fn create_user(&self, email: &str, password: &str) -> Uuid {
        let (password, now) = (SecretString::from(password), self.clock().now());
        self.state().create_user(Some(email.to_owned()), password, Map::new(), now)
    }

    /// One more session of a user, as a sign-in by password makes one; `None` if there is no such
    /// user.
    #[must_use]
    pub fn sign_in(&self, user_id: Uuid) -> Option<Tokens> {
        let mut state = self.state();
        let (session_id, refresh_token) =
            state.begin_session(user_id, "password", self.clock().now())?;
        let token = AccessToken::issue(self, state.user(user_id)?, state.session(session_id)?);
        let access_token = token.ok()?.token;
        Some(Tokens { user_id, session_id, access_token, refresh_token })
    }

    /// A token of any claims, signed as the mock's own are.
    ///
    /// # Errors
    ///
    /// When the claims are not JSON.
    pub fn sign(&self, claims: &impl Serialize) -> jsonwebtoken::errors::Result<String> {
        self.keys().sign(claims)
    }

    /// Whether the session's row is there.
    #[must_use]
    pub fn session_alive(&self, session_id: Uuid) -> bool {
        self.state().session(session_id).is_some()
    }

    /// How many sessions the user has.
    #[must_use]
    pub fn sessions_of(&self, user_id: Uuid) -> usize {
        self.state().user(user_id).map_or(0, |user| user.sessions.len())
    }

    /// Whether the user's row is there.
    #[must_use]
    pub fn user_exists(&self, user_id: Uuid) -> bool {
        self.state().user(user_id).is_some()
    }

    /// `POST /mock/users/{id}/ban`; whether there is such a user.
    #[must_use]
    pub fn ban_user(&self, user_id: Uuid) -> bool {
        self.state().ban(user_id)
    }

    /// `DELETE /mock/users/{id}`; whether there was such a user.
    #[must_use]
    pub fn delete_user(&self, user_id: Uuid) -> bool {
        self.state().delete_user(user_id)
    }

    /// `DELETE /mock/sessions/{id}`; whether there was such a session.
    #[must_use]
    pub fn delete_session(&self, session_id: Uuid) -> bool {
        self.state().end_session(session_id)
    }

    /// `POST /mock/sessions/{id}/expire`: GoTrue answers every refresh of this session
    /// `session_expired`, and the session lives on; whether there is such a session.
    #[must_use]
    pub fn expire_session(&self, session_id: Uuid, expiry: SessionExpiry) -> bool {
        self.state().expire_session(session_id, expiry)
    }

    /// `POST /mock/cleanup`: GoTrue's clean-up deletes the refresh tokens that were revoked over 24
    /// hours ago, of living sessions too; how many it deleted. A real GoTrue deletes at most 100 at a
    /// time, after some requests.
    #[must_use]
    pub fn clean_up(&self) -> usize {
        let now = self.clock().now();
        self.state().clean_up(now)
    }

    /// `POST /mock/keys/rotate`: a new key of the same algorithm takes the place of the old one.
    ///
    /// # Errors
    ///
    /// When the key cannot be generated.
    pub fn rotate_keys(&self) -> Result<(), JwkError> {
        self.rotate(false)
    }

    /// The same with `{"keep_old":true}`: the old key stays in the key set, and what it signed goes on
    /// being good.
    ///
    /// # Errors
    ///
    /// When the key cannot be generated.
    pub fn rotate_keys_keeping_old(&self) -> Result<(), JwkError> {
        self.rotate(true)
    }

    pub(super) fn rotate(&self, keep_old: bool) -> Result<(), JwkError> {
        let kid = self.state().uuid().to_string();
        let rotated = self.keys().rotated(kid, keep_old)?;
        *lock(&self.0.keys) = rotated;
        Ok(())
    }

    /// `POST /mock/faults`.
    pub fn inject(&self, fault: Fault) {
        lock(&self.0.faults).push(fault);
    }

    /// `DELETE /mock/faults`: everything works again; users, sessions and calls stay.
    pub fn clear_faults(&self) {
        lock(&self.0.faults).clear();
    }

    /// `GET /mock/calls`: what came since the start or the last reset, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.0.calls).iter().cloned().collect()
    }

    /// `POST /mock/clock`: the mock's clock is so much later from now on. Tokens expire and rows age.
    ///
    /// # Errors
    ///
    /// When the clock would be more than a thousand years ahead.
    pub fn advance_clock(&self, by: Duration) -> Result<(), ClockLimitError> {
        self.0.clock.advance(by)
    }

    /// `POST /mock/reset`: as it was at the start.
    pub fn reset(&self) {
        self.state().clear();
        self.0.clock.reset();
        self.clear_faults();
        lock(&self.0.calls).clear();
        *lock(&self.0.keys) = self.0.first_keys.clone();
    }
}
