//! What is counted and measured: section 10 of the contract, one method for each thing that happens.
//!
//! 1. Labels have a bounded set of values, words of the program itself; no id, no address.
//! 2. Every label set that can be foreseen stands at zero from the start, so that a rate over the first
//!    failure is not zero.
//! 3. Counting takes no lock and no look-up in the library's registry: the handles are kept here.

mod family;
mod labels;
pub mod last_hour;

use std::time::Duration;

use metrics::{Counter, Gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use self::{
    family::{Counters, Histograms, Register},
    last_hour::LastHour,
};
use super::line_limit::LineLimit;

/// Seconds. A revocation takes some milliseconds, its budget is five seconds.
const BUCKETS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Contract, section 10: refusals are logged one by one up to this, and beyond it as a number.
const REFUSAL_LINES_EACH_SECOND: u32 = 100;

/// Everything that is counted, for all threads.
#[derive(Debug)]
pub struct Metrics {
    exposition: PrometheusHandle,
    logouts: Counters<3>,
    logout_duration: Histograms,
    gotrue_requests: Counters<2>,
    gotrue_duration: Histograms,
    csrf_refused: Counters<1>,
    cookies_deleted: Counter,
    verify: Counters<1>,
    queue_retries: Counters<1>,
    jwks_refresh: Counters<1>,
    store_errors: Counters<1>,
    requests_refused: Counters<1>,
    gauges: Gauges,
    /// For the status page.
    pub last_hour: LastHour,
    /// Which audit lines of refusals are written; those that are not are counted here.
    pub refusal_lines: LineLimit,
}

#[derive(Debug)]
struct Gauges {
    revocations: Gauge,
    queue_entries: Gauge,
    queue_oldest_seconds: Gauge,
    jwks_age_seconds: Gauge,
    requests_in_flight: Gauge,
}

/// What is looked up when somebody asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Lines of the revocation list.
    pub revocations: usize,
    /// Postponed logouts, and how long the oldest of them has waited; unless the store cannot tell.
    pub queued: Option<(usize, Duration)>,
    /// Since the last good fetch of the key set, or since the start.
    pub jwks_age: Duration,
    /// Requests that hold a place.
    pub in_flight: usize,
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        let buckets = Matcher::Suffix("_duration_seconds".to_owned());
        let builder = PrometheusBuilder::new();
        // Fails for an empty list alone.
        let builder = builder.set_buckets_for_metric(buckets, &BUCKETS).unwrap_or_default();
        let recorder = builder.build_recorder();
        let register = Register(&recorder);
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        register.gauge("build_info", "Always 1.", &version).set(1.0);
        Self {
            exposition: recorder.handle(),
            logouts: register.counters(
                "logouts_total",
                "Logouts that were asked for, by what became of them.",
                ["route", "outcome", "reason"],
                labels::logouts(),
            ),
            logout_duration: register.histograms(
                "logout_duration_seconds",
                "From the head of a request to its answer.",
                "route",
                labels::ROUTES,
            ),
            gotrue_requests: register.counters(
                "gotrue_requests_total",
                "Tries of requests to GoTrue.",
                ["operation", "result"],
                labels::gotrue_requests(),
            ),
            gotrue_duration: register.histograms(
                "gotrue_request_duration_seconds",
                "How long GoTrue took for a try.",
                "operation",
                labels::OPERATIONS,
            ),
            csrf_refused: register.counters(
                "csrf_refused_total",
                "Requests that were refused for want of a CSRF token or for where they came from.",
                ["reason"],
                labels::CSRF.map(|word| [word]),
            ),
            cookies_deleted: register
                .counter("cookies_deleted_total", "Set-Cookie lines that delete."),
            verify: register.counters(
                "verify_total",
                "Answers of /api/auth/verify.",
                ["result"],
                labels::VERIFY.map(|word| [word]),
            ),
            queue_retries: register.counters(
                "queue_retries_total",
                "Tries of postponed logouts.",
                ["result"],
                labels::RETRIES.map(|word| [word]),
            ),
            jwks_refresh: register.counters(
                "jwks_refresh_total",
                "Fetches of the key set.",
                ["result"],
                labels::FETCHES.map(|word| [word]),
            ),
            store_errors: register.counters(
                "store_errors_total",
                "What the store could not do.",
                ["operation"],
                labels::STORE.map(|word| [word]),
            ),
            requests_refused: register.counters(
                "requests_refused_total",
                "Requests that were refused before anybody asked who is calling.",
                ["reason"],
                labels::REFUSED.map(|word| [word]),
            ),
            gauges: Gauges {
                revocations: register.gauge("revocations", "Lines of the revocation list.", &[]),
                queue_entries: register.gauge("queue_entries", "Postponed logouts.", &[]),
                queue_oldest_seconds: register.gauge(
                    "queue_oldest_seconds",
                    "How long the oldest postponed logout has waited.",
                    &[],
                ),
                jwks_age_seconds: register.gauge(
                    "jwks_age_seconds",
                    "Since the last good fetch of the key set, or since the start.",
                    &[],
                ),
                requests_in_flight: register.gauge(
                    "requests_in_flight",
                    "Requests that count towards GATEWAY_MAX_IN_FLIGHT.",
                    &[],
                ),
            },
            last_hour: LastHour::new(),
            refusal_lines: LineLimit::new(REFUSAL_LINES_EACH_SECOND),
        }
    }

    /// A logout was answered; the words are those of its audit line.
    pub fn logout(
        &self,
        route: &'static str,
        (outcome, reason): (&'static str, Option<&'static str>),
        took: Duration,
        cookies_deleted: usize,
    ) {
        self.logouts.count([route, outcome, reason.unwrap_or(labels::NO_REASON)]);
        self.last_hour.count(outcome);
        self.logout_duration.record(route, took);
        self.cookies_deleted.increment(cookies_deleted as u64);
    }

    /// GoTrue was asked once.
    pub fn gotrue_try(&self, operation: &'static str, result: &'static str, took: Duration) {
        self.gotrue_requests.count([operation, result]);
        self.gotrue_duration.record(operation, took);
    }

    /// A request was refused by one of the CSRF layers.
    pub fn csrf_refused(&self, reason: &'static str) {
        self.csrf_refused.count([reason]);
    }

    /// `verify` answered.
    pub fn verified(&self, result: &'static str) {
        self.verify.count([result]);
    }

    /// A postponed logout was tried again.
    pub fn retried(&self, result: &'static str) {
        self.queue_retries.count([result]);
    }

    /// The key set was fetched, or was not.
    pub fn jwks_refreshed(&self, well: bool) {
        self.jwks_refresh.count([if well { "ok" } else { "failed" }]);
    }

    /// The store did not do what it was asked.
    pub fn store_failed(&self, operation: &'static str) {
        self.store_errors.count([operation]);
    }

    /// A request was refused before anybody asked who is calling.
    pub fn refused(&self, reason: &'static str) {
        self.requests_refused.count([reason]);
    }

    /// In Prometheus' text format.
    #[must_use]
    pub fn exposition(&self, now: Now) -> String {
        let Gauges {
            revocations,
            queue_entries,
            queue_oldest_seconds,
            jwks_age_seconds,
            requests_in_flight,
        } = &self.gauges;
        let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        revocations.set(count(now.revocations));
        if let Some((entries, oldest)) = now.queued {
            queue_entries.set(count(entries));
            queue_oldest_seconds.set(oldest.as_secs_f64());
        }
        jwks_age_seconds.set(now.jwks_age.as_secs_f64());
        requests_in_flight.set(count(now.in_flight));
        self.exposition.render()
    }

    /// Takes what was measured into the histograms; the library does it when it is asked, and else
    /// would keep every single value.
    pub fn condense(&self) {
        self.exposition.run_upkeep();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
