//! One metric with all its label sets.

use std::{collections::HashMap, time::Duration};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::PrometheusRecorder;

const PREFIX: &str = "logout_gateway_";
const METADATA: Metadata<'_> = Metadata::new(module_path!(), Level::INFO, None);

/// Counters by the values of `N` labels.
#[derive(Debug)]
pub(super) struct Counters<const N: usize>(HashMap<[&'static str; N], Counter>);

impl<const N: usize> Counters<N> {
    /// One more of these.
    pub(super) fn count(&self, values: [&'static str; N]) {
        if let Some(counter) = self.0.get(&values) {
            counter.increment(1);
        } else {
            unknown(&values);
        }
    }
}

/// No label set of its own: whoever added a word forgot it among the others.
fn unknown(values: &[&str]) {
    tracing::error!(?values, "words that no metric has");
}

/// Histograms of seconds by the value of one label.
#[derive(Debug)]
pub(super) struct Histograms(HashMap<&'static str, Histogram>);

impl Histograms {
    pub(super) fn record(&self, value: &'static str, took: Duration) {
        if let Some(histogram) = self.0.get(value) {
            histogram.record(took.as_secs_f64());
        } else {
            unknown(&[value]);
        }
    }
}

/// Makes metrics known, with what they mean.
pub(super) struct Register<'r>(pub(super) &'r PrometheusRecorder);

impl Register<'_> {
    pub(super) fn counter(&self, name: &str, meaning: &'static str) -> Counter {
        self.0.describe_counter(full(name).into(), None, meaning.into());
        self.0.register_counter(&key(name, Vec::new()), &METADATA)
    }

    pub(super) fn counters<const N: usize>(
        &self,
        name: &str,
        meaning: &'static str,
        labels: [&'static str; N],
        sets: impl IntoIterator<Item = [&'static str; N]>,
    ) -> Counters<N> {
        self.0.describe_counter(full(name).into(), None, meaning.into());
        let counter = |values: [&'static str; N]| {
            let pairs =
                labels.into_iter().zip(values).map(|(label, value)| Label::new(label, value));
            self.0.register_counter(&key(name, pairs.collect()), &METADATA)
        };
        Counters(sets.into_iter().map(|values| (values, counter(values))).collect())
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        meaning: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = &'static str>,
    ) -> Histograms {
        self.0.describe_histogram(full(name).into(), None, meaning.into());
        let histogram = |value| {
            self.0.register_histogram(&key(name, vec![Label::new(label, value)]), &METADATA)
        };
        Histograms(values.into_iter().map(|value| (value, histogram(value))).collect())
    }

    pub(super) fn gauge(
        &self,
        name: &str,
        meaning: &'static str,
        labels: &[(&'static str, &'static str)],
    ) -> Gauge {
        let labels = labels.iter().map(|(label, value)| Label::new(*label, *value)).collect();
        self.0.describe_gauge(full(name).into(), None, meaning.into());
        self.0.register_gauge(&key(name, labels), &METADATA)
    }
}

fn full(name: &str) -> String {
    format!("{PREFIX}{name}")
}

fn key(name: &str, labels: Vec<Label>) -> Key {
    Key::from_parts(full(name), labels)
}
