//! The metrics must count queued logouts and the retries of queued logouts.

use serde_json::json;

use super::{
    outcomes::{DELETED, assert_metric_changes, fault, setup_with_admin},
    samples::{changes, samples},
};
use crate::{harness::eventually, queue::start_with_file_store};

#[tokio::test]
async fn each_queued_logout_is_counted_by_its_reason() {
    let (app, _directory) = start_with_file_store(setup_with_admin()).await;
    for (name, status, times, reason, result) in [
        ("503", 503, 2, "auth_service_unavailable", "unavailable +2"),
        ("504", 504, 2, "auth_service_timeout", "timeout +2"),
        ("500", 500, 1, "auth_service_error", "error"),
        ("429", 429, 1, "RATE_LIMITED", "rate_limited"),
    ] {
        app.inject_fault(fault(json!({"kind": "status", "status": status}), times));
        let request = app.post("/logout").bearer(&app.sign_up().access_token);
        let (logout, gotrue_request) = (format!("queued/{reason}"), format!("logout:{result}"));
        let metrics = [&*logout, &*gotrue_request, DELETED, "revocations", "queue_entries"];
        assert_metric_changes(&app, name, request, 202, &metrics).await;
    }
}

#[tokio::test]
async fn each_retry_of_a_queued_logout_is_counted_by_its_result() {
    for (result, failing_tries, session_ended, seconds, queued) in [
        ("revoked", 2, false, 301, 0),
        ("already-ended", 2, true, 301, 0),
        ("failed", 1000, false, 301, 1),
        ("gave-up", 2, false, 4000, 0),
    ] {
        let (app, _directory) = start_with_file_store(setup_with_admin()).await;
        let tokens = app.sign_up();
        app.inject_fault(fault(json!({"kind": "status", "status": 503}), failing_tries));
        let request = app.post("/logout").bearer(&tokens.access_token);
        assert_eq!(request.send().await.status, 202, "{result}");
        assert!(!session_ended || app.mock.delete_session(tokens.session_id));
        let before = samples(&app).await;
        app.advance_time(seconds);
        let counter = format!(r#"queue_retries_total{{result="{result}"}}"#);
        eventually(result, async || samples(&app).await[&counter] > 0).await;
        let after = samples(&app).await;
        let other_results = changes(&before, &after).into_keys();
        let mut other_results =
            other_results.filter(|name| name.starts_with("queue_retries") && *name != counter);
        assert_eq!((after[&counter], other_results.next()), (1, None), "{result}");
        assert_eq!(after["queue_entries"], queued, "{result}");
    }
}
