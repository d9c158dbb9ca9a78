//! Reads the metrics from `/metrics`, and compares two scrapes.

#![expect(clippy::unwrap_used, reason = "a helper that panics makes its test fail, as it should")]

use std::collections::BTreeMap;

use crate::harness::{Request, TestApp};

/// The values of the metrics by name and labels, without fractions. Only sums of durations have fractions,
/// and no test compares them.
pub(super) type Samples = BTreeMap<String, i64>;

/// The text that `/metrics` returns.
pub(super) async fn exposition(app: &TestApp) -> String {
    let reply = Request::new(app.admin_address.unwrap(), "GET", "/metrics").send().await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    reply.text()
}

/// Every sample of the gateway's metrics, by name and labels, without the prefix `logout_gateway_`.
pub(super) async fn samples(app: &TestApp) -> Samples {
    let text = exposition(app).await;
    let is_sample =
        |line: &&str| !line.is_empty() && !line.starts_with('#') && !line.starts_with("process_");
    let lines = text.lines().filter(is_sample);
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let name = name.strip_prefix("logout_gateway_").expect("the prefix");
        #[expect(clippy::cast_possible_truncation, reason = "counts are whole and small")]
        let value = value.parse::<f64>().unwrap() as i64;
        (name.to_owned(), value)
    };
    lines.map(sample).collect()
}

/// The samples that differ between two scrapes, each with the difference. Durations, and requests that the
/// gateway sends on its own, are left out.
pub(super) fn changes(before: &Samples, after: &Samples) -> BTreeMap<String, i64> {
    assert!(before.keys().eq(after.keys()), "no sample comes or goes");
    let is_left_out = |name: &str| {
        name.contains("_seconds_bucket")
            || name.contains("_seconds_sum")
            || name.ends_with("_seconds")
            || name.contains("jwks")
            || name.contains("health")
            || name.contains("openid_configuration")
    };
    let change = |(name, value): (&String, &i64)| (name.clone(), value - before[name]);
    after
        .iter()
        .filter(|(name, _)| !is_left_out(name))
        .map(change)
        .filter(|(_, difference)| *difference != 0)
        .collect()
}

/// Parses expected changes: a name stands for a change by one, and ` +` with a number after the name for a
/// change by that number.
pub(super) fn expected_changes(names: &[&str]) -> BTreeMap<String, i64> {
    let change = |name: &&str| match name.rsplit_once(" +") {
        Some((name, difference)) => (name.to_owned(), difference.parse().unwrap()),
        None => ((*name).to_owned(), 1),
    };
    names.iter().map(change).collect()
}
