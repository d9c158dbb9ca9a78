//! The functions by which a test in the same process reads and changes a mock without HTTP.

#![expect(clippy::must_use_candidate, reason = "a test may ignore the result of a step")]

use std::{fmt, time::Duration};

use secrecy::SecretString;
use serde::Serialize;
use serde_json::Map;
use uuid::Uuid;

use crate::{
    access_token::AccessToken, calls::Call, clock::ClockLimitError, faults::Fault, jwk::JwkError,
    mock::Mock, outbox::Mail, session_expiry::SessionExpiry,
};

/// How long [`Mock::ban_user`] bans a user: 100 years, longer than any test.
const LONG_BAN: Duration = Duration::from_hours(24 * 365 * 100);

/// The tokens of one session.
#[derive(Clone)]
pub struct Tokens {
    /// The user's id: the `sub` claim.
    pub user_id: Uuid,
    /// The session's id: the `session_id` claim.
    pub session_id: Uuid,
    /// The access token: a signed JWT.
    pub access_token: String,
    /// The refresh token: twelve characters of base32.
    pub refresh_token: String,
}

/// Shows the ids only: the tokens are credentials.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("user_id", &self.user_id)
            .field("session_id", &self.session_id)
            .finish_non_exhaustive()
    }
}

impl Mock {
    /// Creates a confirmed user without a session, and returns the user's id. Neither address nor
    /// password is checked.
    pub fn create_user(&self, email: &str, password: &str) -> Uuid {
        let (password, now) = (SecretString::from(password), self.now());
        self.database().create_user(Some(email.to_owned()), password, Map::new(), now)
    }

    /// Begins one more session of a user, as a sign-in by password does; `None` if there is no such
    /// user.
    pub fn sign_in(&self, user_id: Uuid) -> Option<Tokens> {
        let mut database = self.database();
        let (session_id, refresh_token) =
            database.begin_session(user_id, "password", self.now())?;
        let token = AccessToken::issue(
            self,
            database.user(user_id)?,
            database.session(session_id)?,
            "password",
        );
        let access_token = token.ok()?.token;
        Some(Tokens { user_id, session_id, access_token, refresh_token })
    }

    /// Signs a JWT of any claims with the key and the header of the mock's own tokens.
    ///
    /// # Errors
    ///
    /// The claims cannot be written as JSON.
    pub fn sign(&self, claims: &impl Serialize) -> jsonwebtoken::errors::Result<String> {
        self.keys().sign(claims)
    }

    /// Whether the session exists.
    pub fn session_alive(&self, session_id: Uuid) -> bool {
        self.database().session(session_id).is_some()
    }

    /// The number of the user's sessions; 0 if there is no such user.
    pub fn sessions_of(&self, user_id: Uuid) -> usize {
        self.database().user(user_id).map_or(0, |user| user.sessions.len())
    }

    /// Whether the user exists.
    pub fn user_exists(&self, user_id: Uuid) -> bool {
        self.database().user(user_id).is_some()
    }

    /// Bans a user, as `POST /mock/users/{id}/ban` does. Returns whether the user exists.
    pub fn ban_user(&self, user_id: Uuid) -> bool {
        let until = self.now() + LONG_BAN;
        self.database().ban_user(user_id, until)
    }

    /// Deletes a user and the user's sessions, as `DELETE /mock/users/{id}` does. Returns whether
    /// the user existed.
    pub fn delete_user(&self, user_id: Uuid) -> bool {
        self.database().delete_user(user_id)
    }

    /// Deletes a session, as `DELETE /mock/sessions/{id}` does. Returns whether the session
    /// existed.
    pub fn delete_session(&self, session_id: Uuid) -> bool {
        self.database().delete_session(session_id)
    }

    /// Makes the mock answer `session_expired` to every refresh of a session from now on, as `POST
    /// /mock/sessions/{id}/expire` does. The session still exists. Returns whether the session was
    /// found.
    pub fn expire_session(&self, session_id: Uuid, expiry: SessionExpiry) -> bool {
        self.database().expire_session(session_id, expiry)
    }

    /// Deletes the refresh tokens that were revoked over 24 hours ago, also of sessions that still
    /// exist, as `POST /mock/cleanup` does. Returns the number of deleted tokens. A real GoTrue
    /// deletes at most 100 at a time, after some requests.
    pub fn clean_up(&self) -> usize {
        let now = self.now();
        self.database().clean_up(now)
    }

    /// Replaces the signing key by a new one of the same algorithm, as `POST /mock/keys/rotate`
    /// does. Tokens that the old key signed are refused from then on.
    ///
    /// # Errors
    ///
    /// The key cannot be generated.
    pub fn rotate_keys(&self) -> Result<(), JwkError> {
        self.rotate(false)
    }

    /// Replaces the signing key, as `POST /mock/keys/rotate` with `{"keep_old":true}` does: the old
    /// key stays in the key set, and the tokens that it signed stay valid. An HS256 secret is
    /// replaced without keeping the old one.
    ///
    /// # Errors
    ///
    /// The key cannot be generated.
    pub fn rotate_keys_keeping_old(&self) -> Result<(), JwkError> {
        self.rotate(true)
    }

    pub(crate) fn rotate(&self, keep_old: bool) -> Result<(), JwkError> {
        let kid = self.database().new_uuid().to_string();
        let rotated = self.keys().rotated(kid, keep_old)?;
        self.set_keys(rotated);
        Ok(())
    }

    /// The newest 10,000 mails and text messages since the start or the last reset, oldest first, as `GET /mock/mails`
    /// does.
    pub fn mails(&self) -> Vec<Mail> {
        self.database().outbox.clone()
    }

    /// Deletes the mails and text messages, as `DELETE /mock/mails` does. The codes in them stay valid.
    pub fn delete_mails(&self) {
        self.database().outbox.clear();
    }

    /// Adds a fault, as `POST /mock/faults` does.
    pub fn inject(&self, fault: Fault) {
        self.faults().push(fault);
    }

    /// Removes every fault, as `DELETE /mock/faults` does. Users, sessions and calls stay.
    pub fn clear_faults(&self) {
        self.faults().clear();
    }

    /// Returns the newest calls since the start or the last reset, oldest first, as `GET /mock/calls` does: at most
    /// 50,000, and at most 64 MiB.
    pub fn calls(&self) -> Vec<Call> {
        self.call_log().iter().cloned().collect()
    }

    /// Sets the mock's clock forward, as `POST /mock/clock` does. Tokens expire and rows grow
    /// older.
    ///
    /// # Errors
    ///
    /// The clock would be more than a thousand years ahead.
    pub fn advance_clock(&self, by: Duration) -> Result<(), ClockLimitError> {
        self.clock().advance(by)
    }

    /// Returns the mock to its state at the start, as `POST /mock/reset` does. Other worlds stay as they are.
    pub fn reset(&self) {
        self.database().clear(self.restarts_seed());
        self.clock().reset();
        self.clear_faults();
        self.call_log().clear();
        self.reset_keys();
        self.set_signed(false);
        // The same users were created at the start, which fails if one of them is refused.
        let _ = self.create_initial_users();
    }
}
