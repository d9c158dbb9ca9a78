//! The metrics of section 10 of docs/http-api.md. Each event that is counted has a method.
//!
//! 1. Label values are words of the program, never an id or an address, so that each label has a bounded
//!    number of values.
//! 2. Every label set that the program can produce is exposed with the value zero from the start. Otherwise
//!    Prometheus' `rate` would miss the first failure.
//! 3. [`Metrics`] holds a handle of each counter, so that counting needs no lookup in the Prometheus
//!    registry.

mod family;
mod labels;
pub mod last_hour;

use std::time::Duration;

use prometheus::{Gauge, IntCounter, Registry, TextEncoder};
use strum::VariantArray as _;

use self::{
    family::{Counters, Histograms, Register},
    labels::LogoutLabels,
    last_hour::LastHour,
};
use super::line_limit::LineLimit;
use crate::{
    operation::{
        gotrue::{Operation as GoTrueOperation, TryResult},
        store::StoreOperation,
    },
    outcome::{Outcome, Reason, RecordedOutcome, Route},
};

/// The number of refused logouts that are logged one by one in each second (docs/http-api.md, section 10).
/// Further ones are only counted.
const REFUSAL_LINES_EACH_SECOND: u32 = 100;

/// The value of the label `reason` for a logout without a reason.
const NO_REASON: &str = "none";
/// The value of the label `result` of a success.
const OK: &str = "ok";
const FAILED: &str = "failed";

const LOGOUTS: &str = "logouts_total";

/// Every counter, histogram and gauge of the process. All threads share one value.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    logouts: Counters<LogoutLabels, 3>,
    logout_duration: Histograms<Route>,
    gotrue_requests: Counters<(GoTrueOperation, TryResult), 2>,
    gotrue_duration: Histograms<GoTrueOperation>,
    csrf_refused: Counters<Reason, 1>,
    cookies_deleted: IntCounter,
    verify: Counters<Option<Reason>, 1>,
    queue_retries: Counters<RecordedOutcome, 1>,
    /// The label is whether the fetch succeeded.
    jwks_refresh: Counters<bool, 1>,
    store_errors: Counters<StoreOperation, 1>,
    requests_refused: Counters<Reason, 1>,
    gauges: Gauges,
    /// The logouts of the last hour, for the status page.
    pub(crate) last_hour: LastHour,
    /// Limits the audit lines of refused logouts. Refusals without an audit line are counted as well.
    pub(crate) refusal_lines: LineLimit,
}

#[derive(Debug)]
struct Gauges {
    revocations: Gauge,
    queue_entries: Gauge,
    queue_oldest_seconds: Gauge,
    jwks_age_seconds: Gauge,
    requests_in_flight: Gauge,
}

/// The values of the gauges, which are read at each scrape.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Entries of the revocation list.
    pub(crate) revocations: usize,
    /// The number of queued logouts, and the age of the oldest one. `None` if the store did not answer: the
    /// gauges then keep their last values.
    pub(crate) queued: Option<(usize, Duration)>,
    /// The time since the last successful fetch of the key set, or since the start if no fetch has succeeded.
    pub(crate) jwks_age: Duration,
    /// Requests that count towards `GATEWAY_MAX_IN_FLIGHT`.
    pub(crate) in_flight: usize,
}

impl Metrics {
    /// Registers all metrics, with the value zero.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let register = Register(&registry);
        register_process(&registry);
        register.info("build_info", "version", env!("CARGO_PKG_VERSION"));
        Self {
            logouts: register.counters(
                LOGOUTS,
                "Requests for a logout, by their outcome and its reason.",
                ["route", "outcome", "reason"],
                |(route, outcome, reason)| {
                    let reason = reason.map_or(NO_REASON, Reason::as_str);
                    [route.as_str(), outcome.as_str(), reason]
                },
                labels::logouts(),
            ),
            logout_duration: register.histograms(
                "logout_duration_seconds",
                "Time from the head of a logout request to its response.",
                "route",
                Route::as_str,
                Route::VARIANTS,
            ),
            gotrue_requests: register.counters(
                "gotrue_requests_total",
                "Requests to GoTrue. A retried request counts once for each try.",
                ["operation", "result"],
                |(operation, result)| [operation.as_str(), result.as_str()],
                GoTrueOperation::VARIANTS.iter().flat_map(|operation| {
                    TryResult::VARIANTS.iter().map(|result| (*operation, *result))
                }),
            ),
            gotrue_duration: register.histograms(
                "gotrue_request_duration_seconds",
                "Time that one try of a request to GoTrue took.",
                "operation",
                GoTrueOperation::as_str,
                GoTrueOperation::VARIANTS,
            ),
            csrf_refused: register.counters(
                "csrf_refused_total",
                "Requests refused for their CSRF token or for the site that they came from.",
                ["reason"],
                |reason| [reason.as_str()],
                labels::csrf_refused(),
            ),
            cookies_deleted: register
                .counter("cookies_deleted_total", "Set-Cookie headers that delete a cookie."),
            verify: register.counters(
                "verify_total",
                "Responses of /api/auth/verify.",
                ["result"],
                |reason| [reason.map_or(OK, Reason::as_str)],
                labels::verify(),
            ),
            queue_retries: register.counters(
                "queue_retries_total",
                "Retries of queued logouts.",
                ["result"],
                |outcome| [outcome.as_str()],
                labels::retries(),
            ),
            jwks_refresh: register.counters(
                "jwks_refresh_total",
                "Fetches of the key set.",
                ["result"],
                |succeeded| [if succeeded { OK } else { FAILED }],
                [true, false],
            ),
            store_errors: register.counters(
                "store_errors_total",
                "Operations of the store that failed.",
                ["operation"],
                |operation| [operation.as_str()],
                StoreOperation::VARIANTS.iter().copied(),
            ),
            requests_refused: register.counters(
                "requests_refused_total",
                "Requests refused before they were authenticated.",
                ["reason"],
                |reason| [reason.as_str()],
                labels::requests_refused(),
            ),
            gauges: Gauges::new(&register),
            last_hour: LastHour::new(),
            refusal_lines: LineLimit::new(REFUSAL_LINES_EACH_SECOND),
            registry,
        }
    }

    /// Counts a logout whose response is ready. The outcome and the reason are those of its audit line.
    pub fn logout(
        &self,
        route: Route,
        (outcome, reason): (Outcome, Option<Reason>),
        took: Duration,
        cookies_deleted: usize,
    ) {
        self.logouts.increment((route, outcome, reason));
        self.last_hour.count(outcome);
        self.logout_duration.observe(route, took);
        self.cookies_deleted.inc_by(cookies_deleted as u64);
    }

    /// Counts one try of a request to GoTrue.
    pub fn gotrue_try(&self, operation: GoTrueOperation, result: TryResult, took: Duration) {
        self.gotrue_requests.increment((operation, result));
        self.gotrue_duration.observe(operation, took);
    }

    /// Counts a request that the CSRF check refused.
    pub(crate) fn csrf_refused(&self, reason: Reason) {
        self.csrf_refused.increment(reason);
    }

    /// Counts a response of `/api/auth/verify`: 200 if `refused` is `None`, else an error with that reason.
    pub(crate) fn verified(&self, refused: Option<Reason>) {
        self.verify.increment(refused);
    }

    /// Counts a retry of a queued logout.
    pub(crate) fn retried(&self, outcome: RecordedOutcome) {
        self.queue_retries.increment(outcome);
    }

    /// Counts a fetch of the key set.
    pub(crate) fn jwks_refreshed(&self, succeeded: bool) {
        self.jwks_refresh.increment(succeeded);
    }

    /// Counts an operation of the store that failed.
    pub(crate) fn store_failed(&self, operation: StoreOperation) {
        self.store_errors.increment(operation);
    }

    /// Counts a request that was refused before it was authenticated.
    pub(crate) fn refused(&self, reason: Reason) {
        self.requests_refused.increment(reason);
    }

    /// All metrics in Prometheus' text format, with `now` as the values of the gauges.
    pub(crate) fn exposition(&self, now: Now) -> String {
        self.gauges.set(now);
        let mut families = self.registry.gather();
        for family in &mut families {
            if family.name().ends_with(LOGOUTS) {
                // The Prometheus library sorts labels by name. Move `route` to the front, where
                // docs/http-api.md shows it.
                family
                    .mut_metric()
                    .iter_mut()
                    .for_each(|metric| metric.mut_label().rotate_right(1));
            }
        }
        // Encoding fails only for a family without a metric, and `gather` returns no such family.
        TextEncoder::new().encode_to_string(&families).unwrap_or_default()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Gauges {
    fn new(register: &Register<'_>) -> Self {
        Self {
            revocations: register.gauge("revocations", "Entries of the revocation list."),
            queue_entries: register.gauge("queue_entries", "Queued logouts."),
            queue_oldest_seconds: register
                .gauge("queue_oldest_seconds", "Time since the oldest queued logout was queued."),
            jwks_age_seconds: register.gauge(
                "jwks_age_seconds",
                "Time since the last successful fetch of the key set, or since the start.",
            ),
            requests_in_flight: register
                .gauge("requests_in_flight", "Requests that count towards GATEWAY_MAX_IN_FLIGHT."),
        }
    }

    fn set(&self, now: Now) {
        let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        self.revocations.set(count(now.revocations));
        if let Some((entries, oldest)) = now.queued {
            self.queue_entries.set(count(entries));
            self.queue_oldest_seconds.set(oldest.as_secs_f64());
        }
        self.jwks_age_seconds.set(now.jwks_age.as_secs_f64());
        self.requests_in_flight.set(count(now.in_flight));
    }
}

/// The `process_*` metrics: CPU, memory, file descriptors, threads, start time.
#[cfg(target_os = "linux")]
fn register_process(registry: &Registry) {
    let collector = prometheus::process_collector::ProcessCollector::for_self();
    // Registering fails only for a collector that is registered already.
    let _ = registry.register(Box::new(collector));
}

/// There are no `process_*` metrics here: the Prometheus library reads them from `/proc`, which only Linux
/// has.
#[cfg(not(target_os = "linux"))]
fn register_process(_: &Registry) {}
