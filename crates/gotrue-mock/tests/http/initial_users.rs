//! Users that exist from the start.

use axum::http::StatusCode;
use gotrue_mock::{InitialUsers, Options};
use rstest::rstest;
use serde_json::json;

use crate::harness::{PASSWORD, RunningMock};

#[tokio::test]
async fn initial_users_can_sign_in_also_after_a_reset() {
    let id = "6f2b0d2e-3f3a-4c6e-9a53-0d7c0f1d2a10";
    let users = json!([
        {"id": id, "email": "Ann@example.com", "password": PASSWORD, "user_metadata": {"name": "Ann"},
         "app_metadata": {"plan": "pro"}, "role": "authenticated"},
        {"phone": "+491701234567", "password": PASSWORD},
    ]);
    let users = InitialUsers::from_json(&users.to_string()).unwrap();
    let mock = RunningMock::start(Options { users, ..Options::default() }).await;
    for _ in 0..2 {
        let grant = "/auth/v1/token?grant_type=password";
        let body = json!({"email": "ann@example.com", "password": PASSWORD});
        let ann = mock.post(grant, body).await.json()["user"].clone();
        assert_eq!((&ann["id"], &ann["user_metadata"]["name"]), (&json!(id), &json!("Ann")));
        assert_eq!(
            (&ann["app_metadata"]["plan"], &ann["email_confirmed_at"].is_string()),
            (&json!("pro"), &true)
        );
        let body = json!({"phone": "491701234567", "password": PASSWORD});
        assert_eq!(mock.post(grant, body).await.status, StatusCode::OK);
        mock.post("/mock/reset", json!({})).await;
    }
}

#[rstest]
#[case::no_json("[", "not JSON")]
#[case::no_list("{}", "not a list of users")]
#[case::misspelt(
    r#"[{"email":"a@b.com"},{"email":"c@d.com","pasword":"x"}]"#,
    "user 2: unknown member pasword"
)]
#[case::wrong_type(r#"[{"email":1}]"#, "user 1: invalid type")]
#[case::no_user(r#"["a@b.com"]"#, "user 1: invalid type")]
fn a_list_that_cannot_be_read_is_refused(#[case] json: &str, #[case] message: &str) {
    let error = InitialUsers::from_json(json).unwrap_err().to_string();
    assert!(error.starts_with(message), "{error}");
}

#[rstest]
#[case::twice(json!([{"email": "a@b.com"}, {"email": "A@b.com"}]), "user 2: A user with this email address")]
#[case::without_an_address(json!([{"password": PASSWORD}]), "user 1: Cannot create a user without either an email or phone")]
#[case::no_address(json!([{"email": "ann"}]), "user 1: Unable to validate email address")]
fn a_user_whom_gotrue_would_refuse_stops_the_start(
    #[case] users: serde_json::Value,
    #[case] message: &str,
) {
    let users = InitialUsers::from_json(&users.to_string()).unwrap();
    let options = Options { users, ..Options::default() };
    let address = ([127, 0, 0, 1], 9999).into();
    let error = gotrue_mock::Mock::new(options, address, || std::time::UNIX_EPOCH).unwrap_err();
    assert!(error.to_string().starts_with(message), "{error}");
}
