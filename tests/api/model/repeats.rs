//! One user repeats a logout many times while GoTrue fails.

use serde_json::{Value, json};

use crate::harness::{Setup, TestApp, eventually};

/// The most failures of one user that the failure log may have.
const FAILURES_OF_USER: usize = 100;

async fn start_app() -> TestApp {
    let app = Setup::new().flag("admin-bind", "127.0.0.1:0").start().await;
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500}));
    app
}

async fn failures(app: &TestApp, user: uuid::Uuid) -> usize {
    let report = app.admin_json("/failures").await;
    let lines: &Vec<Value> = report["failures"].as_array().unwrap();
    lines.iter().filter(|line| line["user_id"] == json!(user)).count()
}

#[tokio::test]
async fn repeated_unconfirmed_logouts_by_a_stolen_session_revoke_no_later_sign_in() {
    for scope in ["others", "global"] {
        let app = start_app().await;
        let stolen = app.sign_up();
        let before = app.sign_in_again(&stolen);
        let repeat = async || {
            let target = format!("/api/auth/logout?scope={scope}");
            app.post(&target).bearer(&stolen.access_token).send().await.status
        };
        assert_eq!(repeat().await, 500);
        assert_eq!(app.verify(&before).await, 401, "{scope}: the first one counts");
        app.advance_time(5);
        let owner = app.sign_in_again(&stolen);
        for _ in 0..3 {
            app.advance_time(5);
            assert_eq!(repeat().await, 500);
            assert_eq!(app.verify(&owner).await, 200, "{scope}: a repeat moved the cut-off");
        }
    }
}

#[tokio::test]
async fn one_user_cannot_remove_failures_of_others_from_the_failure_log() {
    let app = start_app().await;
    let (one, other) = (app.sign_up(), app.sign_up());
    let log_out = async |token: &str| app.post("/logout").bearer(token).send().await.status;
    assert_eq!(log_out(&other.access_token).await, 500);
    for _ in 0..FAILURES_OF_USER + 50 {
        assert_eq!(log_out(&one.access_token).await, 500);
    }
    let last = app.sign_up();
    assert_eq!(log_out(&last.access_token).await, 500);
    eventually("the last one is written", async || failures(&app, last.user_id).await == 1).await;
    assert_eq!(failures(&app, one.user_id).await, FAILURES_OF_USER);
    assert_eq!(failures(&app, other.user_id).await, 1);
}
