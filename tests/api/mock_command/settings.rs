//! The flags for the settings of GoTrue, by their effect. The unit tests of the flags compare every one with its
//! setting.

use rstest::rstest;
use serde_json::{Value, json};

use super::running_project::RunningProject;

const PASSWORD: &str = "secret-password-1";

async fn post(project: &RunningProject, path: &str, body: Value) -> (u16, Value) {
    let reply = project.request("POST", path).body(body.to_string()).send().await;
    (reply.status, if reply.text().is_empty() { Value::Null } else { reply.json() })
}

async fn sign_up(project: &RunningProject, email: &str) -> (u16, Value) {
    let body = json!({"email": email, "password": PASSWORD});
    post(project, "/auth/v1/signup", body).await
}

#[tokio::test]
async fn a_sign_up_without_autoconfirm_brings_no_session_before_it_is_confirmed() {
    let project = RunningProject::start(&["--no-autoconfirm"]);
    let (status, user) = sign_up(&project, "ada@example.com").await;
    assert_eq!((status, user.get("access_token")), (200, None));
    let (status, error) = post(
        &project,
        "/auth/v1/token?grant_type=password",
        json!({"email": "ada@example.com", "password": PASSWORD}),
    )
    .await;
    assert_eq!((status, &error["error_code"]), (400, &json!("email_not_confirmed")));
}

#[rstest]
#[case::the_timebox("--timebox", "Session Expired")]
#[case::inactivity("--inactivity-timeout", "Session Expired (Inactivity)")]
#[tokio::test]
async fn a_refresh_after_the_limit_of_the_session_is_refused(
    #[case] flag: &str,
    #[case] message: &str,
) {
    let project = RunningProject::start(&[flag, "5s"]);
    let (_, session) = sign_up(&project, "ada@example.com").await;
    let refresh = async |session: &Value| {
        let body = json!({"refresh_token": session["refresh_token"]});
        post(&project, "/auth/v1/token?grant_type=refresh_token", body).await
    };
    let (status, session) = refresh(&session).await;
    assert_eq!(status, 200);
    post(&project, "/mock/clock", json!({"advance": "6s"})).await;
    let (status, error) = refresh(&session).await;
    assert_eq!((status, &error["error_code"]), (400, &json!("session_expired")));
    assert_eq!(error["msg"], format!("Invalid Refresh Token: {message}"));
}

#[tokio::test]
async fn a_sign_up_is_refused_as_the_flags_say() {
    let project = RunningProject::start(&["--no-signup"]);
    assert_eq!(sign_up(&project, "ada@example.com").await.1["error_code"], "signup_disabled");
    let project = RunningProject::start(&["--password-requirements", "lower_upper_letters_digits"]);
    assert_eq!(sign_up(&project, "ada@example.com").await.1["error_code"], "weak_password");
}
