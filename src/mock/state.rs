//! What a real GoTrue keeps in PostgreSQL: users, their sessions, and the refresh tokens.

use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    expiry::SessionExpiry,
    refresh::{AlreadyUsed, Family, Issued},
    user::User,
};

/// The rows, and the source of their ids.
pub(super) struct State {
    seed: Option<u64>,
    rng: fastrand::Rng,
    users: HashMap<Uuid, User>,
    /// In lower case.
    emails: HashMap<String, Uuid>,
    sessions: HashMap<Uuid, Session>,
    refresh_tokens: HashMap<String, Uuid>,
    begun: u64,
}

/// One row of `auth.sessions`.
pub(super) struct Session {
    pub(super) id: Uuid,
    pub(super) user_id: Uuid,
    /// How the user signed in: the `amr` claim's method.
    pub(super) method: &'static str,
    pub(super) created_at: SystemTime,
    /// Counts sessions in the order they began.
    pub(super) serial: u64,
    /// Why GoTrue refuses to refresh this session; `None`: it does not.
    pub(super) expiry: Option<SessionExpiry>,
    family: Family,
}

impl Session {
    /// Seconds since the epoch when it began.
    pub(super) fn began(&self) -> u64 {
        self.created_at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}

/// Why a refresh token gives no tokens.
pub(super) enum RefreshError {
    NotFound,
    Banned(Uuid),
    SessionExpired { user_id: Uuid, session_id: Uuid, expiry: SessionExpiry },
    AlreadyUsed { user_id: Uuid, session_id: Uuid },
}

impl State {
    pub(super) fn new(seed: Option<u64>) -> Self {
        Self {
            seed,
            rng: seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed),
            users: HashMap::new(),
            emails: HashMap::new(),
            sessions: HashMap::new(),
            refresh_tokens: HashMap::new(),
            begun: 0,
        }
    }

    /// As it was at the start; a seed begins its sequence again.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.seed);
    }

    pub(super) fn uuid(&mut self) -> Uuid {
        // Big-endian, so that a seed means the same on every machine.
        let octets = self.rng.u128(..).to_be_bytes();
        uuid::Builder::from_random_bytes(octets).into_uuid()
    }

    pub(super) fn user(&self, id: Uuid) -> Option<&User> {
        self.users.get(&id)
    }

    pub(super) fn user_by_email(&self, email: &str) -> Option<&User> {
        self.user(*self.emails.get(&email.to_lowercase())?)
    }

    pub(super) fn create_user(
        &mut self,
        email: Option<String>,
        password: SecretString,
        data: Map<String, Value>,
        now: SystemTime,
    ) -> Uuid {
        let (id, identity_id) = (self.uuid(), self.uuid());
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

    /// The sessions stay: the caller knows which of them end.
    pub(super) fn set_password(&mut self, user_id: Uuid, password: SecretString, now: SystemTime) {
        if let Some(user) = self.users.get_mut(&user_id) {
            (user.password, user.updated_at) = (password, now);
        }
    }

    /// Whether there is such a user.
    pub(super) fn ban(&mut self, user_id: Uuid) -> bool {
        self.users.get_mut(&user_id).map(|user| user.banned = true).is_some()
    }

    /// Whether there was such a user; the sessions go with it.
    pub(super) fn delete_user(&mut self, user_id: Uuid) -> bool {
        self.end_sessions_of(user_id, None);
        let deleted = self.users.remove(&user_id);
        if let Some(email) = deleted.as_ref().and_then(|user| user.email.as_deref()) {
            self.emails.remove(email);
        }
        deleted.is_some()
    }

    pub(super) fn session(&self, id: Uuid) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// Every session in the order they began.
    pub(super) fn sessions(&self) -> Vec<&Session> {
        let mut sessions: Vec<_> = self.sessions.values().collect();
        sessions.sort_unstable_by_key(|session| session.serial);
        sessions
    }

    /// Signs a user in: the session's id and refresh token; `None` if there is no such user.
    pub(super) fn begin_session(
        &mut self,
        user_id: Uuid,
        method: &'static str,
        now: SystemTime,
    ) -> Option<(Uuid, String)> {
        self.users.get(&user_id)?;
        let (id, token) = (self.uuid(), refresh_token(&mut self.rng));
        let user = self.users.get_mut(&user_id)?;
        (user.last_sign_in_at, user.updated_at) = (now, now);
        user.sessions.push(id);
        self.begun += 1;
        let family = Family::begin(token.clone());
        let (created_at, serial) = (now, self.begun);
        let session = Session { id, user_id, method, created_at, serial, expiry: None, family };
        self.sessions.insert(id, session);
        self.refresh_tokens.insert(token.clone(), id);
        Some((id, token))
    }

    /// Deletes a session, and with it its refresh tokens; whether there was one.
    pub(super) fn end_session(&mut self, id: Uuid) -> bool {
        let Some(session) = self.sessions.remove(&id) else { return false };
        for token in session.family.tokens() {
            self.refresh_tokens.remove(token);
        }
        if let Some(user) = self.users.get_mut(&session.user_id) {
            user.sessions.retain(|other| *other != id);
        }
        true
    }

    /// Deletes every session of a user but the one to be spared.
    pub(super) fn end_sessions_of(&mut self, user_id: Uuid, spared: Option<Uuid>) {
        let sessions = self.users.get(&user_id).map(|user| user.sessions.clone());
        for id in sessions.unwrap_or_default() {
            if Some(id) != spared {
                self.end_session(id);
            }
        }
    }

    /// Lets every refresh of a session fail from now on; whether there is such a session.
    pub(super) fn expire_session(&mut self, id: Uuid, expiry: SessionExpiry) -> bool {
        self.sessions.get_mut(&id).map(|session| session.expiry = Some(expiry)).is_some()
    }

    /// GoTrue's clean-up of refresh tokens; how many it deleted.
    pub(super) fn clean_up(&mut self, now: SystemTime) -> usize {
        let families = self.sessions.values_mut().map(|session| &mut session.family);
        let deleted: Vec<_> = families.flat_map(|family| family.clean_up(now)).collect();
        for token in &deleted {
            self.refresh_tokens.remove(token);
        }
        deleted.len()
    }

    /// Exchanges a refresh token; the session it belongs to and what is issued.
    pub(super) fn refresh(
        &mut self,
        token: &str,
        now: SystemTime,
    ) -> Result<(&Session, Issued), RefreshError> {
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
        let issued = session.family.exchange(token, now, || refresh_token(&mut self.rng)).map_err(
            |AlreadyUsed| RefreshError::AlreadyUsed { user_id: user.id, session_id: session.id },
        )?;
        if let Issued::New(token) = &issued {
            (user.last_sign_in_at, user.updated_at) = (now, now);
            self.refresh_tokens.insert(token.clone(), session.id);
        }
        Ok((session, issued))
    }
}

/// Whether the password is this user's; an anonymous user has none.
pub(super) fn has_password(user: &User, password: &str) -> bool {
    !user.is_anonymous() && user.password.expose_secret() == password
}

/// GoTrue's form: twelve characters of base32 in lower case.
fn refresh_token(rng: &mut fastrand::Rng) -> String {
    const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    (0..12).filter_map(|_| rng.choice(BASE32)).map(|&letter| char::from(letter)).collect()
}
