//! GoTrue's endpoints that the mock does not have.

use axum::http::{Method, StatusCode};
use rstest::rstest;
use serde_json::json;

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

/// The name of an endpoint in the message has the parameters' names.
#[rstest]
#[case::passkeys(Method::PATCH, "/passkeys/1", "/passkeys/{passkey_id}")]
#[case::oauth_server(Method::POST, "/oauth/token", "/oauth/token")]
#[case::oauth_clients(Method::GET, "/admin/oauth/clients/1", "/admin/oauth/clients/{client_id}")]
#[case::saml(Method::POST, "/sso", "/sso")]
#[case::scim(Method::GET, "/scim/v2/Schemas", "/scim/v2/Schemas")]
#[case::custom_providers(
    Method::PUT,
    "/admin/custom-providers/1",
    "/admin/custom-providers/{identifier}"
)]
#[tokio::test]
async fn a_missing_endpoint_is_501_in_the_shape_of_gotrue_and_names_itself_and_the_page(
    #[case] method: Method,
    #[case] path: &str,
    #[case] name: &str,
) {
    let mock = RunningMock::start_default().await;
    let token =
        if path.starts_with("/admin") { mock.admin_token() } else { mock.sign_up().access_token };
    let message = format!(
        "The mock does not have {method} {name}. Its documentation lists such endpoints under \"Not in the mock\": \
         docs/ci.md of logout-gateway."
    );
    let url = format!("/auth/v1{path}");
    let new = mock.send_with_token(method.clone(), &url, &token, None).await;
    assert_eq!((new.status, new.code()), (StatusCode::NOT_IMPLEMENTED, "not_implemented"));
    assert_eq!(new.json(), json!({"code": "not_implemented", "message": message}));
    let bearer = format!("Bearer {token}");
    let old = mock.send(method, &url, &[("authorization", &bearer)], None).await;
    let mut error = old.json();
    // GoTrue gives an error of the server an id.
    assert!(error.as_object_mut().unwrap().remove("error_id").is_some(), "{error}");
    let expected = json!({"code": 501, "error_code": "not_implemented", "msg": message});
    assert_eq!((old.status, error), (StatusCode::NOT_IMPLEMENTED, expected));
}
