//! One metric with all its label sets.

use std::{collections::HashMap, hash::Hash, time::Duration};

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    core::Collector,
};

/// Every name begins with this and `_`.
const NAMESPACE: &str = "logout_gateway";

/// Seconds. A revocation takes some milliseconds, its budget is five seconds.
const BUCKETS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counters by the values of `N` labels.
#[derive(Debug)]
pub(super) struct Counters<L, const N: usize> {
    family: IntCounterVec,
    values: fn(L) -> [&'static str; N],
    /// The counters that are at zero from the start.
    handles: HashMap<L, IntCounter>,
}

impl<L: Copy + Eq + Hash, const N: usize> Counters<L, N> {
    /// Adds one. A label set without a handle gets its counter from the family, which takes a lock.
    pub(super) fn increment(&self, labels: L) {
        if let Some(counter) = self.handles.get(&labels) {
            counter.inc();
        } else {
            self.family.with_label_values(&(self.values)(labels)).inc();
        }
    }
}

/// Histograms of seconds by the value of one label.
#[derive(Debug)]
pub(super) struct Histograms<L>(HashMap<L, Histogram>);

impl<L: Copy + Eq + Hash> Histograms<L> {
    pub(super) fn observe(&self, label: L, took: Duration) {
        if let Some(histogram) = self.0.get(&label) {
            histogram.observe(took.as_secs_f64());
        }
    }
}

/// Makes metrics and registers them. Names and labels are constants of the program, so the library refuses none
/// of them; a test that reads `/metrics` would not even start.
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
        from_start: impl IntoIterator<Item = L>,
    ) -> Counters<L, N> {
        let family = self.registered(IntCounterVec::new(options(name, help), &names));
        let handle = |labels| (labels, family.with_label_values(&values(labels)));
        let handles = from_start.into_iter().map(handle).collect();
        Counters { family, values, handles }
    }

    /// One histogram for each value of the label.
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

    /// Always 1, for what its label says.
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
