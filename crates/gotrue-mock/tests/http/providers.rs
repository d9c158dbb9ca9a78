//! Sign-ins at identity providers in the GoTrue mock: which states are usable, and what a sign-in may not change.

#![expect(clippy::unwrap_used, reason = "a helper that panics makes its test fail, as it should")]

use std::{collections::BTreeMap, time::Duration};

use axum::http::StatusCode;
use gotrue_mock::{Person, Settings};
use serde_json::json;

use crate::harness::{CHALLENGE, MockResponse, PASSWORD, RunningMock};

/// The settings of a server that confirms addresses by mails, with two people whose provider has not verified them.
fn unverified() -> Settings {
    let person = |name: &str| Person {
        subject: name.to_owned(),
        email: Some(format!("{name}@example.com")),
        ..Person::default()
    };
    let people = ["ann", "bob"].map(|name| (name.to_owned(), person(name)));
    Settings { confirms_emails: false, people: BTreeMap::from(people), ..Settings::default() }
}

/// Goes to the provider. Returns the address of the callback.
async fn callback(mock: &RunningMock, query: &str) -> String {
    let path = format!("/auth/v1/authorize?provider=google&{query}");
    let response = mock.get(&path).await;
    response.location().strip_prefix(mock.mock.url()).unwrap().to_owned()
}

async fn sign_in(mock: &RunningMock, user: &str) -> MockResponse {
    mock.get(&callback(mock, &format!("user={user}")).await).await
}

async fn exchange(mock: &RunningMock, code: &str) -> MockResponse {
    let grant = json!({"auth_code": code, "code_verifier": CHALLENGE});
    mock.post("/auth/v1/token?grant_type=pkce", grant).await
}

fn pkce(user: &str) -> String {
    format!("user={user}&code_challenge={CHALLENGE}&code_challenge_method=plain")
}

#[tokio::test]
async fn every_provider_leads_to_a_consent_page_whose_form_signs_in() {
    let mock = RunningMock::start_default().await;
    let providers = Settings::default().providers;
    assert!(providers.len() > 20, "{providers:?}");
    for provider in providers {
        let authorize = format!("/auth/v1/authorize?provider={provider}");
        let consent = mock.get(&authorize).await;
        let path = consent.location().strip_prefix(mock.mock.url()).unwrap().to_owned();
        assert!(path.starts_with(&format!("/mock/consent/{provider}?")), "{path}");
        let page = mock.get(&path).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.body.contains(&format!("Sign in with {provider}<")), "{}", page.body);
        let state = page.body.split("name=\"state\" value=\"").nth(1).unwrap();
        let callback = format!("/auth/v1/callback?state={}", state.split('"').next().unwrap());
        let back = mock.get(&format!("{callback}&code={provider}@example.com")).await;
        assert!(back.location().contains("#access_token="), "{back:?}");
        let rows = mock.mock.user_rows(&format!("{provider}@example.com"));
        assert_eq!((rows.identities, rows.sessions_of_user), (vec![provider], 1));
    }
}

#[tokio::test]
async fn a_state_is_usable_once_also_after_the_exchange() {
    let mock = RunningMock::start_default().await;
    let callback = callback(&mock, &pkce("ann")).await;
    let first = mock.get(&callback).await;
    let code = first.location().split("code=").nth(1).unwrap().to_owned();
    let second = mock.get(&callback).await;
    assert!(second.location().contains("error_code=flow_state_already_used"), "{second:?}");
    assert_eq!(exchange(&mock, &code).await.status, StatusCode::OK);
    let third = mock.get(&callback).await;
    assert!(third.location().contains("error_code=bad_oauth_state"), "{third:?}");
    assert_eq!(mock.mock.user_rows("ann@example.com").sessions_of_user, 1);
}

#[tokio::test]
async fn the_time_for_an_exchange_begins_when_the_person_goes_to_the_provider() {
    let mock = RunningMock::start_default().await;
    let callback = callback(&mock, &pkce("ann")).await;
    mock.advance_time(Duration::from_mins(4));
    let code = mock.get(&callback).await.location().split("code=").nth(1).unwrap().to_owned();
    mock.advance_time(Duration::from_mins(2));
    let late = exchange(&mock, &code).await;
    assert_eq!(late.code(), "flow_state_expired", "{late:?}");
}

#[tokio::test]
async fn a_new_person_is_refused_where_sign_ups_are_disabled() {
    let mock =
        RunningMock::start_with(Settings { allows_sign_ups: false, ..Settings::default() }).await;
    mock.mock.create_user("ann@example.com", PASSWORD);
    let refused = sign_in(&mock, "bob@example.com").await;
    let expected = "error=access_denied&error_code=signup_disabled";
    assert!(refused.location().contains(expected), "{refused:?}");
    assert_eq!(mock.mock.find_user_id("bob@example.com"), None);
    assert!(sign_in(&mock, "ann@example.com").await.location().contains("#access_token="));
}

#[tokio::test]
async fn the_mail_to_an_unverified_person_counts_for_the_limit() {
    let mock = RunningMock::start_with(Settings { mails_per_hour: Some(1), ..unverified() }).await;
    let first = sign_in(&mock, "ann").await;
    let expected = "error_code=provider_email_needs_verification";
    assert!(first.location().contains(expected), "{first:?}");
    assert!(mock.mock.find_user_id("ann@example.com").is_some());
    let second = sign_in(&mock, "bob").await;
    assert!(second.location().contains("error_code=over_email_send_rate_limit"), "{second:?}");
    assert_eq!(mock.mock.mails().len(), 1);
    assert_eq!(mock.mock.find_user_id("bob@example.com"), None);
}

#[tokio::test]
async fn an_unconfirmed_user_loses_the_metadata_of_the_sign_up_to_a_verified_person() {
    let mock =
        RunningMock::start_with(Settings { confirms_emails: false, ..Settings::default() }).await;
    let credentials = json!({"email": "ann@example.com", "password": PASSWORD, "data": {"a": 1}});
    mock.post("/auth/v1/signup", credentials).await;
    assert!(sign_in(&mock, "ann@example.com").await.location().contains("#access_token="));
    let users = mock.get("/mock/users").await.json();
    assert_eq!(users[0]["user_metadata"]["full_name"], "ann");
    assert!(users[0]["user_metadata"].get("a").is_none(), "{users}");
}

#[tokio::test]
async fn a_known_identity_keeps_the_time_of_its_first_sign_in() {
    let mock = RunningMock::start_default().await;
    sign_in(&mock, "ann@example.com").await;
    let times = async || {
        let users = mock.get("/mock/users").await.json();
        let identity = &users[0]["identities"][0];
        (identity["last_sign_in_at"].clone(), identity["updated_at"].clone())
    };
    let before = times().await;
    mock.advance_time(Duration::from_secs(1));
    sign_in(&mock, "ann@example.com").await;
    let after = times().await;
    assert_eq!(after.0, before.0);
    assert_ne!(after.1, before.1);
}

#[tokio::test]
async fn a_user_whose_number_alone_is_confirmed_loses_the_other_identities_to_a_person() {
    let mock = RunningMock::start_default().await;
    mock.post("/auth/v1/signup", json!({"phone": "+491701234567", "password": PASSWORD})).await;
    let id = mock.mock.find_user_id("491701234567").unwrap();
    let admin = mock.admin_token();
    let path = format!("/auth/v1/admin/users/{id}");
    let body = Some(json!({"email": "ann@example.com"}));
    mock.send_with_token(axum::http::Method::PUT, &path, &admin, body).await;
    sign_in(&mock, "ann@example.com").await;
    assert_eq!(mock.mock.user_rows("ann@example.com").identities, ["google"]);
}

#[tokio::test]
async fn the_address_of_an_identity_is_taken_for_a_sign_up() {
    let mock = RunningMock::start_default().await;
    sign_in(&mock, "ann@example.com").await;
    let id = mock.mock.find_user_id("ann@example.com").unwrap();
    let admin = mock.admin_token();
    let path = format!("/auth/v1/admin/users/{id}");
    let body = Some(json!({"email": "other@example.com", "email_confirm": true}));
    mock.send_with_token(axum::http::Method::PUT, &path, &admin, body).await;
    for email in ["ann@example.com", "other@example.com"] {
        let credentials = json!({"email": email, "password": PASSWORD});
        let refused = mock.post("/auth/v1/signup", credentials.clone()).await;
        assert_eq!(refused.code(), "user_already_exists", "{email}");
        let path = "/auth/v1/admin/users";
        let refused =
            mock.send_with_token(axum::http::Method::POST, path, &admin, Some(credentials)).await;
        assert_eq!(refused.code(), "email_exists", "{email}");
    }
}
