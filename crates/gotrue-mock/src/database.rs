//! The rows that a real GoTrue keeps in PostgreSQL: users, their sessions, and the refresh tokens.

mod address_identities;
mod addresses;
mod audit_log;
mod factors;
mod flow_states;
mod identities;
mod outbox;
mod refresh;
mod soft_delete;
mod table;
mod transaction;
mod users;

pub(crate) use address_identities::AddressClaims;
pub(crate) use identities::add_identity;
pub(crate) use transaction::TransactionError;

use std::time::SystemTime;

use secrecy::SecretString;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    flow_state::FlowState,
    identity::Identity,
    one_time_tokens::CodeKind,
    outbox::Mail,
    rate_limits::RateLimits,
    refresh_token::TokenFamily,
    session::{Aal, AuthenticationMethod, Session},
    session_expiry::SessionExpiry,
    user::User,
};

use audit_log::AuditLog;
pub(crate) use refresh::RefreshError;
use refresh::refresh_token;
use table::Table;
use users::{UserKey, UserTable};

/// The rows, and the generator of ids and refresh tokens.
pub(crate) struct Database {
    seed: Option<u64>,
    rng: fastrand::Rng,
    users: UserTable,
    /// The e-mail addresses in lower case, with the ids of their users.
    emails: Table<String, Uuid>,
    /// The phone numbers, with the ids of their users.
    phones: Table<String, Uuid>,
    /// Sign-ins by PKCE and at identity providers that have begun, oldest first.
    pub(crate) flow_states: Vec<FlowState>,
    /// The flow states before the transaction that runs.
    flow_states_before: Option<Vec<FlowState>>,
    /// The mails and text messages, oldest first.
    pub(crate) outbox: Vec<Mail>,
    /// The requests and messages that count for rate limits.
    pub(crate) rate_limits: RateLimits,
    pub(crate) audit_log: AuditLog,
    sessions: Table<Uuid, Session>,
    /// All refresh tokens, including revoked ones, with the ids of their sessions.
    refresh_tokens: Table<String, Uuid>,
    /// The `serial` of the newest session.
    last_serial: u64,
}

impl Database {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self {
            seed,
            rng: seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed),
            users: UserTable::default(),
            emails: Table::default(),
            phones: Table::default(),
            flow_states: Vec::new(),
            flow_states_before: None,
            outbox: Vec::new(),
            rate_limits: RateLimits::default(),
            audit_log: AuditLog::default(),
            sessions: Table::default(),
            refresh_tokens: Table::default(),
            last_serial: 0,
        }
    }

    /// Deletes every row. With a seed, `restarts_seed` begins the sequence of ids and tokens again.
    pub(crate) fn clear(&mut self, restarts_seed: bool) {
        let rng = self.rng.clone();
        *self = Self::new(self.seed);
        if !restarts_seed {
            self.rng = rng;
        }
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

    pub(crate) fn user_by_phone(&self, phone: &str) -> Option<&User> {
        self.user(*self.phones.get(phone)?)
    }

    pub(crate) fn user_mut(&mut self, id: Uuid) -> Option<&mut User> {
        self.users.get_mut(&id)
    }

    /// The user whose codes have a row of one of these kinds with this hash.
    pub(crate) fn user_by_token_hash(&self, kinds: &[CodeKind], token_hash: &str) -> Option<&User> {
        let users = self.users.find(&UserKey::TokenHash(token_hash.to_owned()));
        users.into_iter().find(|user| user.codes.has_row(kinds, token_hash))
    }

    /// The generator of codes, ids and refresh tokens.
    pub(crate) fn rng(&mut self) -> &mut fastrand::Rng {
        &mut self.rng
    }

    /// Stores a new user.
    pub(crate) fn insert_user(&mut self, user: User) {
        if let Some(email) = &user.email {
            self.emails.insert(email.clone(), user.id);
        }
        if let Some(phone) = &user.phone {
            self.phones.insert(phone.clone(), user.id);
        }
        self.users.insert(user.id, user);
    }

    /// Creates a confirmed user with an e-mail address, or an anonymous one without.
    pub(crate) fn create_user(
        &mut self,
        email: Option<String>,
        password: SecretString,
        data: Map<String, Value>,
        now: SystemTime,
    ) -> Uuid {
        let id = self.new_uuid();
        let mut user = User::new(id, now);
        user.is_anonymous = email.is_none();
        user.user_metadata = data;
        if let Some(email) = email {
            let identity = self.new_identity(id, "email", now);
            user.email = Some(email.to_lowercase());
            user.password = Some(password);
            add_identity(&mut user, identity);
            user.confirm_email(now);
        }
        self.insert_user(user);
        id
    }

    /// An identity of a user at `email` or `phone`.
    pub(crate) fn new_identity(
        &mut self,
        user_id: Uuid,
        provider: &str,
        now: SystemTime,
    ) -> Identity {
        Identity {
            id: self.new_uuid(),
            provider: provider.to_owned(),
            provider_id: user_id.to_string(),
            data: Map::new(),
            created_at: now,
            last_sign_in_at: now,
            updated_at: now,
        }
    }

    /// Sets a user's password, which voids every code. The sessions stay: the caller deletes those that must end.
    pub(crate) fn set_password(&mut self, user_id: Uuid, password: SecretString, now: SystemTime) {
        if let Some(user) = self.users.get_mut(&user_id) {
            (user.password, user.updated_at) = (Some(password), now);
            user.codes.clear_all();
            (user.confirmation_sent_at, user.recovery_sent_at) = (None, None);
        }
    }

    /// Bans a user until this time. Returns whether the user exists.
    pub(crate) fn ban_user(&mut self, user_id: Uuid, until: SystemTime) -> bool {
        self.users.get_mut(&user_id).map(|user| user.banned_until = Some(until)).is_some()
    }

    /// Deletes a user and the user's sessions. Returns whether the user existed.
    pub(crate) fn delete_user(&mut self, user_id: Uuid) -> bool {
        self.delete_sessions_of(user_id, None);
        let deleted = self.users.remove(&user_id);
        if let Some(user) = &deleted {
            self.remove_addresses(user);
        }
        deleted.is_some()
    }

    /// Frees the addresses of a user.
    fn remove_addresses(&mut self, user: &User) {
        if let Some(email) = &user.email {
            self.emails.remove(email);
        }
        if let Some(phone) = &user.phone {
            self.phones.remove(phone);
        }
    }

    pub(crate) fn session(&self, id: Uuid) -> Option<&Session> {
        self.sessions.get(&id)
    }

    pub(crate) fn session_mut(&mut self, id: Uuid) -> Option<&mut Session> {
        self.sessions.get_mut(&id)
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
        (user.last_sign_in_at, user.updated_at) = (Some(now), now);
        user.sessions.push(id);
        self.last_serial += 1;
        let session = Session {
            id,
            user_id,
            amr: vec![AuthenticationMethod { method, at: now }],
            aal: Aal::One,
            factor_id: None,
            created_at: now,
            refreshed_at: None,
            serial: self.last_serial,
            expiry: None,
            tokens: TokenFamily::new(token.clone(), now),
        };
        self.sessions.insert(id, session);
        self.refresh_tokens.insert(token.clone(), id);
        Some((id, token))
    }

    /// Deletes a session and its refresh tokens. Returns whether the session existed.
    pub(crate) fn delete_session(&mut self, id: Uuid) -> bool {
        let Some(session) = self.sessions.remove(&id) else { return false };
        for token in session.tokens.tokens() {
            self.refresh_tokens.remove(&token.to_owned());
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

    /// Deletes every session of a user that is not at aal2.
    pub(crate) fn delete_low_sessions_of(&mut self, user_id: Uuid) {
        let sessions = self.users.get(&user_id).map(|user| user.sessions.clone());
        for id in sessions.unwrap_or_default() {
            if self.session(id).is_some_and(|session| session.aal < Aal::Two) {
                self.delete_session(id);
            }
        }
    }

    /// Refuses every refresh of a session from now on. Returns whether the session exists.
    pub(crate) fn expire_session(&mut self, id: Uuid, expiry: SessionExpiry) -> bool {
        self.sessions.get_mut(&id).map(|session| session.expiry = Some(expiry)).is_some()
    }
}
