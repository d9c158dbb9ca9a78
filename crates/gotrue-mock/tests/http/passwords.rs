//! Passwords in the GoTrue mock, as in the real GoTrue: which sessions a change ends, and which passwords its rules
//! check.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use gotrue_mock::{Settings, Tokens};
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{PASSWORD, RunningMock};

const NEW_PASSWORD: &str = "new-password-1";

/// The expected results are those of the recordings `user-password`, `ending-minted-password` and
/// `admin-password`.
#[rstest]
#[case::by_the_user(|_: &RunningMock, own: &Tokens| own.access_token.clone(), "/auth/v1/user", 1)]
#[case::by_a_token_without_session(
    |mock: &RunningMock, own: &Tokens| mock.mock.sign(&json!({"sub": own.user_id})).unwrap(),
    "/auth/v1/user",
    0
)]
#[case::by_an_administrator(
    |mock: &RunningMock, _: &Tokens| mock.admin_token(),
    "/auth/v1/admin/users/ID",
    0
)]
#[tokio::test]
async fn a_password_change_ends_all_other_sessions_of_the_user(
    #[case] token: fn(&RunningMock, &Tokens) -> String,
    #[case] path: &str,
    #[case] left: usize,
) {
    let mock = RunningMock::start_default().await;
    let user = mock.mock.create_user("someone@example.com", PASSWORD);
    let [other, own] = [(); 2].map(|()| mock.mock.sign_in(user).unwrap());
    let stranger = mock.sign_up();
    mock.advance_time(Duration::from_secs(1));
    let path = path.replace("ID", &user.to_string());
    let body = json!({"password": NEW_PASSWORD});
    let response = mock.send_with_token(Method::PUT, &path, &token(&mock, &own), Some(body)).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.body);
    assert_eq!(response.json()["id"], json!(user));
    assert_eq!(response.json()["updated_at"], "2026-11-21T09:47:59.000000Z");
    assert_eq!(mock.mock.sessions_of(user), left);
    assert_eq!(mock.mock.session_alive(own.session_id), left == 1);
    assert!(!mock.mock.session_alive(other.session_id));
    assert!(mock.mock.session_alive(stranger.session_id));
    assert_eq!(mock.refresh(&other.refresh_token).await.code(), "refresh_token_not_found");
    for (password, status) in [(PASSWORD, 400), (NEW_PASSWORD, 200)] {
        let credentials = json!({"email": "someone@example.com", "password": password});
        let response = mock.post("/auth/v1/token?grant_type=password", credentials).await;
        assert_eq!(response.status.as_u16(), status, "{password}");
    }
}

#[tokio::test]
async fn tokens_of_users_and_the_anonymous_key_cannot_use_admin_routes() {
    let mock = RunningMock::start_default().await;
    let session = mock.sign_up();
    let path = format!("/auth/v1/admin/users/{}", session.user_id);
    let anon_key = mock.mock.sign(&json!({"role": "anon"})).unwrap();
    for token in [&session.access_token, &anon_key] {
        let body = json!({"password": NEW_PASSWORD});
        let refused = mock.send_with_token(Method::PUT, &path, token, Some(body)).await;
        assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "not_admin"));
        assert_eq!(refused.json()["message"], "User not allowed");
    }
    let refused = mock.send(Method::PUT, &path, &[], Some("{}".to_owned())).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::UNAUTHORIZED, "no_authorization"));
    assert!(mock.mock.session_alive(session.session_id));
}

#[rstest]
#[case::an_address(json!({"email": "new@example.com"}), "/new_email", json!("new@example.com"))]
#[case::a_number(json!({"phone": "+15550100000"}), "/phone", json!("15550100000"))]
#[case::metadata(json!({"data": {"a": 1}}), "/user_metadata/a", json!(1))]
#[tokio::test]
async fn a_user_changes_addresses_and_metadata_and_no_session_ends(
    #[case] body: Value,
    #[case] member: &str,
    #[case] value: Value,
) {
    let mock = RunningMock::start_default().await;
    let own = mock.sign_up();
    let other = mock.mock.sign_in(own.user_id).unwrap();
    let token = &own.access_token;
    let response = mock.send_with_token(Method::PUT, "/auth/v1/user", token, Some(body)).await;
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.json().pointer(member), Some(&value));
    assert!(mock.mock.session_alive(own.session_id) && mock.mock.session_alive(other.session_id));
}

#[tokio::test]
async fn a_password_change_by_an_ended_session_is_refused() {
    let mock = RunningMock::start_default().await;
    let own = mock.sign_up();
    let other = mock.mock.sign_in(own.user_id).unwrap();
    assert!(mock.mock.delete_session(own.session_id));
    let body = Some(json!({"password": NEW_PASSWORD}));
    let refused = mock.send_with_token(Method::PUT, "/auth/v1/user", &own.access_token, body).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "session_not_found"));
    assert!(mock.mock.session_alive(other.session_id));
}

#[tokio::test]
async fn the_rules_for_passwords_do_not_refuse_a_generated_one() {
    let password_characters = vec!["!".to_owned()];
    let mock =
        RunningMock::start_with(Settings { password_characters, ..Settings::default() }).await;
    let admin = mock.admin_token();
    let path = "/auth/v1/admin/generate_link";
    let body = json!({"type": "magiclink", "email": "ann@example.com"});
    let made = mock.send_with_token(Method::POST, path, &admin, Some(body)).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    let body = json!({"type": "signup", "email": "bob@example.com", "password": PASSWORD});
    let refused = mock.send_with_token(Method::POST, path, &admin, Some(body)).await;
    assert_eq!(refused.json()["code"], "weak_password");
    let code = mock.post("/auth/v1/otp", json!({"email": "carl@example.com"})).await;
    assert_eq!(code.status, StatusCode::OK, "{}", code.body);
}
