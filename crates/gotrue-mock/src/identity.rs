//! A user's identity at one provider: the row in the database, and the JSON object in responses.

use std::time::SystemTime;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::clock::timestamp;

/// One row of `auth.identities`.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) id: Uuid,
    /// `email`, `phone`, or the name of an identity provider.
    pub(crate) provider: String,
    /// The user's id at the provider. For `email` and `phone` it is the user's own id.
    pub(crate) provider_id: String,
    pub(crate) data: Map<String, Value>,
    pub(crate) created_at: SystemTime,
    pub(crate) last_sign_in_at: SystemTime,
    pub(crate) updated_at: SystemTime,
}

/// The data of a new identity of one of the user's own addresses, before the address is added.
pub(crate) fn unverified_claims(user_id: Uuid) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("sub".to_owned(), json!(user_id));
    claims.insert("email_verified".to_owned(), json!(false));
    claims.insert("phone_verified".to_owned(), json!(false));
    claims
}

impl Identity {
    /// The e-mail address in the identity's data.
    pub(crate) fn email(&self) -> Option<&str> {
        self.data.get("email").and_then(Value::as_str).filter(|email| !email.is_empty())
    }

    /// Whether the provider has verified the e-mail address.
    pub(crate) fn is_email_verified(&self) -> bool {
        self.data.get("email_verified").and_then(Value::as_bool).unwrap_or_default()
    }

    /// The traits by which an entry of the audit log names this identity.
    pub(crate) fn traits(&self) -> Value {
        json!({
            "identity_id": self.id,
            "provider": self.provider,
            "provider_id": self.provider_id,
        })
    }

    pub(crate) fn to_json(&self, user_id: Uuid) -> Value {
        let mut identity = json!({
            "identity_id": self.id,
            "id": self.provider_id,
            "user_id": user_id,
            "provider": self.provider,
            "last_sign_in_at": timestamp(self.last_sign_in_at),
            "created_at": timestamp(self.created_at),
            "updated_at": timestamp(self.updated_at),
        });
        if let Some(members) = identity.as_object_mut() {
            members.extend(self.email().map(|email| ("email".to_owned(), json!(email))));
            // An identity of a deleted user has no data (recorded: `admin-soft-deleted-get`).
            if !self.data.is_empty() {
                members.insert("identity_data".to_owned(), json!(self.data));
            }
        }
        identity
    }
}
