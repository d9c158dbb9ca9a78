//! A user: the row, and the JSON object that GoTrue shows of it.

use std::time::SystemTime;

use secrecy::SecretString;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// One row of `auth.users` with its identity.
pub(super) struct User {
    pub(super) id: Uuid,
    pub(super) identity_id: Uuid,
    /// `None`: an anonymous user, who has no password either.
    pub(super) email: Option<String>,
    pub(super) password: SecretString,
    /// `data` of the sign-up.
    pub(super) data: Map<String, Value>,
    pub(super) banned: bool,
    pub(super) created_at: SystemTime,
    pub(super) last_sign_in_at: SystemTime,
    pub(super) updated_at: SystemTime,
    /// The ids of the live ones.
    pub(super) sessions: Vec<Uuid>,
}

impl User {
    pub(super) fn is_anonymous(&self) -> bool {
        self.email.is_none()
    }

    pub(super) fn email(&self) -> &str {
        self.email.as_deref().unwrap_or_default()
    }

    pub(super) fn app_metadata(&self) -> Value {
        if self.is_anonymous() {
            return json!({});
        }
        json!({ "provider": "email", "providers": ["email"] })
    }

    /// What the user gave at sign-up, and what GoTrue adds to it. It travels in every access token.
    pub(super) fn user_metadata(&self) -> Value {
        let mut metadata = self.data.clone();
        if !self.is_anonymous() {
            metadata.extend(self.identity_data(true));
        }
        Value::Object(metadata)
    }

    fn identity_data(&self, email_verified: bool) -> Map<String, Value> {
        Map::from_iter([
            ("email".to_owned(), json!(self.email())),
            ("email_verified".to_owned(), json!(email_verified)),
            ("phone_verified".to_owned(), json!(false)),
            ("sub".to_owned(), json!(self.id)),
        ])
    }

    /// The object of `GET /user` and of every token response.
    pub(super) fn to_json(&self) -> Value {
        let created_at = timestamp(self.created_at);
        let mut user = json!({
            "id": self.id,
            "aud": "authenticated",
            "role": "authenticated",
            "email": self.email(),
            "phone": "",
            "last_sign_in_at": timestamp(self.last_sign_in_at),
            "app_metadata": self.app_metadata(),
            "user_metadata": self.user_metadata(),
            "identities": [],
            "created_at": created_at,
            "updated_at": timestamp(self.updated_at),
            "is_anonymous": self.is_anonymous(),
        });
        if let (Some(email), Some(object)) = (&self.email, user.as_object_mut()) {
            object.insert("email_confirmed_at".to_owned(), json!(created_at));
            object.insert("confirmed_at".to_owned(), json!(created_at));
            let identity = json!({
                "identity_id": self.identity_id,
                "id": self.id,
                "user_id": self.id,
                "identity_data": self.identity_data(false),
                "provider": "email",
                "last_sign_in_at": created_at,
                "created_at": created_at,
                "updated_at": created_at,
                "email": email,
            });
            object.insert("identities".to_owned(), json!([identity]));
        }
        user
    }
}

/// RFC 3339 with microseconds, as PostgreSQL keeps them.
pub(super) fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_micros(time).to_string()
}
