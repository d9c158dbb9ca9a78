//! What a postponed revocation needs of its request, encrypted while it waits.
//!
//! AES-256-GCM under a key derived from `GATEWAY_SECRET`, bound to what the entry says is asked for:
//! whoever can write to the store can drop a logout, and make no other of it. The key's own id is kept
//! beside it, so that `GATEWAY_SECRET_PREVIOUS` still opens what it sealed.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    error::Unspecified,
    hmac::{self, HMAC_SHA256},
};
use axum::http::HeaderValue;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::entry::Entry;
use crate::{
    config::{Scope, Secrets},
    gotrue::OnBehalfOf,
    keys::derived,
    telemetry::traces::TraceContext,
};

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

    /// Whose request it was.
    pub(super) fn caller(&self, request_id: &str) -> OnBehalfOf {
        let value = |text: &str| HeaderValue::try_from(text).ok();
        let unknown = HeaderValue::from_static("unknown");
        OnBehalfOf {
            request_id: value(request_id).unwrap_or_else(|| unknown.clone()),
            forwarded_for: value(&self.forwarded_for).unwrap_or(unknown),
            user_agent: self.user_agent.as_deref().and_then(value),
            trace: TraceContext::default(),
        }
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
    sealing: RandomizedNonceKey,
    /// Makes the ids of entries.
    naming: hmac::Key,
}

impl Key {
    fn of(secret: &SecretString) -> Result<Self, Unspecified> {
        let fingerprint = derived(secret, b"queue key id")?;
        let (id, _) = fingerprint.split_at(KEY_ID_BYTES);
        let sealing = RandomizedNonceKey::new(&AES_256_GCM, &derived(secret, b"queue")?)?;
        let naming = hmac::Key::new(HMAC_SHA256, &derived(secret, b"queue entry id")?);
        Ok(Self { id: URL_SAFE_NO_PAD.encode(id), sealing, naming })
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

    /// The same for the same logout with the same credentials, and telling nothing of them.
    ///
    /// A user who asks again while GoTrue is down waits once, and once more if the token could not be
    /// `verified` before.
    #[must_use]
    pub fn id(&self, credentials: &Credentials, scope: Scope, verified: bool) -> Uuid {
        let refresh_token = credentials.refresh_token.as_ref().map_or("", |t| t.expose_secret());
        let access_token = credentials.access_token.expose_secret();
        // No token has a line break.
        let verified = if verified { "verified" } else { "" };
        let asked = [scope.as_str(), verified, access_token, refresh_token].join("\n");
        let tag = hmac::sign(&self.current.naming, asked.as_bytes());
        tag.as_ref()
            .first_chunk()
            .map_or_else(Uuid::nil, |octets| uuid::Builder::from_custom_bytes(*octets).into_uuid())
    }

    /// Seals the credentials into their entry.
    ///
    /// # Errors
    /// [`Unspecified`] when the system gives no randomness.
    pub fn seal(&self, credentials: &Credentials, entry: &mut Entry) -> Result<(), Unspecified> {
        let mut text = credentials.exposed().to_string().into_bytes();
        let Key { id, sealing, .. } = &self.current;
        let nonce = sealing.seal_in_place_append_tag(Aad::from(entry.asked()), &mut text)?;
        entry.sealed = URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &text].concat());
        entry.key_id.clone_from(id);
        Ok(())
    }

    /// What [`Seal::seal`] sealed.
    ///
    /// # Errors
    /// [`CannotOpen`].
    pub fn open(&self, entry: &Entry) -> Result<Credentials, CannotOpen> {
        let mut keys = std::iter::once(&self.current).chain(&self.previous);
        let key = keys.find(|key| key.id == entry.key_id).ok_or(CannotOpen::UnknownKey)?;
        let mut sealed = URL_SAFE_NO_PAD.decode(&entry.sealed).map_err(|_| CannotOpen::Damaged)?;
        let (nonce, text) = sealed.split_at_mut_checked(NONCE_LEN).ok_or(CannotOpen::Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CannotOpen::Damaged)?;
        let text = key.sealing.open_in_place(nonce, Aad::from(entry.asked()), text);
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

    fn sealed(seal: &Seal) -> Entry {
        let mut entry = Entry {
            id: Uuid::from_u128(1),
            request_id: "an-id".to_owned(),
            route: "/logout".to_owned(),
            scope: "local".to_owned(),
            user_id: Uuid::from_u128(2),
            session_id: Uuid::from_u128(3),
            verified: false,
            tried: false,
            queued_at: 1000,
            due: 2000,
            attempts: 0,
            reason: String::new(),
            key_id: String::new(),
            sealed: String::new(),
        };
        seal.seal(&credentials(), &mut entry).unwrap();
        entry
    }

    #[test]
    fn only_the_logout_and_the_secret_that_it_was_sealed_for_open_it() {
        let old = seal("a", None);
        let entry = sealed(&old);
        let later = Entry { due: 9, attempts: 3, reason: "x".to_owned(), ..entry.clone() };
        for (seal, entry) in [(&old, &entry), (&seal("b", Some("a")), &entry), (&old, &later)] {
            let opened = seal.open(entry).unwrap();
            assert_eq!(opened.access_token.expose_secret(), "header.payload.signature");
            assert_eq!(opened.refresh_token.unwrap().expose_secret(), "refreshing");
            assert_eq!(opened.forwarded_for, "192.0.2.1");
        }
        assert_eq!(seal("b", Some("c")).open(&entry).unwrap_err(), CannotOpen::UnknownKey);
        let other = Uuid::from_u128(9);
        let scope = "global".to_owned();
        for changed in [
            Entry { id: other, ..entry.clone() },
            Entry { scope, ..entry.clone() },
            Entry { user_id: other, ..entry.clone() },
            Entry { session_id: other, ..entry.clone() },
            Entry { verified: true, ..entry.clone() },
        ] {
            assert_eq!(old.open(&changed).unwrap_err(), CannotOpen::Damaged, "{changed:?}");
        }
        for damaged in ["", "AAAA", &entry.sealed[1..], &format!("{}AAAA", entry.sealed)] {
            let damaged = Entry { sealed: damaged.to_owned(), ..entry.clone() };
            assert_eq!(old.open(&damaged).unwrap_err(), CannotOpen::Damaged);
        }
    }

    #[test]
    fn the_same_logout_has_the_same_id_and_another_has_another() {
        let seals = [seal("a", None), seal("a", None), seal("b", None)];
        let [one, same, secret] = seals.map(|seal| seal.id(&credentials(), Scope::Local, true));
        assert_eq!(one, same);
        let seal = seal("a", None);
        let refreshed = Credentials { refresh_token: None, ..credentials() };
        let other = Credentials { access_token: "header.payload.other".into(), ..credentials() };
        let ids = [
            one,
            secret,
            seal.id(&credentials(), Scope::Global, true),
            seal.id(&credentials(), Scope::Local, false),
            seal.id(&refreshed, Scope::Local, true),
            seal.id(&other, Scope::Local, true),
        ];
        assert_eq!(std::collections::HashSet::from(ids).len(), ids.len());
    }

    #[test]
    fn nothing_of_it_is_readable_and_no_two_are_alike() {
        let seal = seal("a", None);
        let (one, other) = (sealed(&seal).sealed, sealed(&seal).sealed);
        assert_ne!(one, other);
        let octets = URL_SAFE_NO_PAD.decode(&one).unwrap();
        for word in ["header", "payload", "refreshing", "192.0.2.1"] {
            assert!(!octets.windows(word.len()).any(|window| window == word.as_bytes()));
        }
        assert!(!format!("{:?} {seal:?}", credentials()).contains("refreshing"));
    }
}
