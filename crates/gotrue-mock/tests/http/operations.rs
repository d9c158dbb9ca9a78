//! The endpoints on which a fault can act, GoTrue's own codes, and the list of faults.

use axum::http::{Method, StatusCode};
use rstest::rstest;
use serde_json::json;

use crate::harness::RunningMock;

#[rstest]
#[case::sign_up("signup", Method::POST, "/signup")]
#[case::code("otp", Method::POST, "/otp")]
#[case::link("verify", Method::GET, "/verify?token=x&type=signup")]
#[case::recovery("recover", Method::POST, "/recover")]
#[case::settings("settings", Method::GET, "/settings")]
#[case::provider("authorize", Method::GET, "/authorize?provider=google")]
#[case::second_factor("factors_verify", Method::POST, "/factors/1/verify")]
#[case::user("user", Method::GET, "/user/")]
#[case::identity("user_identities", Method::DELETE, "/user/identities/1")]
#[case::administrator("admin_users", Method::GET, "/admin/users/1")]
#[case::link_of_an_administrator("admin_generate_link", Method::POST, "/admin/generate_link")]
#[case::missing_endpoint(
    "passkeys_registration_options",
    Method::POST,
    "/passkeys/registration/options"
)]
#[tokio::test]
async fn a_fault_acts_on_the_endpoint_that_it_names_only(
    #[case] operation: &str,
    #[case] method: Method,
    #[case] path: &str,
) {
    let mock = RunningMock::start_default().await;
    let fault = json!({"operation": operation, "kind": "status", "status": 418, "times": 1});
    mock.post("/mock/faults", fault).await;
    assert_eq!(mock.get("/auth/v1/health").await.status, StatusCode::OK);
    let path = format!("/auth/v1{path}");
    let statuses = [
        mock.send(method.clone(), &path, &[], None).await.status,
        mock.send(method, &path, &[], None).await.status,
    ];
    assert_eq!(statuses.map(|status| status == StatusCode::IM_A_TEAPOT), [true, false]);
}

#[rstest]
#[case::mails("over_email_send_rate_limit", 429, "email rate limit exceeded")]
#[case::texts("over_sms_send_rate_limit", 429, "SMS rate limit exceeded")]
#[case::duplicate("user_already_exists", 422, "User already registered")]
#[case::weak_password("weak_password", 422, "Password should be at least 6 characters.")]
#[tokio::test]
async fn a_code_brings_the_status_and_the_message_of_gotrue(
    #[case] code: &str,
    #[case] status: u16,
    #[case] message: &str,
) {
    let mock = RunningMock::start_default().await;
    mock.post("/mock/faults", json!({"operation": "otp", "kind": "status", "code": code})).await;
    let version = [("x-supabase-api-version", "2024-01-01")];
    let response = mock.send(Method::POST, "/auth/v1/otp", &version, None).await;
    assert_eq!(response.status, status);
    assert_eq!(response.code(), code);
    assert_eq!(response.json(), json!({"code": code, "message": message}));
}

#[tokio::test]
async fn a_status_and_a_message_of_the_fault_go_before_those_of_the_code() {
    let mock = RunningMock::start_default().await;
    mock.post(
        "/mock/faults",
        json!({"operation": "otp", "kind": "status", "status": 400, "code": "user_banned", "message": "Out"}),
    )
    .await;
    let response = mock.post("/auth/v1/otp", json!({})).await;
    assert_eq!(response.status, StatusCode::BAD_REQUEST);
    assert_eq!(response.json(), json!({"code": 400, "error_code": "user_banned", "msg": "Out"}));
}

#[tokio::test]
async fn the_list_of_faults_shows_what_is_left() {
    let mock = RunningMock::start_default().await;
    let lasting = json!({"operation": "otp", "kind": "hang"});
    mock.post("/mock/faults", lasting.clone()).await;
    mock.post("/mock/faults", json!({"operation": "user", "kind": "status", "times": 2})).await;
    mock.get("/auth/v1/user").await;
    let left = json!([lasting, {"operation": "user", "kind": "status", "times": 1}]);
    assert_eq!(mock.get("/mock/faults").await.json(), left);
    mock.get("/auth/v1/user").await;
    assert_eq!(mock.get("/mock/faults").await.json(), json!([lasting]));
}

#[tokio::test]
async fn the_refusal_of_an_unknown_operation_names_the_known_ones() {
    let mock = RunningMock::start_default().await;
    let refused = mock.post("/mock/faults", json!({"operation": "sign_up", "kind": "reset"})).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    for name in ["signup", "admin_users_factors", "jwks"] {
        assert!(refused.body.contains(name), "{}", refused.body);
    }
}

#[rstest]
#[case::a_misspelt_member(json!({"operation": "otp", "kind": "status", "time": 1}), "unknown member time")]
#[case::a_misspelt_code(json!({"operation": "otp", "kind": "status", "code": "over_emial"}), "no code over_emial")]
#[case::a_length(json!({"operation": "otp", "kind": "status", "headers": {"Content-Length": "5"}}), "length")]
#[case::a_location(json!({"operation": "otp", "kind": "redirect", "location": "a\nb"}), "location")]
#[tokio::test]
async fn a_fault_that_would_not_do_what_it_says_is_refused(
    #[case] fault: serde_json::Value,
    #[case] reason: &str,
) {
    let mock = RunningMock::start_default().await;
    let refused = mock.post("/mock/faults", fault).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.body.contains(reason), "{}", refused.body);
    assert_eq!(mock.get("/mock/faults").await.json(), json!([]));
}

#[tokio::test]
async fn a_code_that_gotrue_does_not_have_needs_a_status() {
    let mock = RunningMock::start_default().await;
    let fault = json!({"operation": "otp", "kind": "status", "code": "of_my_proxy", "status": 418});
    assert_eq!(mock.post("/mock/faults", fault).await.status, StatusCode::NO_CONTENT);
    let response = mock.post("/auth/v1/otp", json!({})).await;
    assert_eq!((response.status, response.code()), (StatusCode::IM_A_TEAPOT, "of_my_proxy"));
}
