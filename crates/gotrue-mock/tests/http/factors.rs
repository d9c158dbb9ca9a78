//! Second factors in the GoTrue mock: limits, and what a factor without a name or an address is.

#![expect(clippy::unwrap_used, reason = "a helper that panics makes its test fail, as it should")]

use std::time::Duration;

use axum::http::{Method, StatusCode};
use gotrue_mock::{Settings, Tokens};
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{MockResponse, PASSWORD, RunningMock};

async fn send(mock: &RunningMock, session: &Tokens, path: &str, body: Value) -> MockResponse {
    let path = format!("/auth/v1/factors{path}");
    mock.send_with_token(Method::POST, &path, &session.access_token, Some(body)).await
}

async fn enrol(mock: &RunningMock, session: &Tokens, body: Value) -> String {
    let enrolled = send(mock, session, "", body).await;
    assert_eq!(enrolled.status, StatusCode::OK, "{}", enrolled.body);
    enrolled.json()["id"].as_str().unwrap().to_owned()
}

#[rstest]
#[case::challenges("challenge", json!({}))]
#[case::verifications("verify", json!({"code": "000000"}))]
#[tokio::test]
async fn a_client_has_a_burst_of_30_and_15_a_minute(#[case] action: &str, #[case] body: Value) {
    let header = Some("x-client".to_owned());
    let mock =
        RunningMock::start_with(Settings { rate_limit_header: header, ..Settings::default() })
            .await;
    let session = mock.sign_up();
    let id = enrol(&mock, &session, json!({"factor_type": "totp"})).await;
    let path = format!("/auth/v1/factors/{id}/{action}");
    let authorization = format!("Bearer {}", session.access_token);
    let limited = async |client: &str| {
        let headers = [("authorization", authorization.as_str()), ("x-client", client)];
        let response = mock.send(Method::POST, &path, &headers, Some(body.to_string())).await;
        response.code() == "over_request_rate_limit"
    };
    for _ in 0..30 {
        assert!(!limited("one").await);
    }
    assert!(limited("one").await);
    assert!(!limited("two").await, "each client has its own limit");
    mock.advance_time(Duration::from_secs(4));
    assert!(!limited("one").await);
    assert!(limited("one").await);
    // GoTrue forgets a client a minute after its first request.
    mock.advance_time(Duration::from_secs(56));
    for _ in 0..30 {
        assert!(!limited("one").await);
    }
}

#[tokio::test]
async fn a_factor_gets_one_text_message_in_the_interval() {
    let interval = Duration::from_mins(1);
    let mock =
        RunningMock::start_with(Settings { factor_text_interval: interval, ..Settings::default() })
            .await;
    let session = mock.sign_up();
    let body = json!({"factor_type": "phone", "phone": "+491701234567"});
    let path = format!("/{}/challenge", enrol(&mock, &session, body).await);
    let challenge = async || send(&mock, &session, &path, json!({})).await;
    assert_eq!(challenge().await.status, StatusCode::OK);
    let refused = challenge().await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.code(), "over_sms_send_rate_limit");
    assert_eq!(mock.mock.mails().len(), 1);
    mock.advance_time(interval);
    assert_eq!(challenge().await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_authenticator_needs_an_address_for_its_picture() {
    let mock = RunningMock::start_default().await;
    let body = json!({"phone": "+491701234567", "password": PASSWORD});
    let token = mock.post("/auth/v1/signup", body).await.json()["access_token"].clone();
    let enrolment = Some(json!({"factor_type": "totp"}));
    let path = "/auth/v1/factors";
    let failed = mock.send_with_token(Method::POST, path, token.as_str().unwrap(), enrolment).await;
    assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(failed.json()["message"], "Error generating QR Code");
}

#[tokio::test]
async fn a_factor_without_a_name_has_no_member_for_it_and_goes_with_a_soft_deletion() {
    let mock = RunningMock::start_default().await;
    let session = mock.sign_up();
    enrol(&mock, &session, json!({"factor_type": "totp"})).await;
    let named = json!({"factor_type": "totp", "friendly_name": "phone"});
    enrol(&mock, &session, named).await;
    let admin = mock.admin_token();
    let path = format!("/auth/v1/admin/users/{}", session.user_id);
    let factors = async || {
        let path = format!("{path}/factors");
        mock.send_with_token(Method::GET, &path, &admin, None).await.json()
    };
    let listed = factors().await;
    assert_eq!(listed[0].get("friendly_name"), None);
    assert_eq!(listed[1]["friendly_name"], "phone");
    let soft = Some(json!({"should_soft_delete": true}));
    mock.send_with_token(Method::DELETE, &path, &admin, soft).await;
    assert_eq!(factors().await, json!([]));
}
