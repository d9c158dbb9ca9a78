//! Makes tokens with the claims of a genuine token, signed by any key, including the project's own.

use serde_json::Value;

use super::project_keys::{ProjectKeys, Rejection};
use crate::harness::{Signer, TestApp, claims_of};

/// A token that the gateway must reject, and the rejection that it must get.
pub(crate) struct TokenCase {
    /// Says what is wrong with the token.
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) rejection: Rejection,
    /// A token without the fault but otherwise equal, which the gateway must accept.
    pub(crate) valid_twin: String,
}

/// Makes tokens that name one session of a project that has the keys of `project_keys`.
pub(crate) struct TokenFactory {
    pub(crate) project_keys: ProjectKeys,
    /// The claims of the session's genuine token.
    pub(crate) claims: Value,
    /// The URL of a key set that the gateway must never fetch.
    pub(crate) address: String,
    genuine: String,
}

impl TokenFactory {
    pub(crate) fn new(project_keys: ProjectKeys, app: &TestApp, access_token: &str) -> Self {
        let address = format!("{}/auth/v1/keys-of-the-attacker", app.mock.url());
        let claims = claims_of(access_token);
        let genuine = project_keys
            .signing_key()
            .token(project_keys.signing_key().header().to_string(), claims.to_string());
        Self { project_keys, claims, address, genuine }
    }

    pub(crate) fn signing_key(&self) -> &'static Signer {
        self.project_keys.signing_key()
    }

    pub(crate) fn header(&self) -> Value {
        self.signing_key().header()
    }

    pub(crate) fn genuine_token(&self) -> String {
        self.genuine.clone()
    }

    /// The genuine claims with another header; the project's key signs the token.
    pub(crate) fn with_header(&self, header: impl AsRef<[u8]>) -> String {
        self.signing_key().token(header, self.claims.to_string())
    }

    /// The genuine header with other claims; the project's key signs the token.
    pub(crate) fn with_claims(&self, claims: impl AsRef<[u8]>) -> String {
        self.signing_key().token(self.header().to_string(), claims)
    }

    /// A case whose valid twin is the genuine token.
    pub(crate) fn case(
        &self,
        name: impl Into<String>,
        token: String,
        rejection: impl Into<Rejection>,
    ) -> TokenCase {
        TokenCase {
            name: name.into(),
            token,
            rejection: rejection.into(),
            valid_twin: self.genuine_token(),
        }
    }
}

impl TokenCase {
    /// Replaces the valid twin by a token that differs less from the rejected token than the genuine one
    /// does.
    pub(crate) fn with_valid_twin(self, valid_twin: String) -> Self {
        Self { valid_twin, ..self }
    }
}

/// The JSON of `object` with the text `members` before its own members.
pub(crate) fn with_members(object: &Value, members: &str) -> String {
    let object = object.to_string();
    format!("{{{members},{}", &object[1..])
}

/// The JSON of `object` with the text `json` as the value of its member `name`.
pub(crate) fn with_member(object: &Value, name: &str, json: &str) -> String {
    with_members(&without_member(object, name), &format!("{}:{json}", Value::from(name)))
}

pub(crate) fn without_member(object: &Value, name: &str) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove(name);
    object
}
