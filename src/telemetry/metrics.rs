//! What is counted and measured: section 10 of the contract, one method for each event.
//!
//! 1. Labels are words of the program itself, so they have a bounded set of values: no id, no address.
//! 2. Every label set that can be foreseen is at zero from the start, so that a rate over the first failure is
//!    not zero.
//! 3. Counting looks nothing up in the library's registry: the handles are kept here.

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
    gotrue::{Operation as GoTrueOperation, TryResult},
    outcome::{Outcome, Reason, RecordedOutcome, Route},
    store::operation::StoreOperation,
};

/// Contract, section 10: refusals are logged one by one up to this, and beyond it as a number.
const REFUSAL_LINES_EACH_SECOND: u32 = 100;

/// The value of the label `reason` where there is none.
const NO_REASON: &str = "none";
/// The value of the label `result` of a success.
const OK: &str = "ok";
const FAILED: &str = "failed";

const LOGOUTS: &str = "logouts_total";

/// Every counter, histogram and gauge of the process, for all threads.
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
    /// By whether the fetch succeeded.
    jwks_refresh: Counters<bool, 1>,
    store_errors: Counters<StoreOperation, 1>,
    requests_refused: Counters<Reason, 1>,
    gauges: Gauges,
    /// For the status page.
    pub(crate) last_hour: LastHour,
    /// Limits the audit lines of refusals. The counters count those that are left out, too.
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
    /// Queued logouts, and how long the oldest of them has waited. `None` where the store did not answer: then
    /// the gauges keep their last values.
    pub(crate) queued: Option<(usize, Duration)>,
    /// Since the last successful fetch of the key set, or since the start.
    pub(crate) jwks_age: Duration,
    /// Requests that hold a place.
    pub(crate) in_flight: usize,
}

impl Metrics {
    /// All at zero.
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
                "Requests to GoTrue, each try counted.",
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

    /// Counts a logout whose response is ready. Outcome and reason are those of its audit line.
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

    /// Counts a request that a CSRF layer refused.
    pub(crate) fn csrf_refused(&self, reason: Reason) {
        self.csrf_refused.increment(reason);
    }

    /// Counts a response of `verify`: 200, or an error with its reason.
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

    /// Everything in Prometheus' text format, with `now` as the values of the gauges.
    pub(crate) fn exposition(&self, now: Now) -> String {
        self.gauges.set(now);
        let mut families = self.registry.gather();
        for family in &mut families {
            if family.name().ends_with(LOGOUTS) {
                // The library sorts labels by their names. The contract has the route first.
                family
                    .mut_metric()
                    .iter_mut()
                    .for_each(|metric| metric.mut_label().rotate_right(1));
            }
        }
        // Fails for a family without a metric, and `gather` gives none.
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
    // Fails only if it is registered twice.
    let _ = registry.register(Box::new(collector));
}

/// The library reads them from `/proc`, which only Linux has.
#[cfg(not(target_os = "linux"))]
fn register_process(_: &Registry) {}
