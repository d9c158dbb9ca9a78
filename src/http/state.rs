//! The state that the handlers of one thread share.

use std::sync::Arc;

use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    in_flight_limit::InFlightLimit, other_project_log::OtherProjectLog,
    revoked_session_log::RevokedSessionLog,
};
use crate::{
    config::Config,
    csrf::Csrf,
    failure_log::FailureLog,
    logout::Logout,
    readiness::Readiness,
    session::{introspection::IntrospectionCache, jwks::Jwks, verifier::Verifier},
    telemetry::metrics::Metrics,
};

/// The state of one thread's handlers. All threads share every part but `logout` and `logouts`.
#[derive(Clone, Debug)]
pub struct AppState {
    pub(crate) config: Arc<Config>,
    /// Mints and checks CSRF tokens.
    pub(crate) csrf: Arc<Csrf>,
    /// The project's key set.
    pub jwks: Arc<Jwks>,
    pub(crate) verifier: Arc<Verifier>,
    /// GoTrue's answers about tokens that only GoTrue can verify.
    pub(crate) introspections: Arc<IntrospectionCache>,
    /// The counters and histograms of `/metrics`.
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) started_at: Instant,
    /// The parts that the gateway lacks to be ready.
    pub(crate) readiness: Arc<Readiness>,
    /// Logs the names of other projects' session cookies.
    pub(crate) other_project_log: Arc<OtherProjectLog>,
    /// Limits the log lines about revoked sessions at `verify`.
    pub(crate) revoked_session_log: Arc<RevokedSessionLog>,
    /// Records the logouts that did not end their session.
    pub(crate) failures: FailureLog,
    /// Cancelled when the gateway begins to stop.
    pub(crate) stopping: CancellationToken,
    /// The permits of open connections, `GATEWAY_MAX_CONNECTIONS` over all public listeners together.
    pub(crate) connections: Arc<Semaphore>,
    /// The limit of requests in flight, `GATEWAY_MAX_IN_FLIGHT`. Health checks and documents take no permit,
    /// so the gateway answers them under overload too.
    pub(crate) in_flight: InFlightLimit,
    /// Ends sessions, through this thread's own connections to GoTrue.
    pub logout: Logout,
    /// The logouts under way on this thread; the gateway waits for them before the thread ends.
    pub(crate) logouts: TaskTracker,
}
