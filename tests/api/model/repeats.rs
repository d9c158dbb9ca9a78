//! One account that asks for the same again and again while GoTrue fails.

use serde_json::{Value, json};

use crate::harness::{Setup, Stage, eventually};

/// Lines of one user in the failure log.
const FAILURES_OF_USER: usize = 100;

async fn stage() -> Stage {
    let stage = Setup::new().flag("admin-bind", "127.0.0.1:0").start().await;
    stage.fault(json!({"operation": "logout", "kind": "status", "status": 500}));
    stage
}

async fn failures(stage: &Stage, user: uuid::Uuid) -> usize {
    let report = stage.report("/failures").await;
    let lines: &Vec<Value> = report["failures"].as_array().unwrap();
    lines.iter().filter(|line| line["user_id"] == json!(user)).count()
}

#[tokio::test]
async fn a_stolen_session_that_repeats_an_unconfirmed_logout_refuses_no_later_sign_in() {
    for scope in ["others", "global"] {
        let stage = stage().await;
        let stolen = stage.sign_up();
        let before = stage.sign_in_again(&stolen);
        let repeat = async || {
            let target = format!("/api/auth/logout?scope={scope}");
            stage.post(&target).bearer(&stolen.access_token).send().await.status
        };
        assert_eq!(repeat().await, 500);
        assert_eq!(stage.verify(&before).await, 401, "{scope}: the first one counts");
        stage.pass(5);
        let owner = stage.sign_in_again(&stolen);
        for _ in 0..3 {
            stage.pass(5);
            assert_eq!(repeat().await, 500);
            assert_eq!(stage.verify(&owner).await, 200, "{scope}: a repeat moved the cut-off");
        }
    }
}

#[tokio::test]
async fn one_account_pushes_no_failure_of_another_out_of_the_log() {
    let stage = stage().await;
    let (one, other) = (stage.sign_up(), stage.sign_up());
    let log_out = async |token: &str| stage.post("/logout").bearer(token).send().await.status;
    assert_eq!(log_out(&other.access_token).await, 500);
    for _ in 0..FAILURES_OF_USER + 50 {
        assert_eq!(log_out(&one.access_token).await, 500);
    }
    let last = stage.sign_up();
    assert_eq!(log_out(&last.access_token).await, 500);
    eventually("the last one is written", async || failures(&stage, last.user_id).await == 1).await;
    assert_eq!(failures(&stage, one.user_id).await, FAILURES_OF_USER);
    assert_eq!(failures(&stage, other.user_id).await, 1);
}
