//! What forgers work with: a genuine token of somebody else, and whatever a project's key would sign.

use serde_json::{Value, json};

use super::court::{Court, Why};
use crate::harness::{Signer, Stage, claims_of};

/// One token that is not believed.
pub(crate) struct Row {
    /// What is wrong with it.
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) why: Why,
    /// One that differs in this alone, and is believed.
    pub(crate) twin: String,
}

/// Makes tokens about one session, at one court.
pub(crate) struct Mint {
    pub(crate) court: Court,
    /// The genuine ones.
    pub(crate) claims: Value,
    /// An address that nobody may ask for keys.
    pub(crate) address: String,
    genuine: String,
}

impl Mint {
    pub(crate) fn new(court: Court, stage: &Stage, access_token: &str) -> Self {
        let address = format!("{}/auth/v1/keys-of-a-forger", stage.mock.url());
        let claims = claims_of(access_token);
        let genuine = court.own().token(court.own().header().to_string(), claims.to_string());
        Self { court, claims, address, genuine }
    }

    pub(crate) fn own(&self) -> &'static Signer {
        self.court.own()
    }

    pub(crate) fn header(&self) -> Value {
        self.own().header()
    }

    pub(crate) fn genuine(&self) -> String {
        self.genuine.clone()
    }

    /// The project's own signature under another header.
    pub(crate) fn headed(&self, header: impl AsRef<[u8]>) -> String {
        self.own().token(header, self.claims.to_string())
    }

    /// The project's own signature under other claims.
    pub(crate) fn claiming(&self, claims: impl AsRef<[u8]>) -> String {
        self.own().token(self.header().to_string(), claims)
    }

    /// A row beside the genuine token.
    pub(crate) fn row(&self, name: impl Into<String>, token: String, why: impl Into<Why>) -> Row {
        Row { name: name.into(), token, why: why.into(), twin: self.genuine() }
    }
}

impl Row {
    /// Beside one that is closer to it than the genuine token.
    pub(crate) fn beside(self, twin: String) -> Self {
        Self { twin, ..self }
    }
}

/// `object` with these members in front, each written as it is.
pub(crate) fn with_members(object: &Value, members: &str) -> String {
    let object = object.to_string();
    format!("{{{members},{}", &object[1..])
}

/// `object` with the member written so, and in no other way.
pub(crate) fn with_member(object: &Value, name: &str, written: &str) -> String {
    with_members(&without(object, name), &format!("{}:{written}", json!(name)))
}

pub(crate) fn without(object: &Value, name: &str) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove(name);
    object
}
