//! Paths, methods and audiences of the GoTrue mock: what it checks before it finds that there is no handler, and that
//! no input makes it panic.

use axum::http::{Method, StatusCode};
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{PASSWORD, RunningMock};

#[rstest]
#[case::of_administrators(Method::PATCH, "/admin/users")]
#[case::of_one_user(Method::POST, "/admin/users/00000000-0000-0000-0000-000000000001")]
#[case::of_links(Method::GET, "/admin/generate_link")]
#[case::of_factors(Method::GET, "/factors")]
#[case::of_a_challenge(Method::GET, "/factors/00000000-0000-0000-0000-000000000001/challenge")]
#[case::of_reauthentication(Method::POST, "/reauthenticate")]
#[case::of_a_path_with_a_slash(Method::POST, "/reauthenticate/")]
#[tokio::test]
async fn a_wrong_method_needs_credentials_first(#[case] method: Method, #[case] path: &str) {
    let mock = RunningMock::start_default().await;
    let path = format!("/auth/v1{path}");
    let refused = mock.send(method.clone(), &path, &[], None).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::UNAUTHORIZED, "no_authorization"));
    assert_eq!(refused.header("allow"), None);
}

#[tokio::test]
async fn a_wrong_method_is_405_after_the_rows_of_its_path_were_found() {
    let mock = RunningMock::start_default().await;
    let session = mock.sign_up();
    let admin = mock.admin_token();
    let (user, other) = (session.user_id, Uuid::new_v4());
    let token = &session.access_token;
    for (token, path, status) in [
        (&admin, "/admin/users".to_owned(), 405),
        (&admin, format!("/admin/users/{user}"), 405),
        (&admin, format!("/admin/users/{other}"), 404),
        (&admin, format!("/admin/users/{user}/factors/{other}"), 404),
        (token, "/factors".to_owned(), 405),
        (token, format!("/factors/{other}"), 404),
        (token, "/reauthenticate".to_owned(), 405),
    ] {
        let path = format!("/auth/v1{path}");
        let response = mock.send_with_token(Method::PATCH, &path, token, None).await;
        assert_eq!(response.status.as_u16(), status, "{path}");
    }
    let allowed = mock.send_with_token(Method::PATCH, "/auth/v1/admin/users", &admin, None).await;
    assert_eq!(allowed.header("allow"), Some("GET, POST"));
}

#[rstest]
#[case::mounted(&["/signup", "/verify", "/reauthenticate", "/user", "/factors", "/admin/users", "/admin/audit"], true)]
#[case::not_mounted(&["/otp", "/token", "/logout", "/settings", "/health", "/invite", "/recover"], false)]
#[tokio::test]
async fn a_slash_at_the_end_is_a_path_of_its_own_unless_gotrue_mounts_the_path(
    #[case] paths: &[&str],
    #[case] is_mounted: bool,
) {
    let mock = RunningMock::start_default().await;
    for path in paths {
        let response = mock.send(Method::PATCH, &format!("/auth/v1{path}/"), &[], None).await;
        assert_eq!(response.status != StatusCode::NOT_FOUND, is_mounted, "{path}");
    }
}

#[tokio::test]
async fn a_slash_at_the_end_reaches_the_same_handler_and_the_same_fault() {
    let mock = RunningMock::start_default().await;
    let body = json!({"email": "ann@example.com", "password": "secret-password-1"});
    assert_eq!(mock.post("/auth/v1/signup/", body.clone()).await.status, StatusCode::OK);
    mock.post("/mock/faults", json!({"operation": "signup", "kind": "status", "status": 503}))
        .await;
    let failed = mock.post("/auth/v1/signup/", body).await;
    assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE);
}

/// Claims of the access token, the header `X-JWT-Aud`, and whether the audience is right.
#[rstest]
#[case::none(json!({}), "", false)]
#[case::an_empty_list(json!({"aud": []}), "", false)]
#[case::gotrues(json!({"aud": "authenticated"}), "", true)]
#[case::a_list(json!({"aud": ["authenticated", "other"]}), "", true)]
#[case::another(json!({"aud": "other"}), "", true)]
#[case::another_of_an_administrator(json!({"aud": "other", "role": "service_role"}), "", false)]
#[case::requested(json!({"aud": "other"}), "other", true)]
#[case::not_requested(json!({"aud": "authenticated"}), "other", false)]
#[tokio::test]
async fn the_audience_of_the_token_is_the_one_of_the_request(
    #[case] claims: Value,
    #[case] header: &str,
    #[case] is_right: bool,
) {
    let mock = RunningMock::start_default().await;
    let mut claims = claims;
    claims["sub"] = json!(mock.sign_up().user_id);
    let authorization = format!("Bearer {}", mock.mock.sign(&claims).unwrap());
    let headers = [("authorization", &*authorization), ("x-jwt-aud", header)];
    let user = mock.send(Method::GET, "/auth/v1/user", &headers, None).await;
    let path = format!("/auth/v1/user/identities/{}", Uuid::new_v4());
    let deleted = mock.send(Method::DELETE, &path, &headers, None).await;
    if is_right {
        assert_eq!(user.status, StatusCode::OK, "{}", user.body);
        assert_eq!(deleted.code(), "single_identity_not_deletable");
    } else {
        assert_eq!((user.status.as_u16(), user.code()), (400, "validation_failed"));
        assert_eq!((deleted.status.as_u16(), deleted.code()), (403, "unexpected_audience"));
    }
}

#[tokio::test]
async fn an_id_that_is_not_utf8_is_no_id_and_looked_at_after_the_credentials() {
    let mock = RunningMock::start_default().await;
    let session = mock.sign_up();
    let admin = mock.admin_token();
    for (method, path, token) in [
        (Method::GET, "/auth/v1/admin/users/%ff", &admin),
        (Method::DELETE, "/auth/v1/factors/%ff", &session.access_token),
        (Method::DELETE, "/auth/v1/user/identities/%ff", &session.access_token),
    ] {
        let refused = mock.send(method.clone(), path, &[], None).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{path}");
        let refused = mock.send_with_token(method, path, token, None).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (404, "validation_failed"), "{path}");
    }
}

#[tokio::test]
async fn a_page_of_no_items_is_a_panic_of_gotrue() {
    let mock = RunningMock::start_default().await;
    let admin = mock.admin_token();
    let path = "/auth/v1/admin/users?per_page=0";
    let failed = mock.send_with_token(Method::GET, path, &admin, None).await;
    assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR);
    let expected = json!({"code": "unexpected_failure", "message": "Internal Server Error"});
    assert_eq!((failed.json(), failed.code()), (expected, ""));
}

#[tokio::test]
async fn providers_that_the_settings_do_not_list_are_known() {
    let mock = RunningMock::start_default().await;
    for provider in ["x", "vercel_marketplace"] {
        let path = format!("/auth/v1/authorize?provider={provider}&user=ann");
        assert_eq!(mock.get(&path).await.status, StatusCode::FOUND, "{provider}");
    }
    let settings = mock.get("/auth/v1/settings").await.json();
    assert_eq!(settings["external"].get("x"), None);
    let unknown = mock.get("/auth/v1/authorize?provider=y").await;
    assert_eq!(unknown.code(), "validation_failed");
}

/// Endpoints that read a body or a query.
const PATHS: [&str; 19] = [
    "/signup",
    "/token?grant_type=password",
    "/token?grant_type=refresh_token",
    "/token?grant_type=pkce",
    "/token?grant_type=id_token",
    "/otp",
    "/magiclink",
    "/recover",
    "/resend",
    "/verify",
    "/user",
    "/factors",
    "/invite",
    "/admin/users",
    "/admin/generate_link",
    "/callback?state=%ff",
    "/admin/audit?query=%ff",
    "/authorize?provider=%ff",
    "/admin/users?page=18446744073709551615&per_page=18446744073709551615",
];

/// Bodies with values that are hard to parse, and with values of the wrong type.
fn odd_bodies() -> Vec<String> {
    let odd =
        ["-2562047h", "\u{0}", "ä@ä", "%00", "+", "9".repeat(400).as_str()].map(str::to_owned);
    let bodies = odd.iter().flat_map(|odd| {
        let text = json!({
            "email": odd, "phone": odd, "password": odd, "token": odd, "token_hash": odd, "type": odd,
            "ban_duration": odd, "refresh_token": odd, "auth_code": odd, "code_verifier": odd, "id": odd,
            "code_challenge": odd, "code_challenge_method": odd, "id_token": odd, "provider": odd,
        });
        [text, json!(odd), json!([odd]), json!({"data": {"a": odd}, "email": [odd]})]
    });
    bodies.map(|body| body.to_string()).collect()
}

/// A request whose handler panics gets no response.
#[tokio::test]
async fn every_input_gets_a_response() {
    let mock = RunningMock::start_default().await;
    let user = mock.sign_up();
    let admin = mock.admin_token();
    let bodies = odd_bodies();
    let (user_id, factor) = (user.user_id, Uuid::new_v4());
    let paths = PATHS.into_iter().map(str::to_owned).chain([
        format!("/admin/users/{user_id}"),
        format!("/factors/{factor}/verify"),
        format!("/admin/users/{user_id}/factors/{factor}"),
    ]);
    for path in paths {
        let path = format!("/auth/v1{path}");
        for (method, token) in [Method::GET, Method::POST, Method::PUT]
            .into_iter()
            .flat_map(|method| [(method.clone(), &admin), (method, &user.access_token)])
        {
            let authorization = format!("Bearer {token}");
            let headers = [("authorization", authorization.as_str())];
            for body in &bodies {
                let sent = mock.try_send(method.clone(), &path, &headers, Some(body.clone())).await;
                assert!(sent.is_ok(), "{method} {path} {body}");
            }
        }
    }
    let users = mock.send_with_token(Method::GET, "/auth/v1/admin/users", &admin, None).await;
    assert_eq!(users.status, StatusCode::OK);
}

#[tokio::test]
async fn a_ban_before_1970_is_a_time_like_any_other() {
    let mock = RunningMock::start_default().await;
    let admin = mock.admin_token();
    let body =
        json!({"email": "ann@example.com", "password": PASSWORD, "ban_duration": "-600000h"});
    let path = "/auth/v1/admin/users";
    let created = mock.send_with_token(Method::POST, path, &admin, Some(body)).await;
    assert_eq!(created.status, StatusCode::OK, "{}", created.body);
    assert!(created.json()["banned_until"].as_str().unwrap().starts_with("1958-06-"));
    let listed = mock.send_with_token(Method::GET, path, &admin, None).await;
    assert_eq!(listed.json()["users"].as_array().unwrap().len(), 1);
}
