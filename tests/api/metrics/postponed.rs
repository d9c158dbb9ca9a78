//! Logouts that wait, and what becomes of them.

use serde_json::json;

use super::{
    outcomes::{DELETED, assert_counts, fault, setup},
    samples::{changes, samples},
};
use crate::{harness::eventually, queue::durable};

#[tokio::test]
async fn each_queued_logout_is_counted_by_its_reason() {
    let (app, _directory) = durable(setup()).await;
    for (name, status, times, reason, result) in [
        ("down", 503, 2, "auth_service_unavailable", "unavailable +2"),
        ("slow", 504, 2, "auth_service_timeout", "timeout +2"),
        ("a bug", 500, 1, "auth_service_error", "error"),
        ("limits", 429, 1, "RATE_LIMITED", "rate_limited"),
    ] {
        app.inject_fault(fault(json!({"kind": "status", "status": status}), times));
        let request = app.post("/logout").bearer(&app.sign_up().access_token);
        let (ends, tried) = (format!("queued/{reason}"), format!("logout:{result}"));
        let words = [&*ends, &*tried, DELETED, "revocations", "queue_entries"];
        assert_counts(&app, name, request, 202, &words).await;
    }
}

#[tokio::test]
async fn each_retry_of_a_queued_logout_is_counted_by_its_result() {
    for (result, fails_for, ended, seconds, waiting) in [
        ("revoked", 2, false, 301, 0),
        ("already-ended", 2, true, 301, 0),
        ("failed", 1000, false, 301, 1),
        ("gave-up", 2, false, 4000, 0),
    ] {
        let (app, _directory) = durable(setup()).await;
        let tokens = app.sign_up();
        app.inject_fault(fault(json!({"kind": "status", "status": 503}), fails_for));
        let request = app.post("/logout").bearer(&tokens.access_token);
        assert_eq!(request.send().await.status, 202, "{result}");
        assert!(!ended || app.mock.delete_session(tokens.session_id));
        let before = samples(&app).await;
        app.advance_time(seconds);
        let counted = format!(r#"queue_retries_total{{result="{result}"}}"#);
        eventually(result, async || samples(&app).await[&counted] > 0).await;
        let after = samples(&app).await;
        let others = changes(&before, &after).into_keys();
        let mut others =
            others.filter(|name| name.starts_with("queue_retries") && *name != counted);
        assert_eq!((after[&counted], others.next()), (1, None), "{result}");
        assert_eq!(after["queue_entries"], waiting, "{result}");
    }
}
