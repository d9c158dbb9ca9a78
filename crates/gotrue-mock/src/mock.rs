//! The state of a mock.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::http::{StatusCode, request::Parts};
use tokio::sync::watch;

use crate::{
    calls::{Call, CallLog},
    clock::MockClock,
    database::Database,
    fallback::Fallback,
    faults::Fault,
    initial_users::UserError,
    jwk::JwkError,
    keys::KeyRing,
    lock::lock,
    operation::Operation,
    options::Options,
    settings::Settings,
};

/// Why a mock cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no key for the algorithm.
    #[error(transparent)]
    Keys(#[from] JwkError),
    /// An initial user cannot be created.
    #[error(transparent)]
    Users(#[from] UserError),
}

/// A handle on one mock; all clones share its state. [`serve`](crate::serve) answers requests with
/// it.
#[derive(Clone)]
pub struct Mock(Arc<Inner>, Arc<Settings>);

struct Inner {
    options: Options,
    url: String,
    issuer: String,
    fallback: Option<Fallback>,
    clock: MockClock,
    initial_keys: KeyRing,
    keys: Mutex<KeyRing>,
    database: Mutex<Database>,
    /// Whether an access token was signed whose claims a hook had seen.
    has_signed: AtomicBool,
    /// The active faults, oldest first.
    faults: Mutex<Vec<Fault>>,
    /// The log of calls, oldest first.
    calls: Mutex<CallLog>,
    /// Wakes the pages that show this mock.
    changes: watch::Sender<()>,
}

impl Mock {
    /// Creates a mock for the listener at `address`. Its time is `now()` until a test advances it.
    ///
    /// # Errors
    ///
    /// None of the signing keys is for the algorithm, or an initial user cannot be created.
    pub fn new(
        options: Options,
        address: SocketAddr,
        now: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let url = options.external_url.clone().unwrap_or_else(|| url_of(address));
        Self::start(options, url, MockClock::new(now))
    }

    /// Creates a mock with the same options at another URL: its users, sessions, keys, faults, calls and clock are its
    /// own. With a seed, its ids and tokens depend on the name, too.
    pub(crate) fn new_world(&self, name: &str, url: String) -> Result<Self, StartError> {
        let mut options = self.0.options.clone();
        // The step of FNV-1a, so that different names give different seeds.
        let mix = |seed: u64, byte: u8| (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        options.seed = options.seed.map(|seed| name.bytes().fold(seed, mix));
        Self::start(options, url, self.0.clock.new_with_same_base())
    }

    fn start(options: Options, url: String, clock: MockClock) -> Result<Self, StartError> {
        let keys = options
            .signing_keys
            .key_ring(options.algorithm)
            .ok_or(JwkError::NoKey(options.algorithm))?;
        let settings = Arc::new(options.settings.clone());
        let inner = Inner {
            issuer: options.issuer.clone().unwrap_or_else(|| format!("{url}/auth/v1")),
            url,
            fallback: options.fallback.as_ref().map(Fallback::new),
            clock,
            initial_keys: keys.clone(),
            keys: Mutex::new(keys),
            database: Mutex::new(Database::new(options.seed)),
            has_signed: AtomicBool::new(false),
            faults: Mutex::default(),
            calls: Mutex::default(),
            changes: watch::Sender::default(),
            options,
        };
        let mock = Self(Arc::new(inner), settings);
        mock.create_initial_users()?;
        Ok(mock)
    }

    /// Creates the users of the options.
    pub(crate) fn create_initial_users(&self) -> Result<(), UserError> {
        self.0.options.users.create(&mut self.database(), self.now())
    }

    /// A handle on the same users, sessions, keys and clock, as of another server with these settings on the same
    /// database.
    #[must_use]
    pub fn with_settings(&self, settings: Settings) -> Self {
        Self(Arc::clone(&self.0), Arc::new(settings))
    }

    /// The mock's URL. GoTrue's paths begin with `/auth/v1`, the paths of the control endpoints with `/mock`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The `iss` claim of the access tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The mock's time: that of the function given to [`Mock::new`], plus the time that
    /// [`Mock::advance_clock`] added.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.0.clock.now()
    }

    pub(crate) fn clock(&self) -> &MockClock {
        &self.0.clock
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.1
    }

    pub(crate) fn has_signed(&self) -> bool {
        self.0.has_signed.load(Ordering::Relaxed)
    }

    pub(crate) fn set_signed(&self, has_signed: bool) {
        self.0.has_signed.store(has_signed, Ordering::Relaxed);
    }

    pub(crate) fn restarts_seed(&self) -> bool {
        self.0.options.restarts_seed
    }

    pub(crate) fn version(&self) -> &str {
        &self.0.options.version
    }

    pub(crate) fn fallback(&self) -> Option<&Fallback> {
        self.0.fallback.as_ref()
    }

    pub(crate) fn token_lifetime(&self) -> Duration {
        self.0.options.token_lifetime
    }

    pub(crate) fn keys(&self) -> KeyRing {
        lock(&self.0.keys).clone()
    }

    pub(crate) fn set_keys(&self, keys: KeyRing) {
        *lock(&self.0.keys) = keys;
    }

    /// Restores the keys that the mock started with.
    pub(crate) fn reset_keys(&self) {
        self.set_keys(self.0.initial_keys.clone());
    }

    pub(crate) fn database(&self) -> MutexGuard<'_, Database> {
        lock(&self.0.database)
    }

    pub(crate) fn call_log(&self) -> MutexGuard<'_, CallLog> {
        lock(&self.0.calls)
    }

    /// Logs a call, and notifies the pages that show this mock. Returns the id of the call.
    pub(crate) fn record_call(&self, head: &Parts, body: &[u8]) -> u64 {
        let id = self.call_log().push(Call::new(head, body, self.now()));
        self.announce_change();
        id
    }

    /// Notes the status of the response to a call.
    pub(crate) fn record_status(&self, call: u64, status: StatusCode) {
        self.call_log().set_status(call, status);
        self.announce_change();
    }

    /// Notifies the pages that show this mock that a request may have changed it.
    pub(crate) fn announce_change(&self) {
        self.0.changes.send_replace(());
    }

    /// Subscribes to the changes from now on.
    pub(crate) fn watch_changes(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Vec<Fault>> {
        lock(&self.0.faults)
    }

    /// Returns the fault that acts on a request for this path, if there is one, and counts one use of it.
    pub(crate) fn take_fault(&self, path: &str) -> Option<Fault> {
        let mut faults = self.faults();
        if faults.is_empty() {
            return None;
        }
        let operation = Operation::from_path(path)?;
        let at = faults.iter().position(|fault| fault.operation == operation)?;
        let fault = faults.get_mut(at)?;
        let taken = fault.clone();
        match fault.times.map(|times| NonZeroU32::new(times.get() - 1)) {
            Some(None) => drop(faults.remove(at)),
            Some(left) => fault.times = left,
            None => {}
        }
        Some(taken)
    }
}

/// The URL of a listener. A client cannot connect to an address that stands for all interfaces.
fn url_of(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}

/// Shows the address only: the other fields may hold credentials.
impl fmt::Debug for Mock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mock").field("url", &self.0.url).finish_non_exhaustive()
    }
}
