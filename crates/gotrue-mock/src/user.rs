//! A user: the row in the database, and the JSON object in responses.

use std::time::SystemTime;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// One row of `auth.users`, with the user's row of `auth.identities`.
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) identity_id: Uuid,
    /// The e-mail address in lower case. `None` for an anonymous user, whose password is not used.
    pub(crate) email: Option<String>,
    pub(crate) password: SecretString,
    /// The member `data` of the sign-up request.
    pub(crate) data: Map<String, Value>,
    pub(crate) banned: bool,
    pub(crate) created_at: SystemTime,
    pub(crate) last_sign_in_at: SystemTime,
    pub(crate) updated_at: SystemTime,
    /// The ids of the user's sessions.
    pub(crate) sessions: Vec<Uuid>,
}

impl User {
    pub(crate) fn is_anonymous(&self) -> bool {
        self.email.is_none()
    }

    pub(crate) fn email(&self) -> &str {
        self.email.as_deref().unwrap_or_default()
    }

    /// Whether this is the user's password; an anonymous user has none.
    pub(crate) fn has_password(&self, password: &str) -> bool {
        !self.is_anonymous() && self.password.expose_secret() == password
    }

    pub(crate) fn app_metadata(&self) -> Value {
        if self.is_anonymous() {
            return json!({});
        }
        json!({ "provider": "email", "providers": ["email"] })
    }

    /// The claim `user_metadata` of access tokens: the user's `data` and the members that GoTrue
    /// adds.
    pub(crate) fn user_metadata(&self) -> Value {
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

    /// The user object in the responses of `GET /user` and `POST /token`.
    pub(crate) fn to_json(&self) -> Value {
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

/// Formats a time as RFC 3339 with microseconds, the precision of PostgreSQL.
pub(crate) fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_micros(time).to_string()
}
