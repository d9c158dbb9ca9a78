//! Creates the state that the HTTP handlers use: the part that all threads share, and the part that each
//! thread has of its own.

use std::{sync::Arc, thread};

use tokio::{runtime::Runtime, sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::StartError;
use crate::{
    clock::Clock,
    config::{Config, StoreAddress},
    csrf::Csrf,
    failure_log::FailureLog,
    gotrue::{GoTrue, HttpClientError},
    http::{in_flight_limit::InFlightLimit, state::AppState},
    logout::{LocalLogouts, Logout},
    queue::{credentials::Seal, enqueue::RevocationQueue},
    readiness::Readiness,
    session::{jwks::Jwks, verifier::Verifier},
    store::{self, OpenStoreError, Store, bounds::Bounds, instrumented::InstrumentedStore},
    telemetry::metrics::Metrics,
};

/// Opens the store. The store's background tasks run on `runtime`.
pub(super) fn open_store(
    runtime: &Runtime,
    address: &StoreAddress,
) -> Result<Arc<dyn Store>, StartError> {
    // Block on a separate thread, because the caller may itself run on a tokio runtime, and a thread of a
    // runtime must not block on another runtime.
    thread::scope(|scope| {
        let opening = thread::Builder::new()
            .spawn_scoped(scope, || runtime.block_on(store::open(address)))?;
        let panicked =
            |_| Err(OpenStoreError("the thread that opened the store panicked".to_owned()));
        Ok(opening.join().unwrap_or_else(panicked)?)
    })
}

/// Creates the state of the first thread. Its key set is still empty.
///
/// # Errors
/// [`StartError`] if the HTTP client cannot be built, for instance because the system has no TLS roots, or if
/// the random number generator fails.
pub fn first(
    config: Config,
    clock: Clock,
    store: Arc<dyn Store>,
    failures: FailureLog,
) -> Result<AppState, StartError> {
    let seal = if store.queue().is_some() { Seal::new(&config.secrets)? } else { None };
    let bounds = Bounds::new(config.store.queue_max_bytes, config.limits.header_bytes);
    let metrics = Arc::new(Metrics::new());
    let jwks = Arc::new(Jwks::new(config.upstream.timeout, metrics.clone()));
    let verifier = Arc::new(Verifier::new(&config.supabase, jwks.clone()));
    let store: Arc<dyn Store> = Arc::new(InstrumentedStore::new(store, metrics.clone()));
    let stopping = CancellationToken::new();
    Ok(AppState {
        csrf: Arc::new(Csrf::new(&config)?),
        readiness: Arc::new(Readiness::new(&stopping, &store, &verifier, &jwks, &clock)),
        verifier,
        jwks,
        introspections: Arc::default(),
        other_project_log: Arc::default(),
        revoked_session_log: Arc::default(),
        failures,
        connections: Arc::new(Semaphore::new(config.limits.connections)),
        in_flight: InFlightLimit::new(config.limits.in_flight),
        logout: Logout {
            gotrue: GoTrue::new(&config, metrics.clone())?,
            store,
            queue: seal.map(|seal| Arc::new(RevocationQueue::new(seal, bounds))),
            clock,
            max_token_lifetime: config.store.max_token_lifetime,
            local_logouts: LocalLogouts::default(),
        },
        logouts: TaskTracker::new(),
        started_at: Instant::now(),
        stopping,
        metrics,
        config: Arc::new(config),
    })
}

/// Creates the state of another thread. It has its own connections to GoTrue and its own logouts under way,
/// and shares the rest with `first`.
pub(super) fn another(first: &AppState) -> Result<AppState, HttpClientError> {
    let gotrue = GoTrue::new(&first.config, first.metrics.clone())?;
    let logout = Logout { gotrue, ..first.logout.clone() };
    Ok(AppState { logout, logouts: TaskTracker::new(), ..first.clone() })
}
