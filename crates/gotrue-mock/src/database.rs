//! The rows that a real GoTrue keeps in PostgreSQL: users, their sessions, and the refresh tokens.

use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

use secrecy::SecretString;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    refresh_token::{AlreadyUsedError, IssuedToken, TokenFamily},
    session_expiry::SessionExpiry,
    user::User,
};

/// The rows, and the generator of ids and refresh tokens.
pub(crate) struct Database {
    seed: Option<u64>,
    rng: fastrand::Rng,
    users: HashMap<Uuid, User>,
    /// The e-mail addresses in lower case, with the ids of their users.
    emails: HashMap<String, Uuid>,
    sessions: HashMap<Uuid, Session>,
    /// All refresh tokens, including revoked ones, with the ids of their sessions.
    refresh_tokens: HashMap<String, Uuid>,
    /// The `serial` of the newest session.
    last_serial: u64,
}

/// One row of `auth.sessions`.
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    /// How the user signed in, `password` or `anonymous`: the method in the `amr` claim.
    pub(crate) method: &'static str,
    pub(crate) created_at: SystemTime,
    /// Numbers the sessions in the order in which they began.
    pub(crate) serial: u64,
    /// Why every refresh of this session is refused; `None` if it is not.
    pub(crate) expiry: Option<SessionExpiry>,
    tokens: TokenFamily,
}

impl Session {
    /// `created_at` in seconds since the Unix epoch.
    pub(crate) fn created_at_seconds(&self) -> u64 {
        self.created_at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}

/// Why a refresh is refused.
pub(crate) enum RefreshError {
    NotFound,
    Banned(Uuid),
    SessionExpired { user_id: Uuid, session_id: Uuid, expiry: SessionExpiry },
    AlreadyUsed { user_id: Uuid, session_id: Uuid },
}

impl Database {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self {
            seed,
            rng: seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed),
            users: HashMap::new(),
            emails: HashMap::new(),
            sessions: HashMap::new(),
            refresh_tokens: HashMap::new(),
            last_serial: 0,
        }
    }

    /// Deletes every row. With a seed, the sequence of ids and refresh tokens starts again.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.seed);
    }

    pub(crate) fn new_uuid(&mut self) -> Uuid {
        // Big-endian, so that a seed gives the same ids on every machine.
        let bytes = self.rng.u128(..).to_be_bytes();
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    pub(crate) fn user(&self, id: Uuid) -> Option<&User> {
        self.users.get(&id)
    }

    pub(crate) fn user_by_email(&self, email: &str) -> Option<&User> {
        self.user(*self.emails.get(&email.to_lowercase())?)
    }

    pub(crate) fn create_user(
        &mut self,
        email: Option<String>,
        password: SecretString,
        data: Map<String, Value>,
        now: SystemTime,
    ) -> Uuid {
        let (id, identity_id) = (self.new_uuid(), self.new_uuid());
        let email = email.map(|email| email.to_lowercase());
        if let Some(email) = &email {
            self.emails.insert(email.clone(), id);
        }
        let user = User {
            id,
            identity_id,
            email,
            password,
            data,
            banned: false,
            created_at: now,
            last_sign_in_at: now,
            updated_at: now,
            sessions: Vec::new(),
        };
        self.users.insert(id, user);
        id
    }

    /// Sets a user's password. The sessions stay: the caller deletes those that must end.
    pub(crate) fn set_password(&mut self, user_id: Uuid, password: SecretString, now: SystemTime) {
        if let Some(user) = self.users.get_mut(&user_id) {
            (user.password, user.updated_at) = (password, now);
        }
    }

    /// Bans a user. Returns whether the user exists.
    pub(crate) fn ban_user(&mut self, user_id: Uuid) -> bool {
        self.users.get_mut(&user_id).map(|user| user.banned = true).is_some()
    }

    /// Deletes a user and the user's sessions. Returns whether the user existed.
    pub(crate) fn delete_user(&mut self, user_id: Uuid) -> bool {
        self.delete_sessions_of(user_id, None);
        let deleted = self.users.remove(&user_id);
        if let Some(email) = deleted.as_ref().and_then(|user| user.email.as_deref()) {
            self.emails.remove(email);
        }
        deleted.is_some()
    }

    pub(crate) fn session(&self, id: Uuid) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// Every session, in the order in which they began.
    pub(crate) fn sessions(&self) -> Vec<&Session> {
        let mut sessions: Vec<_> = self.sessions.values().collect();
        sessions.sort_unstable_by_key(|session| session.serial);
        sessions
    }

    /// Begins a session of a user. Returns its id and its refresh token; `None` if there is no such
    /// user.
    pub(crate) fn begin_session(
        &mut self,
        user_id: Uuid,
        method: &'static str,
        now: SystemTime,
    ) -> Option<(Uuid, String)> {
        self.users.get(&user_id)?;
        let (id, token) = (self.new_uuid(), refresh_token(&mut self.rng));
        let user = self.users.get_mut(&user_id)?;
        (user.last_sign_in_at, user.updated_at) = (now, now);
        user.sessions.push(id);
        self.last_serial += 1;
        let tokens = TokenFamily::new(token.clone());
        let (created_at, serial) = (now, self.last_serial);
        let session = Session { id, user_id, method, created_at, serial, expiry: None, tokens };
        self.sessions.insert(id, session);
        self.refresh_tokens.insert(token.clone(), id);
        Some((id, token))
    }

    /// Deletes a session and its refresh tokens. Returns whether the session existed.
    pub(crate) fn delete_session(&mut self, id: Uuid) -> bool {
        let Some(session) = self.sessions.remove(&id) else { return false };
        for token in session.tokens.tokens() {
            self.refresh_tokens.remove(token);
        }
        if let Some(user) = self.users.get_mut(&session.user_id) {
            user.sessions.retain(|other| *other != id);
        }
        true
    }

    /// Deletes every session of a user, except `kept`.
    pub(crate) fn delete_sessions_of(&mut self, user_id: Uuid, kept: Option<Uuid>) {
        let sessions = self.users.get(&user_id).map(|user| user.sessions.clone());
        for id in sessions.unwrap_or_default() {
            if Some(id) != kept {
                self.delete_session(id);
            }
        }
    }

    /// Refuses every refresh of a session from now on. Returns whether the session exists.
    pub(crate) fn expire_session(&mut self, id: Uuid, expiry: SessionExpiry) -> bool {
        self.sessions.get_mut(&id).map(|session| session.expiry = Some(expiry)).is_some()
    }

    /// GoTrue's clean-up of refresh tokens. Returns the number of tokens that it deleted.
    pub(crate) fn clean_up(&mut self, now: SystemTime) -> usize {
        let sessions = self.sessions.values_mut();
        let deleted: Vec<_> = sessions.flat_map(|session| session.tokens.clean_up(now)).collect();
        for token in &deleted {
            self.refresh_tokens.remove(token);
        }
        deleted.len()
    }

    /// Exchanges a refresh token. Returns the session and the refresh token for the response.
    pub(crate) fn refresh(
        &mut self,
        token: &str,
        now: SystemTime,
    ) -> Result<(&Session, IssuedToken), RefreshError> {
        let id = self.refresh_tokens.get(token).ok_or(RefreshError::NotFound)?;
        let session = self.sessions.get_mut(id).ok_or(RefreshError::NotFound)?;
        let user = self.users.get_mut(&session.user_id).ok_or(RefreshError::NotFound)?;
        if user.banned {
            return Err(RefreshError::Banned(user.id));
        }
        if let Some(expiry) = session.expiry {
            let (user_id, session_id) = (user.id, session.id);
            return Err(RefreshError::SessionExpired { user_id, session_id, expiry });
        }
        let issued = session.tokens.exchange(token, now, || refresh_token(&mut self.rng)).map_err(
            |AlreadyUsedError| RefreshError::AlreadyUsed {
                user_id: user.id,
                session_id: session.id,
            },
        )?;
        if let IssuedToken::New(token) = &issued {
            (user.last_sign_in_at, user.updated_at) = (now, now);
            self.refresh_tokens.insert(token.clone(), session.id);
        }
        Ok((session, issued))
    }
}

/// Generates a refresh token in GoTrue's form: twelve characters of base32 in lower case.
fn refresh_token(rng: &mut fastrand::Rng) -> String {
    const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    (0..12).filter_map(|_| rng.choice(BASE32)).map(|&letter| char::from(letter)).collect()
}
