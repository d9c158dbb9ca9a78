//! How sessions end in the GoTrue mock, as in a real GoTrue: by time, by the clean-up of refresh tokens, by
//! session limits, and by logouts that are repeated or run at the same time as a refresh.

use axum::http::{Method, StatusCode};
use gotrue_mock::Options;
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{MockResponse, RunningMock};

async fn advance(mock: &RunningMock, by: &str) -> MockResponse {
    mock.post("/mock/clock", json!({"advance": by})).await
}

#[tokio::test]
async fn an_advanced_clock_expires_tokens_and_changes_every_date_until_a_reset() {
    let mock = RunningMock::start_default().await;
    let session = mock.sign_up();
    let response = advance(&mock, "30m").await;
    assert_eq!(
        (response.status, response.json()),
        (StatusCode::OK, json!({"now": "2026-11-21T10:17:58.000000Z"}))
    );
    assert_eq!(response.header("date"), Some("Sat, 21 Nov 2026 10:17:58 GMT"));
    let user =
        mock.send_with_token(Method::GET, "/auth/v1/user", &session.access_token, None).await;
    assert_eq!(user.status, StatusCode::OK, "the token is valid for another half hour");

    assert_eq!(advance(&mock, "1h 30m").await.json()["now"], "2026-11-21T11:47:58.000000Z");
    assert_eq!(mock.logout(&session.access_token).await.code(), "bad_jwt");
    let refreshed = mock.refresh(&session.refresh_token).await.json();
    assert_eq!(
        refreshed["expires_at"],
        1_795_254_478 + 3 * 3600,
        "the new token is valid for an hour from the new time"
    );
    assert!(mock.mock.session_alive(session.session_id));

    mock.post("/mock/reset", json!({})).await;
    let date = mock.get("/auth/v1/health").await;
    assert_eq!(date.header("date"), Some("Sat, 21 Nov 2026 09:47:58 GMT"));
}

#[rstest]
#[case::no_unit(json!({"advance": "2"}))]
#[case::a_number(json!({"advance": 7200}))]
#[case::backwards(json!({"advance": "-2h"}))]
#[case::nothing(json!({}))]
#[case::a_list(json!([["2h"]]))]
#[case::more_than_a_date_can_hold(json!({"advance": "500000000000years"}))]
#[case::more_than_a_thousand_years(json!({"advance": "1001years"}))]
#[tokio::test]
async fn an_invalid_advance_leaves_the_clock_unchanged(#[case] body: Value) {
    let mock = RunningMock::start_default().await;
    let response = mock.post("/mock/clock", body).await;
    assert_eq!(response.status, StatusCode::BAD_REQUEST, "{}", response.body);
    assert_eq!(response.header("date"), Some("Sat, 21 Nov 2026 09:47:58 GMT"));
}

/// GoTrue's clean-up deletes refresh tokens that were revoked over 24 hours ago.
#[tokio::test]
async fn the_clean_up_deletes_used_refresh_tokens_after_a_day_and_keeps_the_session() {
    let mock = RunningMock::start_default().await;
    let session = mock.sign_up();
    let parent = mock.refresh_successfully(&session.refresh_token).await;
    let active = mock.refresh_successfully(&parent).await;
    let clean_up = async || mock.post("/mock/cleanup", json!({})).await.json();
    advance(&mock, "24h").await;
    assert_eq!(
        clean_up().await,
        json!({"refresh_tokens": 0}),
        "the tokens were used less than a day ago"
    );
    advance(&mock, "1s").await;
    assert_eq!(clean_up().await, json!({"refresh_tokens": 2}));
    assert_eq!(clean_up().await, json!({"refresh_tokens": 0}));
    for deleted in [&session.refresh_token, &parent] {
        let refused = mock.refresh(deleted).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert_eq!(refused.code(), "refresh_token_not_found");
        assert_eq!(refused.header("sb-auth-session-id"), None);
    }
    assert!(mock.mock.session_alive(session.session_id));
    let refreshed = mock.refresh(&active).await.json();
    let token = refreshed["access_token"].as_str().unwrap();
    assert_eq!(
        mock.logout(token).await.status,
        StatusCode::NO_CONTENT,
        "the session can still be ended"
    );
    assert!(!mock.mock.session_alive(session.session_id));
}

#[rstest]
#[case::by_default("", "Session Expired")]
#[case::timebox(r#"{"reason":"timebox"}"#, "Session Expired")]
#[case::inactivity(r#"{"reason":"inactivity"}"#, "Session Expired (Inactivity)")]
#[case::second_factor(
    r#"{"reason":"low_aal"}"#,
    "Session Expired (Low AAL: User Needs MFA Verification)"
)]
#[case::newer_login(r#"{"reason":"newer_login"}"#, "Session Expired (Revoked by Newer Login)")]
#[tokio::test]
async fn an_expired_session_is_not_refreshed_and_not_deleted(
    #[case] body: &str,
    #[case] message: &str,
) {
    let mock = RunningMock::start_default().await;
    let session = mock.sign_up();
    let other = mock.mock.sign_in(session.user_id).unwrap();
    let path = format!("/mock/sessions/{}/expire", session.session_id);
    let expired = mock.send(Method::POST, &path, &[], Some(body.to_owned())).await;
    assert_eq!(expired.status, StatusCode::NO_CONTENT, "{}", expired.body);
    for _ in 0..2 {
        let refused = mock.refresh(&session.refresh_token).await;
        assert_eq!((refused.status, refused.code()), (StatusCode::BAD_REQUEST, "session_expired"));
        assert_eq!(refused.json()["msg"], format!("Invalid Refresh Token: {message}"));
        let id = session.session_id.to_string();
        assert_eq!(refused.header("sb-auth-session-id"), Some(&*id));
    }
    mock.refresh_successfully(&other.refresh_token).await;
    assert!(mock.mock.session_alive(session.session_id));
    assert_eq!(mock.logout(&session.access_token).await.status, StatusCode::NO_CONTENT);
    assert!(!mock.mock.session_alive(session.session_id));
}

#[tokio::test]
async fn an_expiry_with_an_unknown_reason_or_session_is_refused() {
    let mock = RunningMock::start_default().await;
    let session = mock.sign_up();
    let path = format!("/mock/sessions/{}/expire", session.session_id);
    let refused = mock.post(&path, json!({"reason": "boredom"})).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    mock.refresh_successfully(&session.refresh_token).await;
    for id in [Uuid::new_v4().to_string(), "no-uuid".to_owned()] {
        let response = mock.post(&format!("/mock/sessions/{id}/expire"), json!({})).await;
        assert_eq!(response.status, StatusCode::NOT_FOUND);
    }
}

/// A fault can make the mock return the error code `session_expired` for a session that has not expired.
#[tokio::test]
async fn a_fault_answers_a_refresh_with_session_expired() {
    let mock = RunningMock::start_default().await;
    let session = mock.sign_up();
    let fault = json!({
        "operation": "token", "kind": "status", "status": 400, "code": "session_expired", "times": 1
    });
    assert_eq!(mock.post("/mock/faults", fault).await.status, StatusCode::NO_CONTENT);
    let refused = mock.refresh(&session.refresh_token).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::BAD_REQUEST, "session_expired"));
    assert!(mock.mock.session_alive(session.session_id));
    mock.refresh_successfully(&session.refresh_token).await;
}

#[tokio::test]
async fn a_second_local_logout_finds_no_session_and_ends_no_other() {
    let mock = RunningMock::start_default().await;
    let own = mock.sign_up();
    let other = mock.mock.sign_in(own.user_id).unwrap();
    assert_eq!(mock.logout(&own.access_token).await.status, StatusCode::NO_CONTENT);
    let second = mock.logout(&own.access_token).await;
    assert_eq!((second.status, second.code()), (StatusCode::FORBIDDEN, "session_not_found"));
    assert!(mock.mock.session_alive(other.session_id));
}

/// A refresh either runs before the logout, which then deletes its session, or runs after it and finds no
/// session.
#[tokio::test]
async fn no_session_survives_a_global_logout_by_a_refresh() {
    let mock = RunningMock::start_default().await;
    for _ in 0..20 {
        let own = mock.sign_up();
        let mut client = mock.mock.sign_in(own.user_id).unwrap().refresh_token;
        let refreshing = async {
            loop {
                let response = mock.refresh(&client).await;
                if response.status != StatusCode::OK {
                    break response;
                }
                response.json()["refresh_token"].as_str().unwrap().clone_into(&mut client);
            }
        };
        let path = "/auth/v1/logout?scope=global";
        let logout = mock.send_with_token(Method::POST, path, &own.access_token, None);
        let (refused, response) = tokio::join!(refreshing, logout);
        assert_eq!(response.status, StatusCode::NO_CONTENT);
        assert_eq!(refused.code(), "refresh_token_not_found");
        assert_eq!(mock.mock.sessions_of(own.user_id), 0);
    }
}

#[tokio::test]
async fn the_version_is_configurable_and_a_fault_can_change_it() {
    let mock = RunningMock::start_default().await;
    let health = async || mock.get("/auth/v1/health").await.json();
    let expected = json!({
        "version": "v2.180.0",
        "name": "GoTrue",
        "description": "GoTrue is a user registration and authentication API",
    });
    assert_eq!(health().await, expected);
    let old = json!({"version": "v2.149.0", "name": "GoTrue"});
    let fault = json!({"operation": "health", "kind": "status", "status": 200, "body": old});
    assert_eq!(mock.post("/mock/faults", fault).await.status, StatusCode::NO_CONTENT);
    assert_eq!(health().await, old);
    let version = "v2.149.0".to_owned();
    let old = RunningMock::start(Options { version, ..Options::default() }).await;
    assert_eq!(old.get("/auth/v1/health").await.json()["version"], "v2.149.0");
}
