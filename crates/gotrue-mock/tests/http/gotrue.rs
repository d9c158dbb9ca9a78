//! Behaviour of the real GoTrue that the mock must have although no recording shows it: families of refresh
//! tokens, sign-up, tokens, CORS.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use gotrue_mock::{Algorithm, Options};
use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{MockResponse, PASSWORD, RunningMock};

const OVER_TEN_SECONDS: Duration = Duration::from_secs(11);

#[tokio::test]
async fn the_parent_of_the_active_token_returns_the_active_token() {
    let mock = RunningMock::start_default().await;
    let parent = mock.sign_up().refresh_token;
    let active = mock.refresh_successfully(&parent).await;
    mock.advance_time(Duration::from_hours(1));
    assert_eq!(mock.refresh_successfully(&parent).await, active);
}

#[tokio::test]
async fn an_older_refresh_token_works_for_ten_seconds() {
    let mock = RunningMock::start_default().await;
    let old = mock.sign_up().refresh_token;
    let parent = mock.refresh_successfully(&old).await;
    mock.refresh_successfully(&parent).await;
    mock.advance_time(Duration::from_secs(10));
    mock.refresh_successfully(&old).await;
    mock.refresh_successfully(&old).await;
    mock.advance_time(OVER_TEN_SECONDS);
    // The active token now descends from `old`, so `parent` is no longer the parent of the active token.
    assert_eq!(mock.refresh(&parent).await.code(), "refresh_token_already_used");
}

#[tokio::test]
async fn a_refresh_token_used_too_late_revokes_its_family_after_ten_seconds_and_keeps_the_session()
{
    let mock = RunningMock::start_default().await;
    let session = mock.sign_up();
    let parent = mock.refresh_successfully(&session.refresh_token).await;
    let active = mock.refresh_successfully(&parent).await;
    mock.advance_time(OVER_TEN_SECONDS);
    let refused = mock.refresh(&session.refresh_token).await;
    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::BAD_REQUEST, "refresh_token_already_used")
    );
    mock.advance_time(OVER_TEN_SECONDS);
    assert_eq!(mock.refresh(&active).await.code(), "refresh_token_already_used");
    assert!(mock.mock.session_alive(session.session_id));
}

#[tokio::test]
async fn the_active_token_of_a_revoked_family_works_for_ten_more_seconds() {
    let mock = RunningMock::start_default().await;
    let old = mock.sign_up().refresh_token;
    let parent = mock.refresh_successfully(&old).await;
    let active = mock.refresh_successfully(&parent).await;
    mock.advance_time(OVER_TEN_SECONDS);
    mock.refresh(&old).await;
    mock.advance_time(Duration::from_secs(9));
    mock.refresh_successfully(&active).await;
}

#[tokio::test]
async fn an_access_token_is_accepted_until_its_last_second() {
    let token_lifetime = Duration::from_secs(2);
    let mock = RunningMock::start(Options { token_lifetime, ..Options::default() }).await;
    let (early, late) = (mock.sign_up(), mock.sign_up());
    mock.advance_time(Duration::from_millis(1900));
    assert_eq!(mock.logout(&early.access_token).await.status, StatusCode::NO_CONTENT);
    mock.advance_time(Duration::from_millis(100));
    let refused = mock.logout(&late.access_token).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "bad_jwt"));
    assert!(mock.mock.session_alive(late.session_id));
}

#[tokio::test]
async fn a_token_that_is_not_valid_yet_is_refused() {
    let mock = RunningMock::start_default().await;
    let session = mock.sign_up();
    let claims = json!({
        "sub": session.user_id, "session_id": session.session_id, "nbf": 1_795_254_478 + 5
    });
    let token = mock.mock.sign(&claims).unwrap();
    assert_eq!(mock.logout(&token).await.code(), "bad_jwt");
    mock.advance_time(Duration::from_secs(5));
    assert_eq!(mock.logout(&token).await.status, StatusCode::NO_CONTENT);
}

#[rstest]
#[case::two_spaces("Bearer  TOKEN", StatusCode::UNAUTHORIZED)]
#[case::another_scheme("Basic TOKEN", StatusCode::UNAUTHORIZED)]
#[case::no_token("Bearer ", StatusCode::UNAUTHORIZED)]
#[case::two_tokens("Bearer TOKEN TOKEN", StatusCode::UNAUTHORIZED)]
#[case::lower_case("bearer TOKEN", StatusCode::NO_CONTENT)]
#[tokio::test]
async fn the_authorization_header_is_parsed_as_gotrue_parses_it(
    #[case] authorization: &str,
    #[case] expected: StatusCode,
) {
    let mock = RunningMock::start_default().await;
    let session = mock.sign_up();
    let authorization = authorization.replace("TOKEN", &session.access_token);
    let headers = [("authorization", authorization.as_str())];
    let response = mock.send(Method::POST, "/auth/v1/logout?scope=", &headers, None).await;
    assert_eq!(response.status, expected);
    assert_eq!(mock.mock.session_alive(session.session_id), expected != StatusCode::NO_CONTENT);
    if expected == StatusCode::UNAUTHORIZED {
        assert_eq!(response.code(), "no_authorization");
    }
}

#[tokio::test]
async fn an_empty_scope_ends_all_sessions_of_the_user() {
    let mock = RunningMock::start_default().await;
    let (one, other) = (mock.sign_up(), mock.sign_up());
    mock.mock.sign_in(one.user_id).unwrap();
    let bearer = format!("Bearer {}", one.access_token);
    let headers = [("authorization", bearer.as_str())];
    mock.send(Method::POST, "/auth/v1/logout?scope=", &headers, None).await;
    assert_eq!(mock.mock.sessions_of(one.user_id), 0);
    assert!(mock.mock.session_alive(other.session_id));
}

#[tokio::test]
async fn a_global_logout_by_an_ended_session_is_refused_and_ends_no_other() {
    let mock = RunningMock::start_default().await;
    let ended_session = mock.sign_up();
    let other = mock.mock.sign_in(ended_session.user_id).unwrap();
    assert!(mock.mock.delete_session(ended_session.session_id));
    let bearer = format!("Bearer {}", ended_session.access_token);
    let headers = [("authorization", bearer.as_str())];
    let response = mock.send(Method::POST, "/auth/v1/logout?scope=global", &headers, None).await;
    assert_eq!((response.status, response.code()), (StatusCode::FORBIDDEN, "session_not_found"));
    assert!(mock.mock.session_alive(other.session_id));
}

#[rstest]
#[case::no_password(json!({"email": "a@b.co"}), 400, "validation_failed")]
#[case::a_short_password(json!({"email": "a@b.co", "password": "12345"}), 422, "weak_password")]
#[case::a_long_password(json!({"email": "a@b.co", "password": "x".repeat(73)}), 400, "validation_failed")]
#[case::no_address(json!({"email": "nobody", "password": PASSWORD}), 400, "validation_failed")]
#[case::a_known_address(json!({"email": "Someone@Example.com", "password": PASSWORD}), 422, "user_already_exists")]
#[tokio::test]
async fn an_invalid_sign_up_is_refused(
    #[case] body: Value,
    #[case] status: u16,
    #[case] code: &str,
) {
    let mock = RunningMock::start_default().await;
    let someone = mock.mock.create_user("someone@example.com", PASSWORD);
    let refused = mock.post("/auth/v1/signup", body).await;
    assert_eq!(
        (refused.status.as_u16(), refused.json()["error_code"].as_str()),
        (status, Some(code))
    );
    assert_eq!(mock.get("/mock/sessions").await.json(), json!([]));
    assert!(mock.mock.user_exists(someone));
}

#[tokio::test]
async fn a_weak_password_has_its_reasons_in_both_api_versions() {
    let mock = RunningMock::start_default().await;
    let body = json!({"email": "a@b.co", "password": "12345"}).to_string();
    let sign_up = async |headers: &[(&str, &str)]| -> MockResponse {
        mock.send(Method::POST, "/auth/v1/signup", headers, Some(body.clone())).await
    };
    for headers in [&[("x-supabase-api-version", "2024-01-01")][..], &[]] {
        let refused = sign_up(headers).await;
        assert_eq!(refused.json()["weak_password"], json!({"reasons": ["length"]}));
        assert_eq!(refused.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn the_metadata_of_a_sign_up_is_in_every_access_token() {
    let mock = RunningMock::start_default().await;
    let body = json!({"email": "a@b.co", "password": PASSWORD, "data": {"shoe_size": 47}});
    let tokens = mock.post("/auth/v1/signup", body).await.json();
    assert_eq!(tokens["user"]["user_metadata"]["shoe_size"], 47);
    let refreshed = mock.refresh(tokens["refresh_token"].as_str().unwrap()).await.json();
    let claims = refreshed["access_token"].as_str().unwrap();
    let claims: Value = jsonwebtoken::dangerous::insecure_decode(claims).unwrap().claims;
    assert_eq!(claims["user_metadata"]["shoe_size"], 47);
}

#[rstest]
#[case::a_wrong_password(json!({"email": "someone@example.com", "password": "wrong"}), "invalid_credentials")]
#[case::an_unknown_address(json!({"email": "nobody@example.com", "password": PASSWORD}), "invalid_credentials")]
#[case::no_address(json!({"password": PASSWORD}), "validation_failed")]
#[tokio::test]
async fn an_invalid_sign_in_is_refused(#[case] credentials: Value, #[case] code: &str) {
    let mock = RunningMock::start_default().await;
    let someone = mock.mock.create_user("someone@example.com", PASSWORD);
    let refused = mock.post("/auth/v1/token?grant_type=password", credentials).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::BAD_REQUEST, code));
    assert_eq!(mock.mock.sessions_of(someone), 0);
}

#[tokio::test]
async fn an_unknown_grant_type_is_refused() {
    let mock = RunningMock::start_default().await;
    let refused = mock.post("/auth/v1/token?grant_type=magic", json!({})).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::BAD_REQUEST, "invalid_credentials"));
}

#[rstest]
#[case::later("2030-12-31", Some("2024-01-01"))]
#[case::earlier("2023-12-31", None)]
#[case::no_date("latest", None)]
#[tokio::test]
async fn the_closest_api_version_is_used(#[case] requested: &str, #[case] used: Option<&str>) {
    let mock = RunningMock::start_default().await;
    let headers = [("x-supabase-api-version", requested)];
    let response = mock.send(Method::GET, "/auth/v1/user", &headers, None).await;
    assert_eq!(response.header("x-supabase-api-version"), used);
    assert_eq!(response.json()["code"] == "no_authorization", used.is_some());
}

#[rstest]
#[case::gotrue("/auth/v1/logout")]
#[case::the_control_routes("/mock/reset")]
#[tokio::test]
async fn a_preflight_is_answered_and_neither_logged_nor_acted_upon(#[case] path: &str) {
    let mock = RunningMock::start_default().await;
    let session = mock.sign_up();
    let headers = [
        ("origin", "http://app.example.com"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,apikey"),
    ];
    let response = mock.send(Method::OPTIONS, path, &headers, None).await;
    assert_eq!(response.status, StatusCode::NO_CONTENT);
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    assert_eq!(response.header("access-control-allow-methods"), Some("POST"));
    assert_eq!(response.header("access-control-allow-headers"), Some("authorization,apikey"));
    assert!(mock.mock.calls().is_empty() && mock.mock.session_alive(session.session_id));
}

#[rstest]
#[case::gotrue("/auth/v1/user")]
#[case::the_control_routes("/mock/sessions")]
#[tokio::test]
async fn every_response_allows_other_origins(#[case] path: &str) {
    let mock = RunningMock::start_default().await;
    let headers = [("origin", "http://app.example.com")];
    let response = mock.send(Method::GET, path, &headers, None).await;
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    let exposed = response.header("access-control-expose-headers");
    assert_eq!(exposed, Some("X-Total-Count, Link, X-Supabase-Api-Version"));
    assert_eq!(response.header("vary"), Some("Origin"));
    assert_eq!(mock.get(path).await.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn the_date_header_follows_the_mocks_clock() {
    let mock = RunningMock::start_default().await;
    let date = async || mock.get("/auth/v1/health").await.header("date").map(ToOwned::to_owned);
    assert_eq!(date().await.as_deref(), Some("Sat, 21 Nov 2026 09:47:58 GMT"));
    mock.advance_time(Duration::from_mins(1));
    assert_eq!(date().await.as_deref(), Some("Sat, 21 Nov 2026 09:48:58 GMT"));
}

#[tokio::test]
async fn the_issuer_is_the_mocks_url_unless_another_is_given() {
    let own = RunningMock::start_default().await;
    assert_eq!(own.mock.issuer(), format!("{}/auth/v1", own.mock.url()));
    let issuer = Some("https://project.example/auth/v1".to_owned());
    let given = Options { issuer, algorithm: Algorithm::EdDsa, ..Options::default() };
    let token = RunningMock::start(given).await.sign_up().access_token;
    let claims: Value = jsonwebtoken::dangerous::insecure_decode(token).unwrap().claims;
    assert_eq!(claims["iss"], "https://project.example/auth/v1");
}

#[tokio::test]
async fn a_refresh_token_that_gotrue_cannot_parse_is_malformed_rather_than_unknown() {
    let mock = RunningMock::start_default().await;
    let session = mock.sign_up();
    for token in ["A".repeat(60), format!("{}x", session.refresh_token)] {
        assert_eq!(mock.refresh(&token).await.code(), "validation_failed", "{token}");
    }
    assert_eq!(mock.refresh("abcdefghij12").await.code(), "refresh_token_not_found");
    assert_eq!(mock.refresh(&session.refresh_token).await.status, StatusCode::OK);
}
