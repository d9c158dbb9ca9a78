//! GoTrue's endpoints that the mock does not have.

use axum::http::{Method, StatusCode};
use rstest::rstest;

use crate::harness::RunningMock;

#[rstest]
#[case::status(Method::GET, "/factors/recovery-codes")]
#[case::generation(Method::POST, "/factors/recovery-codes")]
#[case::removal(Method::DELETE, "/factors/recovery-codes")]
#[case::verification(Method::POST, "/factors/recovery-codes/verify")]
#[case::regeneration(Method::POST, "/factors/recovery-codes/regenerate")]
#[tokio::test]
async fn recovery_codes_are_not_taken_for_a_factor(#[case] method: Method, #[case] path: &str) {
    let mock = RunningMock::start_default().await;
    let token = mock.sign_up().access_token;
    let url = format!("/auth/v1{path}");
    let refused = mock.send(method.clone(), &url, &[], None).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let missing = mock.send_with_token(method.clone(), &url, &token, None).await;
    assert_eq!(missing.status, StatusCode::NOT_IMPLEMENTED);
    assert_eq!(missing.code(), "not_implemented");
    assert!(missing.body.contains(&format!("{method} {path}. ")), "{}", missing.body);
}
