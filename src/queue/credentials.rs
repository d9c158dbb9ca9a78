//! What a postponed revocation needs of its request, encrypted while it waits.
//!
//! AES-256-GCM under a key derived from `GATEWAY_SECRET`, bound to the entry's id. The key's own id is
//! kept beside it, so that `GATEWAY_SECRET_PREVIOUS` still opens what it sealed.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    error::Unspecified,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::{config::Secrets, keys::derived};

/// Enough to tell a few secrets apart.
const KEY_ID_BYTES: usize = 6;

/// What GoTrue is asked with.
#[derive(Debug, Deserialize)]
pub struct Credentials {
    /// As it came; it may have expired since.
    pub access_token: SecretString,
    /// From the cookie.
    pub refresh_token: Option<SecretString>,
    /// When the access token expires; seconds since the Unix epoch.
    pub exp: i64,
    /// When it was issued; seconds since the Unix epoch.
    pub iat: Option<i64>,
    /// The client's address.
    pub forwarded_for: String,
    /// The client's `User-Agent`, if it is text.
    pub user_agent: Option<String>,
}

impl Credentials {
    fn exposed(&self) -> serde_json::Value {
        json!({
            "access_token": self.access_token.expose_secret(),
            "refresh_token": self.refresh_token.as_ref().map(ExposeSecret::expose_secret),
            "exp": self.exp,
            "iat": self.iat,
            "forwarded_for": self.forwarded_for,
            "user_agent": self.user_agent,
        })
    }
}

/// Credentials that cannot be read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotOpen {
    /// Neither `GATEWAY_SECRET` nor `GATEWAY_SECRET_PREVIOUS` sealed them.
    #[error("sealed with a secret that is neither GATEWAY_SECRET nor GATEWAY_SECRET_PREVIOUS")]
    UnknownKey,
    /// They are not what was sealed for this entry.
    #[error("damaged")]
    Damaged,
}

/// Seals and opens credentials.
#[derive(Debug)]
pub struct Seal {
    current: Key,
    previous: Option<Key>,
}

#[derive(Debug)]
struct Key {
    id: String,
    key: RandomizedNonceKey,
}

impl Key {
    fn of(secret: &SecretString) -> Result<Self, Unspecified> {
        let fingerprint = derived(secret, b"queue key id")?;
        let (id, _) = fingerprint.split_at(KEY_ID_BYTES);
        let key = RandomizedNonceKey::new(&AES_256_GCM, &derived(secret, b"queue")?)?;
        Ok(Self { id: URL_SAFE_NO_PAD.encode(id), key })
    }
}

impl Seal {
    /// With keys derived from the configured secrets; `None` where there is none.
    ///
    /// # Errors
    /// [`Unspecified`], which key derivation never is.
    pub fn new(secrets: &Secrets) -> Result<Option<Self>, Unspecified> {
        let Some(current) = &secrets.current else { return Ok(None) };
        let previous = secrets.previous.as_ref().map(Key::of).transpose()?;
        Ok(Some(Self { current: Key::of(current)?, previous }))
    }

    /// The credentials, sealed for the entry `id`, and the id of the key.
    ///
    /// # Errors
    /// [`Unspecified`] when the system gives no randomness.
    pub fn seal(
        &self,
        credentials: &Credentials,
        id: Uuid,
    ) -> Result<(String, String), Unspecified> {
        let mut text = credentials.exposed().to_string().into_bytes();
        let Key { id: key_id, key } = &self.current;
        let nonce = key.seal_in_place_append_tag(Aad::from(id.as_bytes()), &mut text)?;
        let sealed = [nonce.as_ref().as_slice(), &text].concat();
        Ok((URL_SAFE_NO_PAD.encode(sealed), key_id.clone()))
    }

    /// What [`Seal::seal`] sealed for the entry `id`.
    ///
    /// # Errors
    /// [`CannotOpen`].
    pub fn open(&self, sealed: &str, key_id: &str, id: Uuid) -> Result<Credentials, CannotOpen> {
        let mut keys = std::iter::once(&self.current).chain(&self.previous);
        let key = keys.find(|key| key.id == key_id).ok_or(CannotOpen::UnknownKey)?;
        let mut sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| CannotOpen::Damaged)?;
        let (nonce, text) = sealed.split_at_mut_checked(NONCE_LEN).ok_or(CannotOpen::Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CannotOpen::Damaged)?;
        let text = key.key.open_in_place(nonce, Aad::from(id.as_bytes()), text);
        text.ok().and_then(|text| serde_json::from_slice(text).ok()).ok_or(CannotOpen::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(current: &str, previous: Option<&str>) -> Seal {
        let secret = |word: &str| SecretString::from(word.repeat(32));
        let secrets = Secrets { current: Some(secret(current)), previous: previous.map(secret) };
        Seal::new(&secrets).unwrap().unwrap()
    }

    fn credentials() -> Credentials {
        Credentials {
            access_token: "header.payload.signature".into(),
            refresh_token: Some("refreshing".into()),
            exp: 1,
            iat: None,
            forwarded_for: "192.0.2.1".to_owned(),
            user_agent: None,
        }
    }

    #[test]
    fn only_the_entry_and_the_secret_that_it_was_sealed_for_open_it() {
        let (id, old) = (Uuid::from_u128(1), seal("a", None));
        let (sealed, key_id) = old.seal(&credentials(), id).unwrap();
        for seal in [&old, &seal("b", Some("a"))] {
            let opened = seal.open(&sealed, &key_id, id).unwrap();
            assert_eq!(opened.access_token.expose_secret(), "header.payload.signature");
            assert_eq!(opened.refresh_token.unwrap().expose_secret(), "refreshing");
            assert_eq!(opened.forwarded_for, "192.0.2.1");
        }
        let open = |seal: &Seal, sealed: &str, id| seal.open(sealed, &key_id, id).unwrap_err();
        assert_eq!(open(&seal("b", Some("c")), &sealed, id), CannotOpen::UnknownKey);
        assert_eq!(open(&old, &sealed, Uuid::from_u128(2)), CannotOpen::Damaged);
        for damaged in ["", "AAAA", &sealed[1..], &format!("{sealed}AAAA")] {
            assert_eq!(open(&old, damaged, id), CannotOpen::Damaged);
        }
    }

    #[test]
    fn nothing_of_it_is_readable_and_no_two_are_alike() {
        let seal = seal("a", None);
        let (one, _) = seal.seal(&credentials(), Uuid::from_u128(1)).unwrap();
        let (other, _) = seal.seal(&credentials(), Uuid::from_u128(1)).unwrap();
        assert_ne!(one, other);
        let octets = URL_SAFE_NO_PAD.decode(&one).unwrap();
        for word in ["header", "payload", "refreshing", "192.0.2.1"] {
            assert!(!octets.windows(word.len()).any(|window| window == word.as_bytes()));
        }
        assert!(!format!("{:?} {seal:?}", credentials()).contains("refreshing"));
    }
}
