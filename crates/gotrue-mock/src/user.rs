//! A user: the row in the database, and the JSON object in responses.

mod factors;

use std::time::SystemTime;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    clock::timestamp,
    factor::Factor,
    identity::Identity,
    one_time_tokens::{CodeKind, OneTimeTokens},
};

/// One row of `auth.users`, with the user's identities and codes.
#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "GoTrue's column has this name")]
pub(crate) struct User {
    pub(crate) id: Uuid,
    /// `authenticated`, unless an administrator set another; empty in the invented user of a repeated sign-up.
    pub(crate) role: String,
    /// The e-mail address in lower case.
    pub(crate) email: Option<String>,
    /// The phone number: digits only.
    pub(crate) phone: Option<String>,
    /// The new e-mail address, until it is confirmed.
    pub(crate) email_change: Option<String>,
    /// Whether one of the two codes for the new e-mail address was used.
    pub(crate) has_confirmed_one_address: bool,
    /// The new phone number, until it is confirmed.
    pub(crate) phone_change: Option<String>,
    pub(crate) password: Option<SecretString>,
    pub(crate) email_confirmed_at: Option<SystemTime>,
    pub(crate) phone_confirmed_at: Option<SystemTime>,
    pub(crate) invited_at: Option<SystemTime>,
    pub(crate) confirmation_sent_at: Option<SystemTime>,
    pub(crate) recovery_sent_at: Option<SystemTime>,
    pub(crate) last_sign_in_at: Option<SystemTime>,
    pub(crate) app_metadata: Map<String, Value>,
    pub(crate) user_metadata: Map<String, Value>,
    pub(crate) identities: Vec<Identity>,
    pub(crate) factors: Vec<Factor>,
    pub(crate) codes: OneTimeTokens,
    pub(crate) is_anonymous: bool,
    pub(crate) banned_until: Option<SystemTime>,
    /// When an administrator deleted the user and kept the row.
    pub(crate) deleted_at: Option<SystemTime>,
    pub(crate) created_at: SystemTime,
    pub(crate) updated_at: SystemTime,
    /// The ids of the user's sessions.
    pub(crate) sessions: Vec<Uuid>,
}

/// How much of a user a response shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserView {
    /// The row as it is in the database.
    Stored,
    /// The row as a sign-up has just made it: GoTrue has not read its generated column `confirmed_at` yet, and its
    /// identity shows the user's metadata (recorded: `signup-autoconfirm`).
    JustCreated,
    /// The row as an administrator has just made or changed it: GoTrue has not read its generated column `confirmed_at`
    /// yet (recorded: `admin-confirm`).
    JustWritten,
}

impl User {
    pub(crate) fn new(id: Uuid, now: SystemTime) -> Self {
        Self {
            id,
            role: "authenticated".to_owned(),
            email: None,
            phone: None,
            email_change: None,
            has_confirmed_one_address: false,
            phone_change: None,
            password: None,
            email_confirmed_at: None,
            phone_confirmed_at: None,
            invited_at: None,
            confirmation_sent_at: None,
            recovery_sent_at: None,
            last_sign_in_at: None,
            app_metadata: Map::new(),
            user_metadata: Map::new(),
            identities: Vec::new(),
            factors: Vec::new(),
            codes: OneTimeTokens::default(),
            is_anonymous: false,
            banned_until: None,
            deleted_at: None,
            created_at: now,
            updated_at: now,
            sessions: Vec::new(),
        }
    }

    pub(crate) fn email(&self) -> &str {
        self.email.as_deref().unwrap_or_default()
    }

    pub(crate) fn phone(&self) -> &str {
        self.phone.as_deref().unwrap_or_default()
    }

    pub(crate) fn has_password(&self, password: &str) -> bool {
        self.password.as_ref().is_some_and(|known| known.expose_secret() == password)
    }

    pub(crate) fn is_banned(&self, now: SystemTime) -> bool {
        self.banned_until.is_some_and(|until| now < until)
    }

    /// Sets the providers of `app_metadata` from the identities, in the order in which they began.
    pub(crate) fn update_providers(&mut self) {
        let mut providers: Vec<&str> = Vec::new();
        for identity in &self.identities {
            if !providers.contains(&&*identity.provider) {
                providers.push(&identity.provider);
            }
        }
        let Some(first) = providers.first() else { return };
        let (first, providers) = (json!(first), json!(providers));
        self.app_metadata.insert("provider".to_owned(), first);
        self.app_metadata.insert("providers".to_owned(), providers);
    }

    /// The identity at this provider.
    pub(crate) fn identity(&mut self, provider: &str) -> Option<&mut Identity> {
        self.identities.iter_mut().find(|identity| identity.provider == provider)
    }

    /// Confirms the e-mail address.
    pub(crate) fn confirm_email(&mut self, now: SystemTime) {
        self.codes.use_up(CodeKind::Confirmation);
        self.email_confirmed_at = Some(now);
        self.user_metadata.insert("email_verified".to_owned(), json!(true));
    }

    /// Voids every code and every change of an address that waits for one: GoTrue's `ClearAllPendingTokens`.
    pub(crate) fn clear_pending_tokens(&mut self) {
        self.codes.clear_all();
        (self.confirmation_sent_at, self.recovery_sent_at) = (None, None);
        (self.email_change, self.phone_change) = (None, None);
        self.has_confirmed_one_address = false;
    }

    /// Confirms the phone number.
    pub(crate) fn confirm_phone(&mut self, now: SystemTime) {
        self.codes.use_up(CodeKind::Confirmation);
        self.phone_confirmed_at = Some(now);
    }

    /// When a code for a new e-mail address was sent last: one column for the codes to both addresses.
    pub(crate) fn email_change_sent_at(&self) -> Option<SystemTime> {
        CodeKind::EMAIL_CHANGE.into_iter().filter_map(|kind| self.codes.sent_at(kind)).max()
    }

    /// The user object in responses.
    pub(crate) fn to_json(&self, view: UserView) -> Value {
        let mut user = json!({
            "id": self.id,
            "aud": "authenticated",
            "role": self.role,
            "email": self.email(),
            "phone": self.phone(),
            "app_metadata": self.app_metadata,
            "user_metadata": self.user_metadata,
            "identities": self.identities_json(view),
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.updated_at),
            "is_anonymous": self.is_anonymous,
        });
        let changes = [("new_email", &self.email_change), ("new_phone", &self.phone_change)];
        if let Some(members) = user.as_object_mut() {
            for (name, address) in changes {
                members.extend(address.as_ref().map(|address| (name.to_owned(), json!(address))));
            }
            for (name, time) in self.times(view) {
                members.extend(time.map(|time| (name.to_owned(), json!(timestamp(time)))));
            }
            if !self.factors.is_empty() {
                let factors = self.factors.iter().map(Factor::to_json).collect();
                members.insert("factors".to_owned(), factors);
            }
        }
        user
    }

    /// The members of the object that are times. A time that is `None` is no member.
    fn times(&self, view: UserView) -> [(&'static str, Option<SystemTime>); 12] {
        let confirmed_at = [self.email_confirmed_at, self.phone_confirmed_at];
        let confirmed_at = confirmed_at.into_iter().flatten().min();
        [
            ("email_confirmed_at", self.email_confirmed_at),
            ("phone_confirmed_at", self.phone_confirmed_at),
            ("invited_at", self.invited_at),
            ("confirmation_sent_at", self.confirmation_sent_at),
            ("recovery_sent_at", self.recovery_sent_at),
            ("email_change_sent_at", self.email_change_sent_at()),
            ("phone_change_sent_at", self.codes.sent_at(CodeKind::PhoneChange)),
            ("reauthentication_sent_at", self.codes.sent_at(CodeKind::Reauthentication)),
            ("confirmed_at", confirmed_at.filter(|_| view == UserView::Stored)),
            ("last_sign_in_at", self.last_sign_in_at),
            ("banned_until", self.banned_until),
            ("deleted_at", self.deleted_at),
        ]
    }

    fn identities_json(&self, view: UserView) -> Vec<Value> {
        let shown = |identity: &Identity| match view {
            UserView::Stored | UserView::JustWritten => identity.to_json(self.id),
            UserView::JustCreated => {
                Identity { data: self.user_metadata.clone(), ..identity.clone() }.to_json(self.id)
            }
        };
        self.identities.iter().map(shown).collect()
    }
}
