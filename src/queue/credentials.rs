//! Encrypts the credentials of queued logouts for the store, and decrypts them.
//!
//! The cipher is AES-256-GCM with a key derived from `GATEWAY_SECRET`. The user, session and scope of the
//! entry are additional authenticated data, so that an attacker who can write to the store can delete a
//! logout but cannot turn it into a logout of another session. The key's id is stored beside the ciphertext,
//! so that credentials encrypted with `GATEWAY_SECRET_PREVIOUS` can still be decrypted.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    error::Unspecified,
    hmac::{self, HMAC_SHA256},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use crate::{
    config::Secrets,
    gotrue::OnBehalfOf,
    key_derivation::derive,
    store::entry::{QueueEntry, SealedCredentials},
};

/// The length of a key id in bytes. It must only distinguish the few secrets of a deployment.
const KEY_ID_BYTES: usize = 6;
/// The length of a fingerprint in bytes. It must only distinguish the credentials of one session.
const FINGERPRINT_BYTES: usize = 12;

/// The tokens of a queued logout, and the client's data that the gateway sends to GoTrue in headers.
#[derive(Debug, Deserialize)]
pub struct Credentials {
    /// The access token of the logout request. It may have expired while the logout was queued.
    pub access_token: SecretString,
    /// The refresh token, if the request had one in a cookie.
    pub(crate) refresh_token: Option<SecretString>,
    /// The access token's `exp`, in seconds since the Unix epoch.
    pub(crate) exp: i64,
    /// The access token's `iat`, in seconds since the Unix epoch.
    pub(crate) iat: Option<i64>,
    /// The client's IP address, for `X-Forwarded-For`; empty if it is not known.
    pub(crate) forwarded_for: String,
    /// The client's `User-Agent`, if it is valid text.
    pub(crate) user_agent: Option<String>,
}

impl Credentials {
    /// Credentials with an `exp` only, for an entry whose credentials cannot be decrypted.
    pub(crate) fn without_tokens(exp: i64) -> Self {
        Self {
            access_token: SecretString::default(),
            refresh_token: None,
            exp,
            iat: None,
            forwarded_for: String::new(),
            user_agent: None,
        }
    }

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

    /// The request id and the client's data for the headers of requests to GoTrue.
    pub(crate) fn caller(&self, request_id: &str) -> OnBehalfOf {
        OnBehalfOf::of_record(request_id, &self.forwarded_for, self.user_agent.as_deref())
    }
}

/// The error of credentials that cannot be decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// The credentials were encrypted with neither `GATEWAY_SECRET` nor `GATEWAY_SECRET_PREVIOUS`.
    #[error(
        "the credentials were encrypted with a secret that is neither GATEWAY_SECRET nor GATEWAY_SECRET_PREVIOUS"
    )]
    UnknownKey,
    /// The ciphertext was changed, or was encrypted for another entry.
    #[error("the encrypted credentials are damaged or belong to another entry")]
    Damaged,
}

/// The keys that encrypt and decrypt the credentials of queued logouts.
#[derive(Debug)]
pub struct Seal {
    current: SealingKey,
    previous: Option<SealingKey>,
}

#[derive(Debug)]
struct SealingKey {
    id: String,
    sealing: RandomizedNonceKey,
    /// The key of the keyed hash that makes fingerprints.
    fingerprints: hmac::Key,
}

impl SealingKey {
    fn of(secret: &SecretString) -> Result<Self, Unspecified> {
        let fingerprint = derive(secret, b"queue key id")?;
        let (id, _) = fingerprint.split_at(KEY_ID_BYTES);
        let sealing = RandomizedNonceKey::new(&AES_256_GCM, &derive(secret, b"queue")?)?;
        let fingerprints = hmac::Key::new(HMAC_SHA256, &derive(secret, b"queue fingerprint")?);
        Ok(Self { id: URL_SAFE_NO_PAD.encode(id), sealing, fingerprints })
    }

    /// A keyed hash of the tokens (HMAC-SHA256), by which equal credentials are recognised without decrypting
    /// them. It reveals nothing about the tokens.
    fn fingerprint(&self, credentials: &Credentials) -> String {
        let refresh_token = credentials.refresh_token.as_ref().map_or("", |t| t.expose_secret());
        // Tokens contain no line break, so different pairs of tokens never give the same text.
        let tokens = [credentials.access_token.expose_secret(), refresh_token].join("\n");
        let tag = hmac::sign(&self.fingerprints, tokens.as_bytes());
        let (short, _) = tag.as_ref().split_at(FINGERPRINT_BYTES);
        URL_SAFE_NO_PAD.encode(short)
    }
}

impl Seal {
    /// Derives the keys from the configured secrets; `None` if there is no secret.
    ///
    /// # Errors
    /// [`Unspecified`] if key derivation fails, which it never does for these lengths.
    pub fn new(secrets: &Secrets) -> Result<Option<Self>, Unspecified> {
        let Some(current) = &secrets.current else { return Ok(None) };
        let previous = secrets.previous.as_ref().map(SealingKey::of).transpose()?;
        Ok(Some(Self { current: SealingKey::of(current)?, previous }))
    }

    /// Encrypts credentials for an entry. `proven`: when they were queued, the access token was valid, so
    /// that they prove that the client holds the session.
    ///
    /// # Errors
    /// [`Unspecified`] if the system's random number generator fails.
    pub(crate) fn seal(
        &self,
        credentials: &Credentials,
        entry: &QueueEntry,
        proven: bool,
    ) -> Result<SealedCredentials, Unspecified> {
        let mut text = credentials.exposed().to_string().into_bytes();
        let SealingKey { id, sealing, .. } = &self.current;
        let nonce = sealing.seal_in_place_append_tag(Aad::from(entry.binding()), &mut text)?;
        let former = self.previous.as_ref();
        Ok(SealedCredentials {
            fingerprint: self.current.fingerprint(credentials),
            former_fingerprint: former.map(|former| former.fingerprint(credentials)),
            proven,
            exp: credentials.exp,
            key_id: id.clone(),
            sealed: URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &text].concat()),
            bound_to: None,
        })
    }

    /// Decrypts credentials that `Seal::seal` encrypted for this entry.
    ///
    /// # Errors
    /// [`UnsealError`] if the key is unknown, or if the ciphertext was changed or belongs to another entry.
    pub fn open(
        &self,
        sealed: &SealedCredentials,
        entry: &QueueEntry,
    ) -> Result<Credentials, UnsealError> {
        let mut keys = std::iter::once(&self.current).chain(&self.previous);
        let key = keys.find(|key| key.id == sealed.key_id).ok_or(UnsealError::UnknownKey)?;
        let bound_to = sealed.bound_to.clone().unwrap_or_else(|| entry.binding());
        let mut text = URL_SAFE_NO_PAD.decode(&sealed.sealed).map_err(|_| UnsealError::Damaged)?;
        let (nonce, text) = text.split_at_mut_checked(NONCE_LEN).ok_or(UnsealError::Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| UnsealError::Damaged)?;
        let text = key.sealing.open_in_place(nonce, Aad::from(bound_to), text);
        text.ok().and_then(|text| serde_json::from_slice(text).ok()).ok_or(UnsealError::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::store::entry::NEVER;

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

    fn entry() -> QueueEntry {
        QueueEntry {
            id: Uuid::from_u128(1),
            request_id: "an-id".to_owned(),
            route: "/logout".into(),
            scope: "local".into(),
            user_id: Uuid::from_u128(2),
            session_id: Uuid::from_u128(3),
            tried: false,
            was_over: false,
            queued_at: Timestamp::constant(1, 0),
            renewed_at: Timestamp::constant(1, 0),
            due: Timestamp::constant(2, 0),
            failed_at: NEVER,
            attempts: 0,
            reason: "".into(),
            revision: 0,
            credentials: Vec::new(),
        }
    }

    fn sealed(seal: &Seal) -> SealedCredentials {
        seal.seal(&credentials(), &entry(), true).unwrap()
    }

    #[test]
    fn credentials_are_decrypted_only_for_their_entry_and_with_their_secret() {
        let old = seal("a", None);
        let sealed = sealed(&old);
        let later = QueueEntry { due: NEVER, attempts: 3, reason: "x".into(), ..entry() };
        for (seal, entry) in [(&old, &entry()), (&seal("b", Some("a")), &entry()), (&old, &later)] {
            let opened = seal.open(&sealed, entry).unwrap();
            assert_eq!(opened.access_token.expose_secret(), "header.payload.signature");
            assert_eq!(opened.refresh_token.unwrap().expose_secret(), "refreshing");
            assert_eq!(opened.forwarded_for, "192.0.2.1");
        }
        assert_eq!(
            seal("b", Some("c")).open(&sealed, &entry()).unwrap_err(),
            UnsealError::UnknownKey
        );
        let other = Uuid::from_u128(9);
        let scope = "global".into();
        for changed in [
            QueueEntry { scope, ..entry() },
            QueueEntry { user_id: other, ..entry() },
            QueueEntry { session_id: other, ..entry() },
        ] {
            assert_eq!(
                old.open(&sealed, &changed).unwrap_err(),
                UnsealError::Damaged,
                "{changed:?}"
            );
        }
        for damaged in ["", "AAAA", &sealed.sealed[1..], &format!("{}AAAA", sealed.sealed)] {
            let damaged = SealedCredentials { sealed: damaged.to_owned(), ..sealed.clone() };
            assert_eq!(old.open(&damaged, &entry()).unwrap_err(), UnsealError::Damaged);
        }
    }

    #[test]
    fn equal_tokens_have_equal_fingerprints_and_different_tokens_different_ones() {
        let (one, secret) = (seal("a", None), seal("b", None));
        let refreshed = Credentials { refresh_token: None, ..credentials() };
        let other = Credentials { access_token: "header.payload.other".into(), ..credentials() };
        let elsewhere = Credentials { forwarded_for: "192.0.2.9".to_owned(), ..credentials() };
        assert_eq!(one.current.fingerprint(&credentials()), one.current.fingerprint(&elsewhere));
        let fingerprints = [
            one.current.fingerprint(&credentials()),
            one.current.fingerprint(&refreshed),
            one.current.fingerprint(&other),
            secret.current.fingerprint(&credentials()),
        ];
        assert_eq!(std::collections::HashSet::from(fingerprints).len(), 4);
    }

    #[test]
    fn a_ciphertext_reveals_no_token_and_is_different_each_time() {
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
