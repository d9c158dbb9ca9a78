//! The GoTrue mock: its control endpoints and its signing keys.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper that panics makes its test fail, as it should"
)]

use axum::http::{Method, StatusCode};
use gotrue_mock::{Algorithm, Options, Settings, SigningKeys};
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{PASSWORD, RunningMock};

const KEYS: &str = include_str!("../../../../fixtures/gotrue/signing-keys.json");

async fn kid(mock: &RunningMock) -> Value {
    mock.get("/auth/v1/.well-known/jwks.json").await.json()["keys"][0]["kid"].clone()
}

#[tokio::test]
async fn reset_removes_all_state() {
    let mock = RunningMock::start_default().await;
    let session = mock.sign_up();
    let first_kid = kid(&mock).await;
    mock.post("/mock/keys/rotate", json!({})).await;
    mock.post("/mock/faults", json!({"operation": "logout", "kind": "status"})).await;
    mock.post("/auth/v1/otp", json!({"phone": "+491701234567"})).await;
    assert_eq!(mock.mock.mails().len(), 1);

    assert_eq!(mock.post("/mock/reset", json!({})).await.status, StatusCode::NO_CONTENT);
    for list in ["calls", "sessions", "users", "mails", "faults"] {
        assert_eq!(mock.get(&format!("/mock/{list}")).await.json(), json!([]), "{list}");
    }
    assert!(!mock.mock.user_exists(session.user_id));
    assert_eq!(mock.refresh(&session.refresh_token).await.code(), "refresh_token_not_found");
    assert_eq!(mock.logout(&session.access_token).await.code(), "user_not_found");
    assert_eq!(kid(&mock).await, first_kid);
}

#[tokio::test]
async fn calls_lists_all_requests_except_those_to_control_endpoints() {
    let mock = RunningMock::start_default().await;
    let headers = [("x-mark", "one"), ("x-mark", "two")];
    let body = json!({"mark": "body"}).to_string();
    mock.send(Method::POST, "/auth/v1/logout?scope=local", &headers, Some(body.clone())).await;
    mock.get("/mock/sessions").await;

    let calls = mock.get("/mock/calls").await.json();
    assert_eq!(calls.as_array().unwrap().len(), 1, "{calls}");
    let call = &calls[0];
    assert_eq!((&call["method"], &call["path"]), (&json!("POST"), &json!("/auth/v1/logout")));
    assert_eq!((&call["query"], &call["body"]), (&json!("scope=local"), &json!(body)));
    assert_eq!(call["headers"]["x-mark"], json!(["one", "two"]));
    assert_eq!((&call["id"], &call["status"]), (&json!(0), &json!(401)));
    assert_eq!(call["at"], "2026-11-21T09:47:58.000000Z");
    assert_eq!(mock.mock.calls()[0].header("x-mark"), Some("one"));
}

#[tokio::test]
async fn sessions_are_listed_in_the_order_of_their_creation() {
    let mock = RunningMock::start_default().await;
    let user = mock.mock.create_user("Someone@Example.com", PASSWORD);
    let begun: Vec<_> =
        (0..5).map(|_| mock.mock.sign_in(user).unwrap().session_id.to_string()).collect();
    let listed = mock.get("/mock/sessions").await.json();
    let listed = listed.as_array().unwrap();
    let ids: Vec<_> = listed.iter().map(|session| session["id"].as_str().unwrap()).collect();
    assert_eq!(ids, begun);
    assert_eq!(listed[0]["user_id"], json!(user));
    assert_eq!(listed[0]["email"], "someone@example.com");
    assert_eq!(listed[0]["created_at"], "2026-11-21T09:47:58.000000Z");
}

#[tokio::test]
async fn deleting_a_session_keeps_the_users_other_sessions() {
    let mock = RunningMock::start_default().await;
    let one = mock.sign_up();
    let other = mock.mock.sign_in(one.user_id).unwrap();
    let path = format!("/mock/sessions/{}", one.session_id);
    assert_eq!(mock.send(Method::DELETE, &path, &[], None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(mock.logout(&one.access_token).await.code(), "session_not_found");
    assert_eq!(mock.refresh(&one.refresh_token).await.code(), "refresh_token_not_found");
    assert!(mock.mock.session_alive(other.session_id));
}

#[tokio::test]
async fn deleting_a_user_deletes_the_sessions_and_frees_the_address() {
    let mock = RunningMock::start_default().await;
    let user = mock.mock.create_user("someone@example.com", PASSWORD);
    let session = mock.mock.sign_in(user).unwrap();
    let path = format!("/mock/users/{user}");
    assert_eq!(mock.send(Method::DELETE, &path, &[], None).await.status, StatusCode::NO_CONTENT);
    assert!(!mock.mock.session_alive(session.session_id));
    let credentials = json!({"email": "someone@example.com", "password": PASSWORD});
    assert_eq!(mock.post("/auth/v1/signup", credentials).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_banned_user_cannot_sign_in_and_keeps_the_session() {
    let mock = RunningMock::start_default().await;
    let user = mock.mock.create_user("someone@example.com", PASSWORD);
    let session = mock.mock.sign_in(user).unwrap();
    let path = format!("/mock/users/{user}/ban");
    assert_eq!(mock.post(&path, json!({})).await.status, StatusCode::NO_CONTENT);
    let credentials = json!({"email": "someone@example.com", "password": PASSWORD});
    let refused = mock.post("/auth/v1/token?grant_type=password", credentials).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::BAD_REQUEST, "user_banned"));
    assert!(mock.mock.session_alive(session.session_id));
}

#[rstest]
#[case::a_user(Method::DELETE, "/mock/users/ID")]
#[case::a_user_to_ban(Method::POST, "/mock/users/ID/ban")]
#[case::a_session(Method::DELETE, "/mock/sessions/ID")]
#[tokio::test]
async fn an_unknown_id_is_not_found(#[case] method: Method, #[case] path: &str) {
    let mock = RunningMock::start_default().await;
    for id in [Uuid::new_v4().to_string(), "no-uuid".to_owned()] {
        let response = mock.send(method.clone(), &path.replace("ID", &id), &[], None).await;
        assert_eq!(response.status, StatusCode::NOT_FOUND);
    }
}

#[rstest]
#[tokio::test]
async fn after_a_rotation_only_the_new_key_verifies(
    #[values(Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Hs256)]
    algorithm: Algorithm,
) {
    let mock = RunningMock::start(Options { algorithm, ..Options::default() }).await;
    let old = mock.sign_up();
    let old_kid = kid(&mock).await;
    assert_eq!(mock.post("/mock/keys/rotate", json!({})).await.status, StatusCode::OK);
    let new = mock.mock.sign_in(old.user_id).unwrap();
    if algorithm != Algorithm::Hs256 {
        assert_ne!(kid(&mock).await, old_kid);
    }
    assert_eq!(mock.logout(&old.access_token).await.code(), "bad_jwt");
    assert!(mock.mock.session_alive(old.session_id));
    assert_eq!(mock.logout(&new.access_token).await.status, StatusCode::NO_CONTENT);
    assert!(!mock.mock.session_alive(new.session_id));
}

#[tokio::test]
async fn a_kept_old_key_stays_in_the_key_set_and_verifies() {
    let mock = RunningMock::start_default().await;
    let oldest = mock.sign_up();
    let keep = json!({"keep_old": true});
    let old_kid = kid(&mock).await;
    mock.post("/mock/keys/rotate", keep.clone()).await;
    let old = mock.sign_up();
    let set = mock.post("/mock/keys/rotate", keep).await.json();
    let kids: Vec<_> = set["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert_eq!((kids.len(), kids[2]), (3, &old_kid), "the newest key is first");
    assert_eq!(kid(&mock).await, *kids[0]);
    for session in [&oldest, &old, &mock.sign_up()] {
        assert_eq!(mock.logout(&session.access_token).await.status, StatusCode::NO_CONTENT);
        assert!(!mock.mock.session_alive(session.session_id));
    }
    let last = mock.sign_up();
    let no_body = mock.send(Method::POST, "/mock/keys/rotate", &[], None).await;
    assert_eq!(
        no_body.json()["keys"].as_array().unwrap().len(),
        1,
        "a rotation without `keep` also removes the kept keys"
    );
    assert_eq!(mock.logout(&last.access_token).await.code(), "bad_jwt");
    let refused = mock.post("/mock/keys/rotate", json!([1])).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[rstest]
#[case::as_an_object(KEYS.to_owned())]
#[case::as_a_set(json!({"keys": keys()}).to_string())]
#[case::as_a_list(json!(keys()).to_string())]
#[case::alone(keys()[0].to_string())]
#[tokio::test]
async fn signing_keys_are_read_in_every_form(#[case] json: String) {
    let signing_keys = SigningKeys::from_json(&json).unwrap();
    let mock = RunningMock::start(Options { signing_keys, ..Options::default() }).await;
    assert_eq!(kid(&mock).await, "es256-test-key");
    let session = mock.sign_up();
    assert_eq!(mock.logout(&session.access_token).await.status, StatusCode::NO_CONTENT);
}

#[rstest]
#[case::not_json("{")]
#[case::a_number("7")]
#[case::keys_that_are_not_a_list(r#"{"keys": 7}"#)]
#[case::a_public_key(r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"AAAA"}"#)]
#[case::inconsistent_parts(
    r#"{"kty":"EC","crv":"P-256","kid":"a","x":"AAAA","y":"AAAA","d":"AAAA"}"#
)]
#[test]
fn invalid_signing_keys_are_refused(#[case] json: &str) {
    SigningKeys::from_json(json).unwrap_err();
}

#[tokio::test]
async fn debug_output_contains_no_private_key_code_or_token() {
    let fixed_codes = [("15550100001".to_owned(), "271828".to_owned())].into();
    let settings = Settings { confirms_emails: false, fixed_codes, ..Settings::default() };
    let options = Options { settings, ..Options::default() };
    let mock = RunningMock::start(options.clone()).await;
    mock.post("/auth/v1/otp", json!({"email": "ann@example.com"})).await;
    let mail = mock.mock.mails().pop().unwrap();
    mock.get("/auth/v1/verify?token=the-token&type=signup").await;
    let shown = format!("{options:?} {:?} {mail:?}", mock.mock.calls());
    assert!(shown.contains("GET /auth/v1/verify"), "{shown}");

    let keys: Value = serde_json::from_str(KEYS).unwrap();
    let keys = ["ES256", "RS256", "EdDSA"].map(|name| keys[name]["d"].as_str().unwrap());
    let (hash, link) = (mail.token_hash.as_deref().unwrap(), mail.link.as_deref().unwrap());
    let others = ["271828", "the-token", &*mail.token, hash, link];
    for secret in keys.into_iter().chain(others) {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// The private test keys as JWKs: `ES256`, `RS256`, `EdDSA`.
fn keys() -> Vec<Value> {
    let keys: Value = serde_json::from_str(KEYS).unwrap();
    ["ES256", "RS256", "EdDSA"].map(|name| keys[name].clone()).to_vec()
}

#[rstest]
#[case::rotation("/mock/keys/rotate", json!({"keepOld": true}))]
#[case::clock("/mock/clock", json!({"advance": "2h", "x": 1}))]
#[tokio::test]
async fn an_unknown_member_is_refused(#[case] path: &str, #[case] body: Value) {
    let mock = RunningMock::start_default().await;
    let before = kid(&mock).await;
    assert_eq!(mock.post(path, body).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(kid(&mock).await, before);
}

#[tokio::test]
async fn a_list_can_be_cut_to_its_last_rows() {
    let mock = RunningMock::start_default().await;
    for _ in 0..3 {
        mock.sign_up();
        mock.post("/auth/v1/otp", json!({"email": "ann@example.com"})).await;
    }
    for (list, total) in [("users", "4"), ("sessions", "4"), ("mails", "3"), ("calls", "3")] {
        let all = mock.get(&format!("/mock/{list}")).await;
        assert_eq!(all.header("x-total-count"), Some(total), "{list}");
        let all = all.json();
        let last = mock.get(&format!("/mock/{list}?last=1")).await;
        assert_eq!(last.header("x-total-count"), Some(total));
        assert_eq!(last.json(), json!([all.as_array().unwrap().last()]), "{list}");
    }
}
