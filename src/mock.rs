//! A GoTrue to test against: `logout-gateway mock`, the demo and this crate's own tests use it.
//!
//! 1. Under `/auth/v1` it answers as the recordings in `fixtures/gotrue/` do: status, codes, body
//!    shapes in both API versions, and the effect on sessions, the traps included.
//! 2. Under `/mock` a test reads the calls, ends sessions, advances the clock, and injects faults.
//! 3. Everything lives in memory and is gone with [`Mock::reset`].
//! 4. Time comes from the [`Clock`] it is given, the `Date` header's too. A test can advance it.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

mod access_token;
mod calls;
mod clock;
mod command;
mod control;
mod cors;
mod error;
mod expiry;
mod faults;
mod gotrue;
mod grants;
mod handle;
mod jwk;
mod keys;
mod password;
mod refresh;
mod server;
mod state;
mod user;
mod user_update;

use clock::MockClock;
use keys::KeyRing;
use state::State;

pub use calls::Call;
pub use clock::ClockLimitError;
pub use command::{Args, run};
pub use expiry::SessionExpiry;
pub use faults::{Answer, Fault, Kind, Operation};
pub use handle::Tokens;
pub use jwk::JwkError;
pub use keys::{Algorithm, SigningKeys, TEST_SECRET};
pub use server::serve;

use crate::clock::Clock;

/// How a mock differs from the usual one.
#[derive(Clone, Debug)]
pub struct Options {
    /// What access tokens are signed with; `signing_keys` must hold a key for it.
    pub algorithm: Algorithm,
    /// How long an access token is good for, in whole seconds.
    pub token_lifetime: Duration,
    /// Where the signing key comes from.
    pub signing_keys: SigningKeys,
    /// The `iss` of access tokens; `None`: the mock's own `/auth/v1`.
    pub issuer: Option<String>,
    /// Makes ids and refresh tokens a fixed sequence, which begins again at every reset.
    pub seed: Option<u64>,
    /// The `version` of `GET /health`: a GoTrue release such as `v2.180.0`, or empty as in a build
    /// without one (recorded: `health`).
    pub version: String,
}

/// ES256 with the test keys, an hour, its own issuer, random ids, version `v2.180.0`.
impl Default for Options {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Es256,
            token_lifetime: Duration::from_hours(1),
            signing_keys: SigningKeys::test_keys(),
            issuer: None,
            seed: None,
            version: "v2.180.0".to_owned(),
        }
    }
}

/// A handle on one mock; cheap to clone. [`serve`] makes it answer.
#[derive(Clone)]
pub struct Mock(Arc<Inner>);

struct Inner {
    url: String,
    issuer: String,
    token_lifetime: Duration,
    version: String,
    clock: MockClock,
    first_keys: KeyRing,
    keys: Mutex<KeyRing>,
    state: Mutex<State>,
    faults: Mutex<Vec<Fault>>,
    calls: Mutex<VecDeque<Call>>,
}

impl Mock {
    /// A mock that believes it listens at `address`.
    ///
    /// # Errors
    ///
    /// When the signing keys hold none for the algorithm.
    pub fn new(options: Options, address: SocketAddr, clock: Clock) -> Result<Self, JwkError> {
        let keys = options
            .signing_keys
            .ring(options.algorithm)
            .ok_or(JwkError::NoKey(options.algorithm))?;
        let url = format!("http://{address}");
        Ok(Self(Arc::new(Inner {
            issuer: options.issuer.unwrap_or_else(|| format!("{url}/auth/v1")),
            url,
            token_lifetime: options.token_lifetime,
            version: options.version,
            clock: MockClock::new(clock),
            first_keys: keys.clone(),
            keys: Mutex::new(keys),
            state: Mutex::new(State::new(options.seed)),
            faults: Mutex::default(),
            calls: Mutex::default(),
        })))
    }

    /// `http://<address>`; GoTrue's base is this and `/auth/v1`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The `iss` of the access tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The mock's time, which [`Mock::advance_clock`] moves. A gateway that is given this clock lives
    /// at the same time as the mock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        self.0.clock.clock()
    }

    fn version(&self) -> &str {
        &self.0.version
    }

    fn token_lifetime(&self) -> Duration {
        self.0.token_lifetime
    }

    fn keys(&self) -> KeyRing {
        lock(&self.0.keys).clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }

    fn record(&self, call: Call) {
        let mut calls = lock(&self.0.calls);
        if calls.len() == calls::KEPT {
            calls.pop_front();
        }
        calls.push_back(call);
    }

    /// The fault that acts on this request, if one does.
    fn strike(&self, operation: Operation) -> Option<Fault> {
        let mut faults = lock(&self.0.faults);
        let at = faults.iter().position(|fault| fault.operation == operation)?;
        let fault = faults.get_mut(at)?;
        let struck = fault.clone();
        match fault.times.map(|times| std::num::NonZeroU32::new(times.get() - 1)) {
            Some(None) => drop(faults.remove(at)),
            Some(left) => fault.times = left,
            None => {}
        }
        Some(struck)
    }
}

/// The address only: everything else may hold a credential.
impl std::fmt::Debug for Mock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mock").field("url", &self.0.url).finish_non_exhaustive()
    }
}

/// A panic elsewhere leaves nothing half-written that a test could not see for itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
