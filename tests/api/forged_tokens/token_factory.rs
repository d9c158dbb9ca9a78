//! What forgers work with: a genuine token of somebody else, and whatever a project's key would sign.

use serde_json::{Value, json};

use super::project_keys::{ProjectKeys, Rejection};
use crate::harness::{Signer, TestApp, claims_of};

/// One token that is not believed.
pub(crate) struct TokenCase {
    /// What is wrong with it.
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) rejection: Rejection,
    /// One that differs in this alone, and is believed.
    pub(crate) valid_twin: String,
}

/// Makes tokens about one session, at one court.
pub(crate) struct TokenFactory {
    pub(crate) project_keys: ProjectKeys,
    /// The genuine ones.
    pub(crate) claims: Value,
    /// An address that nobody may ask for keys.
    pub(crate) address: String,
    genuine: String,
}

impl TokenFactory {
    pub(crate) fn new(project_keys: ProjectKeys, app: &TestApp, access_token: &str) -> Self {
        let address = format!("{}/auth/v1/keys-of-a-forger", app.mock.url());
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

    /// The project's own signature under another header.
    pub(crate) fn with_header(&self, header: impl AsRef<[u8]>) -> String {
        self.signing_key().token(header, self.claims.to_string())
    }

    /// The project's own signature under other claims.
    pub(crate) fn with_claims(&self, claims: impl AsRef<[u8]>) -> String {
        self.signing_key().token(self.header().to_string(), claims)
    }

    /// A row beside the genuine token.
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
    /// Beside one that is closer to it than the genuine token.
    pub(crate) fn with_valid_twin(self, valid_twin: String) -> Self {
        Self { valid_twin, ..self }
    }
}

/// `object` with these members in front, each written as it is.
pub(crate) fn with_members(object: &Value, members: &str) -> String {
    let object = object.to_string();
    format!("{{{members},{}", &object[1..])
}

/// `object` with the member written so, and in no other way.
pub(crate) fn with_member(object: &Value, name: &str, written: &str) -> String {
    with_members(&without_member(object, name), &format!("{}:{written}", json!(name)))
}

pub(crate) fn without_member(object: &Value, name: &str) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove(name);
    object
}
