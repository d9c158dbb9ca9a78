//! Neither a store file nor Redis may contain tokens in clear text.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Browser, CookieFormat, RedisServer, Setup, TestApp, claims_of, eventually};

/// Queues a logout and logs a failure. Then asserts that the content of the store has the ids of user and
/// session, but no secret.
async fn assert_contains_no_token(store: &str, holds_all: impl FnOnce(TestApp) -> Vec<u8>) {
    let setup = Setup::new().flag("store", store).flag("admin-bind", "127.0.0.1:0");
    let app = setup.start().await;
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500}));
    let tokens = app.sign_up();
    let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    let csrf_token = browser.csrf_cookie().unwrap();
    assert_eq!(browser.logout("/logout?scope=global").await.status, 202);
    let noted = async || app.admin_json("/failures").await["failures"] != json!([]);
    eventually("the failure log has the failure", noted).await;
    let all = holds_all(app);
    let holds = |text: &str| all.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(&tokens.session_id.to_string()), "the store has the entry");
    let email = claims_of(&tokens.access_token)["email"].clone();
    let Value::String(email) = email else { panic!("no e-mail address: {email}") };
    let parts = tokens.access_token.split('.');
    for secret in parts.chain([&*tokens.refresh_token, &csrf_token, &email]) {
        assert!(!holds(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_store_file_contains_no_token() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = format!("file:{}", path.display());
    assert_contains_no_token(&store, |app| {
        app.stop_gateway();
        fs::read(path).unwrap()
    })
    .await;
}

#[tokio::test]
async fn redis_contains_no_token() {
    let server = RedisServer::start().await;
    assert_contains_no_token(&server.url(), |_app| {
        let all = server.dump();
        for kind in ["entries", "failures", "sessions", "users", "changes"] {
            assert!(all.contains(kind), "{kind}: {all}");
        }
        all.into_bytes()
    })
    .await;
}
