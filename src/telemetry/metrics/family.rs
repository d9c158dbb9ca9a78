//! Counters and histograms that keep a handle for each label set, and their registration with the Prometheus
//! library.

use std::{collections::HashMap, hash::Hash, time::Duration};

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    core::Collector,
};

/// Every metric's name begins with this word and `_`.
const NAMESPACE: &str = "logout_gateway";

/// The upper bounds of the histograms' buckets, in seconds. A revocation usually takes some milliseconds, and
/// by default at most five seconds (`GATEWAY_UPSTREAM_TIMEOUT`).
const BUCKETS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// One counter for each set of values of `N` labels.
#[derive(Debug)]
pub(super) struct Counters<L, const N: usize> {
    family: IntCounterVec,
    values: fn(L) -> [&'static str; N],
    /// The handles of the label sets that are exposed from the start.
    handles: HashMap<L, IntCounter>,
}

impl<L: Copy + Eq + Hash, const N: usize> Counters<L, N> {
    /// Adds one to the counter of `labels`. If there is no handle for `labels`, the counter is looked up in
    /// `family`, which takes a lock.
    pub(super) fn increment(&self, labels: L) {
        if let Some(counter) = self.handles.get(&labels) {
            counter.inc();
        } else {
            self.family.with_label_values(&(self.values)(labels)).inc();
        }
    }
}

/// One histogram of durations in seconds for each value of a label.
#[derive(Debug)]
pub(super) struct Histograms<L>(HashMap<L, Histogram>);

impl<L: Copy + Eq + Hash> Histograms<L> {
    pub(super) fn observe(&self, label: L, took: Duration) {
        if let Some(histogram) = self.0.get(&label) {
            histogram.observe(took.as_secs_f64());
        }
    }
}

/// Creates metrics and registers them. Names and labels are constants, so registration cannot fail at run
/// time without failing in every test that starts a gateway.
pub(super) struct Register<'r>(pub(super) &'r Registry);

impl Register<'_> {
    pub(super) fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.registered(IntCounter::with_opts(options(name, help)))
    }

    pub(super) fn counters<L: Copy + Eq + Hash, const N: usize>(
        &self,
        name: &str,
        help: &str,
        names: [&str; N],
        values: fn(L) -> [&'static str; N],
        initial: impl IntoIterator<Item = L>,
    ) -> Counters<L, N> {
        let family = self.registered(IntCounterVec::new(options(name, help), &names));
        let handle = |labels| (labels, family.with_label_values(&values(labels)));
        let handles = initial.into_iter().map(handle).collect();
        Counters { family, values, handles }
    }

    /// Registers a histogram for each value of the label.
    pub(super) fn histograms<L: Copy + Eq + Hash>(
        &self,
        name: &str,
        help: &str,
        label: &str,
        value: fn(L) -> &'static str,
        all: &[L],
    ) -> Histograms<L> {
        let options = HistogramOpts::new(name, help).namespace(NAMESPACE).buckets(BUCKETS.to_vec());
        let family = self.registered(HistogramVec::new(options, &[label]));
        let handle = |label: &L| (*label, family.with_label_values(&[value(*label)]));
        Histograms(all.iter().map(handle).collect())
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.registered(Gauge::with_opts(options(name, help)))
    }

    /// Registers a gauge that is always 1 and carries information in its label, such as the version.
    pub(super) fn info(&self, name: &str, label: &str, value: &str) {
        let options = options(name, "Always 1.").const_label(label, value);
        self.registered(Gauge::with_opts(options)).set(1.0);
    }

    fn registered<C: Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        let metric = metric.expect("the name and the labels are valid");
        self.0.register(Box::new(metric.clone())).expect("no other metric has the name");
        metric
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace(NAMESPACE)
}
