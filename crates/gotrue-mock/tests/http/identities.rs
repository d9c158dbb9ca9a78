//! A user's identities and addresses in the GoTrue mock: what a new address voids, and what the responses show.

#![expect(clippy::unwrap_used, reason = "a helper that panics makes its test fail, as it should")]

use std::time::UNIX_EPOCH;

use axum::http::{Method, StatusCode};
use gotrue_mock::Settings;
use serde_json::{Value, json};

use crate::harness::{MockResponse, PASSWORD, RunningMock};

const EMAIL: &str = "ann@example.com";

/// Signs in with an ID token of the mock's own provider.
async fn sign_in_by_id_token(mock: &RunningMock, email: &str) -> MockResponse {
    let now = mock.mock.now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "iss": format!("{}/mock/consent/keycloak", mock.mock.url()), "sub": "the-person",
        "aud": "the-client", "exp": now + 60, "email": email, "email_verified": true,
    });
    let token = mock.mock.sign(&claims).unwrap();
    let grant = json!({"provider": "keycloak", "id_token": token});
    mock.post("/auth/v1/token?grant_type=id_token", grant).await
}

fn providers(user: &Value) -> Vec<&str> {
    let identities = user["identities"].as_array().unwrap().iter();
    identities.map(|identity| identity["provider"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_sign_in_that_links_an_identity_shows_the_identities_from_before() {
    let mock = RunningMock::start_default().await;
    mock.mock.create_user(EMAIL, PASSWORD);
    for expected in [&["email"][..], &["email", "keycloak"]] {
        let signed_in = sign_in_by_id_token(&mock, EMAIL).await.json();
        assert_eq!(providers(&signed_in["user"]), expected, "{signed_in}");
        let users = mock.get("/mock/users").await.json();
        assert_eq!(providers(&users[0]), ["email", "keycloak"]);
    }
}

#[tokio::test]
async fn a_sign_in_of_a_new_person_shows_the_new_identity() {
    let mock = RunningMock::start_default().await;
    let signed_in = sign_in_by_id_token(&mock, EMAIL).await.json();
    assert_eq!(providers(&signed_in["user"]), ["keycloak"]);
}

#[tokio::test]
async fn an_address_from_an_identity_voids_the_changes_that_wait_for_a_code() {
    let mock =
        RunningMock::start_with(Settings { confirms_phones: false, ..Settings::default() }).await;
    let user = mock.mock.create_user(EMAIL, PASSWORD);
    let token = mock.mock.sign_in(user).unwrap().access_token;
    let send = async |method: Method, path: &str, body: Option<Value>| {
        mock.send_with_token(method, &format!("/auth/v1/user{path}"), &token, body).await
    };
    let path = "/identities/authorize?provider=google&user=bob@example.com";
    let to_callback = send(Method::GET, path, None).await;
    let callback = to_callback.header("location").unwrap().strip_prefix(mock.mock.url()).unwrap();
    mock.get(callback).await;
    let change = Some(json!({"phone": "+491701234567", "email": "new@example.com"}));
    let changed = send(Method::PUT, "", change).await.json();
    assert_eq!(
        (&changed["new_phone"], &changed["new_email"]),
        (&json!("491701234567"), &json!("new@example.com"))
    );
    let identity = &changed["identities"][0];
    assert_eq!(identity["provider"], "email");
    let path = format!("/identities/{}", identity["identity_id"].as_str().unwrap());
    assert_eq!(send(Method::DELETE, &path, None).await.status, StatusCode::OK);
    let user = send(Method::GET, "", None).await.json();
    assert_eq!(user["email"], "bob@example.com");
    assert!(user.get("new_phone").is_none() && user.get("new_email").is_none(), "{user}");
    assert_eq!(mock.mock.user_rows("bob@example.com").one_time_tokens, Vec::<&str>::new());
}

#[tokio::test]
async fn a_user_cannot_change_to_the_address_of_another_users_identity() {
    let mock = RunningMock::start_default().await;
    sign_in_by_id_token(&mock, EMAIL).await;
    let id = mock.mock.find_user_id(EMAIL).unwrap();
    let admin = mock.admin_token();
    let path = format!("/auth/v1/admin/users/{id}");
    let body = Some(json!({"email": "other@example.com"}));
    mock.send_with_token(Method::PUT, &path, &admin, body).await;
    let token = mock.sign_up().access_token;
    let body = Some(json!({"email": EMAIL}));
    let refused = mock.send_with_token(Method::PUT, "/auth/v1/user", &token, body).await;
    assert_eq!(refused.code(), "email_exists");
    mock.mock.create_user("bob@example.com", PASSWORD);
    let body = json!({"type": "email_change_new", "email": "bob@example.com", "new_email": EMAIL});
    let path = "/auth/v1/admin/generate_link";
    let refused = mock.send_with_token(Method::POST, path, &admin, Some(body)).await;
    assert_eq!(refused.code(), "email_exists");
}
