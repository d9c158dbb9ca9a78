//! Codes by mail and text message in the GoTrue mock: which type takes them, how long they are valid, and where their
//! links lead to.

#![expect(clippy::unwrap_used, reason = "a helper that panics makes its test fail, as it should")]

use std::time::Duration;

use axum::http::StatusCode;
use gotrue_mock::Settings;
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{MockResponse, PASSWORD, RunningMock};

const EMAIL: &str = "ann@example.com";
const PHONE: &str = "491701234567";

async fn start(settings: Settings) -> RunningMock {
    let settings = Settings { confirms_emails: false, confirms_phones: false, ..settings };
    RunningMock::start_with(settings).await
}

/// The code that a request for one sends.
async fn code(mock: &RunningMock, address: Value) -> String {
    let sent = mock.post("/auth/v1/otp", address).await;
    assert_eq!(sent.status, StatusCode::OK, "{}", sent.body);
    mock.mock.mails().pop().unwrap().token
}

async fn verify(mock: &RunningMock, address: &Value, kind: &str, token: &str) -> MockResponse {
    let mut body = json!({"type": kind, "token": token});
    body.as_object_mut().unwrap().extend(address.as_object().unwrap().clone());
    mock.post("/auth/v1/verify", body).await
}

#[rstest]
#[case::of_a_text(json!({"phone": PHONE}), &["signup", "email", "magiclink"], "sms")]
#[case::of_a_mail(json!({"email": EMAIL}), &["sms", "phone_change"], "signup")]
#[tokio::test]
async fn a_code_with_the_type_of_the_other_address_is_refused(
    #[case] address: Value,
    #[case] wrong: &[&str],
    #[case] right: &str,
) {
    let mock = start(Settings::default()).await;
    let token = code(&mock, address.clone()).await;
    for kind in wrong {
        let refused = verify(&mock, &address, kind, &token).await;
        assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "otp_expired"));
    }
    assert_eq!(verify(&mock, &address, right, &token).await.status, StatusCode::OK);
}

#[rstest]
#[case::of_a_text(json!({"phone": PHONE}), "sms", 60)]
#[case::of_a_mail(json!({"email": EMAIL}), "signup", 3600)]
#[tokio::test]
async fn a_code_has_the_lifetime_of_its_kind_of_message(
    #[case] address: Value,
    #[case] kind: &str,
    #[case] seconds: u64,
) {
    let mock = start(Settings::default()).await;
    let late = code(&mock, address.clone()).await;
    mock.advance_time(Duration::from_secs(seconds + 1));
    assert_eq!(verify(&mock, &address, kind, &late).await.code(), "otp_expired");
    let punctual = code(&mock, address.clone()).await;
    mock.advance_time(Duration::from_secs(seconds));
    assert_eq!(verify(&mock, &address, kind, &punctual).await.status, StatusCode::OK);
}

#[rstest]
#[case::by_mail(json!({"email": EMAIL}))]
#[case::by_text(json!({"phone": PHONE}))]
#[tokio::test]
async fn a_code_for_a_new_address_is_refused_where_sign_ups_are_disabled(#[case] address: Value) {
    let mock = start(Settings { allows_sign_ups: false, ..Settings::default() }).await;
    let refused = mock.post("/auth/v1/otp", address).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.code(), "signup_disabled");
    assert_eq!(mock.get("/mock/users").await.json(), json!([]));
}

#[tokio::test]
async fn a_hook_that_sends_texts_takes_any_channel_and_a_server_without_one_only_sms() {
    let mock = start(Settings::default()).await;
    let body = json!({"phone": PHONE, "channel": "whatsapp"});
    assert_eq!(mock.post("/auth/v1/otp", body.clone()).await.status, StatusCode::OK);
    let mock = start(Settings { sends_texts: false, ..Settings::default() }).await;
    for (path, password) in [("/auth/v1/otp", json!(null)), ("/auth/v1/signup", json!(PASSWORD))] {
        let mut body = body.clone();
        body["password"] = password;
        let refused = mock.post(path, body).await;
        assert_eq!(refused.code(), "validation_failed", "{path}");
        assert!(refused.body.contains("Invalid channel"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_link_keeps_the_fragment_before_a_session_and_replaces_it_by_an_error() {
    let prefix = "https://app.example.com".to_owned();
    let mock = start(Settings { redirect_prefixes: vec![prefix], ..Settings::default() }).await;
    let site = "https%3A%2F%2Fapp.example.com%2F%23%2Fhome";
    let path = format!("/auth/v1/otp?redirect_to={site}");
    let sent = mock.post(&path, json!({"email": EMAIL})).await;
    assert_eq!(sent.status, StatusCode::OK);
    let hash = mock.mock.mails().pop().unwrap().token_hash.unwrap();
    let path = format!("/auth/v1/verify?type=signup&token={hash}&redirect_to={site}");
    let first = mock.get(&path).await;
    let begin = "https://app.example.com/#/home#access_token=";
    assert!(first.header("location").unwrap().starts_with(begin), "{first:?}");
    let second = mock.get(&path).await;
    let begin = "https://app.example.com/#error=access_denied&error_code=otp_expired";
    assert!(second.header("location").unwrap().starts_with(begin), "{second:?}");
}

#[tokio::test]
async fn no_flow_stays_if_a_rate_limit_refuses_to_send_a_code_again() {
    let mock = start(Settings { mails_per_hour: Some(1), ..Settings::default() }).await;
    let credentials = json!({"email": EMAIL, "password": PASSWORD});
    mock.post("/auth/v1/signup", credentials).await;
    let challenge = "a".repeat(43);
    let body = json!({
        "type": "signup", "email": EMAIL, "code_challenge": challenge, "code_challenge_method": "plain"
    });
    let refused = mock.post("/auth/v1/resend", body).await;
    assert_eq!(refused.code(), "over_email_send_rate_limit");
    assert_eq!(mock.mock.user_rows(EMAIL).flow_states, Vec::<String>::new());
}

#[tokio::test]
async fn an_invented_user_shows_what_gotrue_does_not_replace() {
    let mock = start(Settings::default()).await;
    let id = mock.mock.create_user(EMAIL, PASSWORD);
    mock.mock.ban_user(id);
    let credentials = json!({"email": EMAIL, "password": PASSWORD, "data": {"a": 1}});
    let invented = mock.post("/auth/v1/signup", credentials).await.json();
    assert_ne!(invented["id"], json!(id));
    assert!(invented["banned_until"].is_string(), "{invented}");
    assert!(invented.get("email_confirmed_at").is_none(), "{invented}");
    assert_eq!((&invented["role"], &invented["user_metadata"]), (&json!(""), &json!({"a": 1})));
}
