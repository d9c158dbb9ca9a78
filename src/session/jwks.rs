//! Fetches and keeps the project's key set (RFC 7517), whose public keys verify access tokens.
//!
//! 1. A background task fetches the key set at the start and every 10 minutes. When a key is no longer in it,
//!    the tokens of that key are refused.
//! 2. A token with an unknown `kid` starts one more fetch, and all requests with unknown keys wait for its
//!    end. There is at most one such fetch in 30 s, whether it succeeds or fails. A token of a known key
//!    never waits: reading the keys takes no lock.
//! 3. Keys are used for at most one hour after the last successful fetch.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};

use crate::telemetry::metrics::Metrics;

const FETCH_INTERVAL: Duration = Duration::from_mins(10);
const RETRY_INTERVAL: Duration = Duration::from_secs(30);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const REFETCH_COOLDOWN: Duration = Duration::from_secs(30);
const MAX_AGE: Duration = Duration::from_hours(1);

/// RFC 7518, section 3.3: smaller RSA keys must not be used.
const MIN_RSA_BITS: usize = 2048;

#[derive(Debug)]
struct PublicKey {
    kid: String,
    algorithm: Algorithm,
    decoding: DecodingKey,
    /// The JSON of the key as published, to notice a change.
    jwk: serde_json::Value,
}

/// The keys from one successful fetch.
#[derive(Debug)]
pub struct KeySet {
    /// The keys in the order of the document. Of two keys with the same `kid` and `alg` the first is used.
    /// Keys of different algorithms may share a `kid` (RFC 7517, section 4.5).
    keys: Vec<PublicKey>,
    /// Counts the changes of the keys: a token that keys of an older epoch verified must be verified again.
    pub(crate) epoch: u64,
    fetched_at: Instant,
}

impl KeySet {
    /// Whether the set has a key with this `kid`, of any algorithm.
    pub(crate) fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid == kid)
    }

    /// The key with this `kid` for this algorithm.
    pub(crate) fn key(&self, kid: &str, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut keys = self.keys.iter();
        keys.find(|key| key.kid == kid && key.algorithm == algorithm).map(|key| &key.decoding)
    }

    /// Whether the set has a key for an allowed algorithm.
    pub(crate) fn has_key_for(&self, allowed: impl Fn(Algorithm) -> bool) -> bool {
        self.keys.iter().any(|key| allowed(key.algorithm))
    }

    pub(crate) fn algorithms(&self) -> Algorithms {
        count_by_algorithm(&self.keys)
    }
}

/// The response body is not a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not a JSON Web Key Set")]
pub struct KeySetError;

/// Reads the body of a key set, without the keys that cannot verify a Supabase token.
fn read(body: &[u8]) -> Result<Vec<PublicKey>, KeySetError> {
    #[derive(serde::Deserialize)]
    struct Document {
        keys: Vec<serde_json::Value>,
    }
    let document: Document = serde_json::from_slice(body).map_err(|_| KeySetError)?;
    Ok(document.keys.into_iter().filter_map(usable_key).collect())
}

/// The number of keys for each algorithm, by names such as `ES256`.
pub type Algorithms = BTreeMap<String, usize>;

/// Counts the usable keys in the body of a key set by algorithm.
///
/// # Errors
/// [`KeySetError`], if `body` is not a key set.
pub fn algorithms(body: &[u8]) -> Result<Algorithms, KeySetError> {
    Ok(count_by_algorithm(&read(body)?))
}

fn count_by_algorithm(keys: &[PublicKey]) -> Algorithms {
    let mut algorithms = Algorithms::new();
    for key in keys {
        *algorithms.entry(format!("{:?}", key.algorithm)).or_default() += 1;
    }
    algorithms
}

fn usable_key(value: serde_json::Value) -> Option<PublicKey> {
    // `d` is the private part of a key (RFC 7518, sections 6.2.2 and 6.3.2; RFC 8037, section 2).
    if value.get("d").is_some_and(|private| !private.is_null()) {
        tracing::warn!(
            "the project publishes a private key in its key set: everybody can sign tokens with it, so the \
             gateway does not use it; replace this key in the Supabase project"
        );
        return None;
    }
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    let common = &jwk.common;
    let for_signing = common.public_key_use.as_ref().is_none_or(|u| *u == PublicKeyUse::Signature);
    let for_verifying =
        common.key_operations.as_ref().is_none_or(|ops| ops.contains(&KeyOperations::Verify));
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(p) if p.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::RSA(p) if bit_length(&p.n)? >= MIN_RSA_BITS => Algorithm::RS256,
        AlgorithmParameters::OctetKeyPair(p) if p.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        // Refuse all other keys. With a published symmetric key, every reader of the key set could sign
        // tokens.
        _ => return None,
    };
    let named = match common.key_algorithm {
        None => true,
        Some(KeyAlgorithm::ES256) => algorithm == Algorithm::ES256,
        Some(KeyAlgorithm::RS256) => algorithm == Algorithm::RS256,
        Some(KeyAlgorithm::EdDSA) => algorithm == Algorithm::EdDSA,
        Some(_) => false,
    };
    let kid = common.key_id.clone()?;
    let decoding = DecodingKey::from_jwk(&jwk).ok()?;
    let key = PublicKey { kid, algorithm, decoding, jwk: value };
    (for_signing && for_verifying && named).then_some(key)
}

/// The length in bits of a number in base64url.
fn bit_length(number: &str) -> Option<usize> {
    let octets = URL_SAFE_NO_PAD.decode(number).ok()?;
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    let first = octets.get(zeros)?;
    Some(8 * (octets.len() - zeros) - first.leading_zeros() as usize)
}

/// The project's key set, shared by all threads.
#[derive(Debug)]
pub struct Jwks {
    /// The longest time that a request waits for a fetch.
    wait_limit: Duration,
    current: ArcSwapOption<KeySet>,
    fetching: Mutex<Fetching>,
    /// Wakes the background task for a refetch.
    wanted: Notify,
    /// The number of fetches that have ended.
    finished: watch::Sender<u64>,
    started_at: Instant,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Fetching {
    under_way: bool,
    refetched_at: Option<Instant>,
}

impl Jwks {
    /// A cache without keys. `Jwks::refetch` waits `wait_limit` at most.
    #[must_use]
    pub fn new(wait_limit: Duration, metrics: Arc<Metrics>) -> Self {
        Self {
            wait_limit,
            current: ArcSwapOption::empty(),
            fetching: Mutex::default(),
            wanted: Notify::new(),
            finished: watch::channel(0).0,
            started_at: Instant::now(),
            metrics,
        }
    }

    /// The keys, unless the last successful fetch is more than an hour ago or there was none.
    #[must_use]
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.current.load_full().filter(|set| set.fetched_at.elapsed() < MAX_AGE)
    }

    /// The time since the last successful fetch, or since the start if there was none.
    pub(crate) fn age(&self) -> Duration {
        self.current.load().as_ref().map_or(self.started_at, |keys| keys.fetched_at).elapsed()
    }

    /// Whether the first fetch has ended, with or without success.
    pub(crate) fn has_finished_first_fetch(&self) -> bool {
        *self.finished.borrow() > 0
    }

    /// Waits for the fetch under way, or starts one and waits for its end, but no longer than the wait limit.
    /// If the last refetch began less than 30 s ago, it returns at once.
    pub(crate) async fn refetch(&self) {
        let mut finished = self.finished.subscribe();
        {
            let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
            if !fetching.under_way {
                if fetching.refetched_at.is_some_and(|at| at.elapsed() < REFETCH_COOLDOWN) {
                    return;
                }
                fetching.refetched_at = Some(Instant::now());
                fetching.under_way = true;
                self.wanted.notify_one();
            }
        }
        // Ignore a timeout: the caller looks for its key in either case.
        let _ = timeout(self.wait_limit, finished.changed()).await;
    }

    /// Fetches the key set for ever, on schedule and when `Jwks::refetch` asks for it. `fetch` returns the
    /// body of a key set.
    pub async fn keep_fetching<E, F>(&self, fetch: impl Fn() -> F)
    where
        F: Future<Output = Result<Vec<u8>, E>>,
        E: std::fmt::Display,
    {
        let mut retry_pause = FIRST_RETRY;
        loop {
            self.fetching.lock().unwrap_or_else(PoisonError::into_inner).under_way = true;
            let body = fetch().await.map_err(|error| error.to_string());
            let fetched = {
                // Hold the lock while the keys change: a request that does not find its key in the new set
                // must start the next fetch, and not wait for the end of this one.
                let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
                let stored =
                    body.and_then(|body| self.store_key_set(&body).map_err(|f| f.to_string()));
                fetching.under_way = false;
                self.finished.send_modify(|count| *count = count.wrapping_add(1));
                stored
            };
            self.metrics.jwks_refreshed(fetched.is_ok());
            let pause = match fetched {
                Ok(()) => FETCH_INTERVAL,
                Err(cause) => {
                    tracing::warn!(
                        cause,
                        "the gateway could not fetch the project's key set and tries again: check SUPABASE_URL \
                         and GoTrue"
                    );
                    if self.current().is_some() {
                        RETRY_INTERVAL
                    } else {
                        let longer = (retry_pause * 2).min(RETRY_INTERVAL);
                        std::mem::replace(&mut retry_pause, longer)
                    }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wanted.notified() => {}
            }
        }
    }

    fn store_key_set(&self, body: &[u8]) -> Result<(), KeySetError> {
        let keys = read(body)?;
        let epoch = match self.current.load().as_deref() {
            Some(old) if are_same_keys(&old.keys, &keys) => old.epoch,
            Some(old) => old.epoch + 1,
            None => 0,
        };
        self.current.store(Some(Arc::new(KeySet { keys, epoch, fetched_at: Instant::now() })));
        Ok(())
    }
}

/// Compares two key sets without regard to order: GoTrue returns its keys in a different order each time.
fn are_same_keys(a: &[PublicKey], b: &[PublicKey]) -> bool {
    a.len() == b.len() && a.iter().all(|key| b.iter().any(|k| k.jwk == key.jwk))
}

#[cfg(test)]
mod tests;
