//! The audit log of the GoTrue mock: which entries a request leaves, and which a query finds.

#![expect(clippy::unwrap_used, reason = "a helper that panics makes its test fail, as it should")]

mod users;

use std::time::Duration;

use axum::http::{Method, StatusCode};
use gotrue_mock::{AccessTokenHook, Options, Settings};
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{MockResponse, PASSWORD, RunningMock};

const EMAIL: &str = "ann@example.com";
const PHONE: &str = "491701234567";

async fn start(settings: Settings) -> RunningMock {
    RunningMock::start(Options { settings, ..Options::default() }).await
}

/// A request of an administrator.
async fn administer(mock: &RunningMock, method: Method, path: &str, body: Value) -> MockResponse {
    let token = mock.mock.sign(&json!({ "role": "service_role" })).unwrap();
    let path = format!("/auth/v1{path}");
    mock.send_with_token(method, &path, &token, Some(body)).await
}

/// The entries that a query finds, newest first.
async fn entries(mock: &RunningMock, query: &str) -> Vec<Value> {
    let path = format!("/admin/audit?{query}");
    let listed = administer(mock, Method::GET, &path, json!({})).await;
    assert_eq!(listed.status, StatusCode::OK, "{}", listed.body);
    listed.json().as_array().unwrap().clone()
}

/// The actions of all entries, newest first.
async fn actions(mock: &RunningMock) -> Vec<String> {
    let entries = entries(mock, "").await;
    entries.iter().map(|entry| entry["payload"]["action"].as_str().unwrap().to_owned()).collect()
}

/// The actions of all entries with their traits, newest first.
async fn actions_and_traits(mock: &RunningMock) -> Vec<(Value, Value)> {
    let entries = entries(mock, "").await;
    let pair = |entry: &Value| {
        let payload = &entry["payload"];
        (payload["action"].clone(), payload["traits"].clone())
    };
    entries.iter().map(pair).collect()
}

async fn sign_up(mock: &RunningMock, body: Value) -> Value {
    let signed_up = mock.post("/auth/v1/signup", body).await;
    assert_eq!(signed_up.status, StatusCode::OK, "{}", signed_up.body);
    signed_up.json()
}

#[tokio::test]
async fn an_administrator_acts_without_an_id_and_names_the_user() {
    let mock = start(Settings::default()).await;
    let new = json!({"email": EMAIL, "email_confirm": true});
    let user = administer(&mock, Method::POST, "/admin/users", new).await.json();
    let path = format!("/admin/users/{}", user["id"].as_str().unwrap());
    administer(&mock, Method::PUT, &path, json!({"phone": PHONE})).await;
    administer(&mock, Method::DELETE, &path, json!({})).await;
    let invited = administer(&mock, Method::POST, "/invite", json!({"email": EMAIL})).await.json();
    let link = json!({"type": "invite", "email": EMAIL});
    administer(&mock, Method::POST, "/admin/generate_link", link).await;
    let traits =
        |phone: &str| json!({"user_id": user["id"], "user_email": EMAIL, "user_phone": phone});
    let mut created = traits("");
    created["provider"] = json!("email");
    let invitation = json!({"user_id": invited["id"], "user_email": EMAIL});
    let expected = [
        ("user_invited", invitation.clone()),
        ("user_invited", invitation),
        ("user_deleted", traits(PHONE)),
        ("user_modified", traits(PHONE)),
        ("user_signedup", created),
    ];
    assert_eq!(
        actions_and_traits(&mock).await,
        expected.map(|(action, traits)| (json!(action), traits))
    );
    for entry in entries(&mock, "").await {
        assert_eq!(entry["payload"]["actor_id"], "00000000-0000-0000-0000-000000000000");
        assert_eq!(entry["payload"]["actor_username"], "service_role");
        assert_eq!(entry["ip_address"], "");
    }
}

#[tokio::test]
async fn a_request_that_fails_leaves_no_entry() {
    let refusal = json!({"error": {"http_code": 403, "message": "not now"}});
    let hook =
        AccessTokenHook::new("pg-functions://postgres/auth/claims", move |_| Some(refusal.clone()));
    let settings = Settings {
        access_token_hook: Some(hook),
        mail_interval: Duration::from_mins(1),
        ..Settings::default()
    };
    let mock = start(settings).await;
    mock.mock.create_user(EMAIL, PASSWORD);
    let credentials = json!({"email": EMAIL, "password": PASSWORD});
    let refused = mock.post("/auth/v1/token?grant_type=password", credentials).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(actions(&mock).await, [""; 0]);
    for status in [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
        assert_eq!(mock.post("/auth/v1/recover", json!({"email": EMAIL})).await.status, status);
        assert_eq!(actions(&mock).await, ["user_recovery_requested"]);
    }
}

#[rstest]
#[case::everything("", 4)]
#[case::empty_text("query=author:", 4)]
#[case::author_in_any_case("query=author:ANN@", 2)]
#[case::name("query=author:bob+example", 2)]
#[case::any_character("query=author:a_n", 2)]
#[case::any_text("query=author:b%25example", 2)]
#[case::action("query=action:signed", 2)]
#[case::kind("query=type:account", 2)]
#[case::other_member("query=type:login", 0)]
#[tokio::test]
async fn a_query_finds_entries_by_author_action_and_type(
    #[case] query: &str,
    #[case] count: usize,
) {
    let mock = start(Settings::default()).await;
    sign_up(&mock, json!({"email": EMAIL, "password": PASSWORD})).await;
    let data = json!({"full_name": "Bob Example"});
    sign_up(&mock, json!({"phone": PHONE, "password": PASSWORD, "data": data})).await;
    assert_eq!(entries(&mock, query).await.len(), count);
}

#[tokio::test]
async fn a_reset_empties_the_audit_log() {
    let mock = start(Settings::default()).await;
    sign_up(&mock, json!({"email": EMAIL, "password": PASSWORD})).await;
    assert_eq!(actions(&mock).await.len(), 2);
    mock.post("/mock/reset", json!({})).await;
    assert_eq!(actions(&mock).await.len(), 0);
}
