//! The metrics of durations: their histograms must count each logout in the right buckets.

use serde_json::json;

use super::{
    outcomes::{fault, setup_with_admin},
    samples::exposition,
};

#[tokio::test]
async fn a_duration_is_counted_in_its_bucket_in_seconds() {
    let app = setup_with_admin().start().await;
    let bounds = [
        "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5",
        "10", "+Inf",
    ];
    let families = [
        ("logout_duration_seconds", r#"route="/logout""#),
        ("gotrue_request_duration_seconds", r#"operation="logout""#),
    ];
    let buckets = |name: &str, label: &str, exposed: &str| -> Vec<(String, u64)> {
        let line = format!("logout_gateway_{name}_bucket{{{label},le=\"");
        let lines = exposed.lines().filter_map(|sample| sample.strip_prefix(&line));
        let parts = lines.map(|rest| rest.split_once("\"} ").unwrap());
        parts.map(|(bound, count)| (bound.to_owned(), count.parse().unwrap())).collect()
    };
    app.inject_fault(fault(json!({"kind": "delay", "seconds": 0.06}), 1));
    app.post("/logout").bearer(&app.sign_up().access_token).send().await;
    let exposed = exposition(&app).await;
    for (name, label) in families {
        let buckets = buckets(name, label, &exposed);
        assert!(buckets.iter().map(|(bound, _)| bound.as_str()).eq(bounds), "{buckets:?}");
        for (bound, count) in &buckets {
            // Check only buckets far from 60 ms, because a busy machine makes the logout slower (but never
            // faster).
            let bound: f64 = bound.parse().unwrap();
            assert!((bound > 0.05 || *count == 0) && (bound < 10.0 || *count == 1), "{buckets:?}");
        }
        let sum = format!("logout_gateway_{name}_sum{{{label}}} ");
        let sum = exposed.lines().find_map(|line| line.strip_prefix(&sum)).unwrap();
        assert!((0.06..10.0).contains(&sum.parse::<f64>().unwrap()), "{sum}");
    }
}
