//! What an identity provider says about a person who signs in there.

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A person at the mock's identity provider, which plays every provider that GoTrue knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Person {
    /// The person's id at the provider.
    pub subject: String,
    /// The e-mail address. Without one GoTrue refuses the sign-in.
    pub email: Option<String>,
    /// Whether the provider has verified the address.
    pub email_verified: bool,
    /// The full name.
    pub name: String,
    /// The login name, which providers such as GitHub have.
    pub user_name: Option<String>,
    /// The address of a picture.
    pub avatar_url: Option<String>,
    /// What the provider says beyond the usual claims, which only some providers do.
    pub custom_claims: Option<Map<String, Value>>,
}

/// What GoTrue keeps of an identity: the person's id, the address, and the data of the identity.
#[derive(Clone, Debug)]
pub(crate) struct ExternalIdentity {
    pub(crate) provider: String,
    pub(crate) subject: String,
    /// The address in lower case.
    pub(crate) email: Option<String>,
    pub(crate) email_verified: bool,
    pub(crate) data: Map<String, Value>,
}

impl Person {
    /// The person whom only an address describes: its part before `@` is the name.
    pub(crate) fn from_email(email: &str) -> Self {
        let name = email.split('@').next().unwrap_or_default().to_owned();
        Self {
            subject: email.to_lowercase(),
            email: Some(email.to_owned()),
            email_verified: true,
            user_name: Some(name.clone()),
            name,
            ..Self::default()
        }
    }

    /// The identity that GoTrue makes of this person's claims.
    pub(crate) fn into_identity(self, provider: &str, issuer: &str) -> ExternalIdentity {
        let mut data = Map::new();
        let texts = [
            ("iss", Some(issuer)),
            ("sub", Some(&*self.subject)),
            ("provider_id", Some(&*self.subject)),
            ("name", Some(&*self.name)),
            ("full_name", Some(&*self.name)),
            ("user_name", self.user_name.as_deref()),
            ("preferred_username", self.user_name.as_deref()),
            ("avatar_url", self.avatar_url.as_deref()),
            ("email", self.email.as_deref()),
        ];
        for (name, text) in texts {
            data.extend(
                text.filter(|text| !text.is_empty()).map(|text| (name.to_owned(), json!(text))),
            );
        }
        data.insert("email_verified".to_owned(), json!(self.email_verified));
        data.insert("phone_verified".to_owned(), json!(false));
        data.extend(self.custom_claims.map(|claims| ("custom_claims".to_owned(), json!(claims))));
        ExternalIdentity {
            provider: provider.to_owned(),
            subject: self.subject,
            email: self.email.map(|email| email.to_lowercase()),
            email_verified: self.email_verified,
            data,
        }
    }
}
