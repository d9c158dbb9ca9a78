//! The project's key set.
//!
//! 1. Fetched in the background at start and every 10 minutes; a key that vanished is refused then.
//! 2. An unknown `kid` causes one refetch that all who wait share, at most one per 30 s whether it
//!    succeeds or not. A token whose key is known never waits: reading takes no lock.
//! 3. Keys are used at most one hour after the last good fetch.

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

const EVERY: Duration = Duration::from_mins(10);
const AFTER_FAILURE: Duration = Duration::from_secs(30);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const COOLDOWN: Duration = Duration::from_secs(30);
const USABLE_FOR: Duration = Duration::from_hours(1);

/// RFC 7518, section 3.3.
const LEAST_RSA_BITS: usize = 2048;

#[derive(Debug)]
struct Key {
    kid: String,
    algorithm: Algorithm,
    decoding: DecodingKey,
    /// As published, to tell whether it changed.
    jwk: serde_json::Value,
}

/// One good fetch.
#[derive(Debug)]
pub struct KeySet {
    /// As published: of two for one `kid` and `alg` the first counts. For different ones they may share
    /// a `kid` (RFC 7517, section 4.5).
    keys: Vec<Key>,
    /// The same for two sets that say the same; what was verified under another one counts no more.
    pub epoch: u64,
    fetched_at: Instant,
}

impl KeySet {
    /// Whether there is a key of that `kid`.
    #[must_use]
    pub fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid == kid)
    }

    /// The key of that `kid`, if it is one for that `alg`.
    #[must_use]
    pub fn key(&self, kid: &str, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut keys = self.keys.iter();
        keys.find(|key| key.kid == kid && key.algorithm == algorithm).map(|key| &key.decoding)
    }

    /// Whether there is a key for one of these algorithms.
    #[must_use]
    pub fn has_key_for(&self, allowed: impl Fn(Algorithm) -> bool) -> bool {
        self.keys.iter().any(|key| allowed(key.algorithm))
    }

    /// How many keys there are for each algorithm.
    #[must_use]
    pub fn algorithms(&self) -> Algorithms {
        tally(&self.keys)
    }
}

/// The answer was not a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not a JSON Web Key Set")]
pub struct NotAKeySet;

/// Reads a key set; keys that cannot verify a Supabase token are left out.
fn read(body: &[u8]) -> Result<Vec<Key>, NotAKeySet> {
    #[derive(serde::Deserialize)]
    struct Document {
        keys: Vec<serde_json::Value>,
    }
    let document: Document = serde_json::from_slice(body).map_err(|_| NotAKeySet)?;
    Ok(document.keys.into_iter().filter_map(usable).collect())
}

/// How many keys there are for each algorithm.
pub type Algorithms = BTreeMap<String, usize>;

/// The algorithms of the keys in a key set.
///
/// # Errors
/// [`NotAKeySet`].
pub fn algorithms(body: &[u8]) -> Result<Algorithms, NotAKeySet> {
    Ok(tally(&read(body)?))
}

fn tally(keys: &[Key]) -> Algorithms {
    let mut algorithms = Algorithms::new();
    for key in keys {
        *algorithms.entry(format!("{:?}", key.algorithm)).or_default() += 1;
    }
    algorithms
}

fn usable(value: serde_json::Value) -> Option<Key> {
    // RFC 7518, sections 6.2.2 and 6.3.2; RFC 8037, section 2.
    if value.get("d").is_some_and(|private| !private.is_null()) {
        tracing::warn!(
            "the key set shows a private key: anybody can sign with it, so it is not believed"
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
        AlgorithmParameters::RSA(p) if bits(&p.n)? >= LEAST_RSA_BITS => Algorithm::RS256,
        AlgorithmParameters::OctetKeyPair(p) if p.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        // A symmetric key that everybody can read proves nothing.
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
    let key = Key { kid, algorithm, decoding, jwk: value };
    (for_signing && for_verifying && named).then_some(key)
}

/// How long a number is, in base64url.
fn bits(number: &str) -> Option<usize> {
    let octets = URL_SAFE_NO_PAD.decode(number).ok()?;
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    let first = octets.get(zeros)?;
    Some(8 * (octets.len() - zeros) - first.leading_zeros() as usize)
}

/// The key set as all threads share it.
#[derive(Debug)]
pub struct Jwks {
    /// How long somebody waits for a fetch at most.
    patience: Duration,
    current: ArcSwapOption<KeySet>,
    fetching: Mutex<Fetching>,
    wanted: Notify,
    finished: watch::Sender<u64>,
    begun: Instant,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Fetching {
    under_way: bool,
    refetched_at: Option<Instant>,
}

impl Jwks {
    /// No keys yet; whoever waits for some waits `patience` long at most.
    #[must_use]
    pub fn new(patience: Duration, metrics: Arc<Metrics>) -> Self {
        Self {
            patience,
            current: ArcSwapOption::empty(),
            fetching: Mutex::default(),
            wanted: Notify::new(),
            finished: watch::channel(0).0,
            begun: Instant::now(),
            metrics,
        }
    }

    /// The keys, unless none were ever fetched or the last good fetch is too long ago.
    #[must_use]
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.current.load_full().filter(|set| set.fetched_at.elapsed() < USABLE_FOR)
    }

    /// How long ago the last good fetch was, or the start.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.current.load().as_ref().map_or(self.begun, |keys| keys.fetched_at).elapsed()
    }

    /// Whether the keys were fetched by now, or could not be.
    #[must_use]
    pub fn first_fetch_is_over(&self) -> bool {
        *self.finished.borrow() > 0
    }

    /// Waits for a fetch under way, or asks for one if none was asked for lately; else returns at once.
    pub async fn refetch(&self) {
        let mut finished = self.finished.subscribe();
        {
            let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
            if !fetching.under_way {
                if fetching.refetched_at.is_some_and(|at| at.elapsed() < COOLDOWN) {
                    return;
                }
                fetching.refetched_at = Some(Instant::now());
                fetching.under_way = true;
                self.wanted.notify_one();
            }
        }
        // Done or not, the caller looks at the keys again.
        let _ = timeout(self.patience, finished.changed()).await;
    }

    /// Fetches for ever, as scheduled and as asked for. `fetch` answers the body of a key set.
    pub async fn keep_fetching<E, F>(&self, fetch: impl Fn() -> F)
    where
        F: Future<Output = Result<Vec<u8>, E>>,
        E: std::fmt::Display,
    {
        let mut without_keys = FIRST_RETRY;
        loop {
            self.fetching.lock().unwrap_or_else(PoisonError::into_inner).under_way = true;
            let body = fetch().await.map_err(|error| error.to_string());
            let fetched = {
                // Whoever misses a key in these keys asks for the next fetch, not for this one.
                let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
                let taken = body.and_then(|body| self.take(&body).map_err(|f| f.to_string()));
                fetching.under_way = false;
                self.finished.send_modify(|count| *count = count.wrapping_add(1));
                taken
            };
            self.metrics.jwks_refreshed(fetched.is_ok());
            let pause = match fetched {
                Ok(()) => EVERY,
                Err(cause) => {
                    tracing::warn!(cause, "the key set could not be fetched");
                    if self.current().is_some() {
                        AFTER_FAILURE
                    } else {
                        let longer = (without_keys * 2).min(AFTER_FAILURE);
                        std::mem::replace(&mut without_keys, longer)
                    }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wanted.notified() => {}
            }
        }
    }

    fn take(&self, body: &[u8]) -> Result<(), NotAKeySet> {
        let keys = read(body)?;
        let epoch = match self.current.load().as_deref() {
            Some(old) if same(&old.keys, &keys) => old.epoch,
            Some(old) => old.epoch + 1,
            None => 0,
        };
        self.current.store(Some(Arc::new(KeySet { keys, epoch, fetched_at: Instant::now() })));
        Ok(())
    }
}

/// In whatever order: GoTrue's own is another one each time.
fn same(a: &[Key], b: &[Key]) -> bool {
    a.len() == b.len() && a.iter().all(|key| b.iter().any(|k| k.jwk == key.jwk))
}

#[cfg(test)]
mod tests;
