//! Sections 3 and 8 of the contract: the key sets, algorithms and secrets with which the gateway can verify
//! tokens. If the gateway can verify tokens, `/readyz` must be 200. If it cannot, it must refuse no token as
//! invalid.

use gotrue_mock::{Algorithm, TEST_SECRET};
use serde_json::json;

use crate::harness::{Setup, TestApp, assert_error, assert_not_ready, eventually};

/// GoTrue's response to a request for the key set.
#[derive(Clone, Copy, Debug, PartialEq)]
enum KeySet {
    /// GoTrue responds with the status 500.
    Missing,
    /// GoTrue responds with the status 404.
    NotFound,
    /// The key set has no keys, because the project signs with HS256.
    Empty,
    /// The key set has one key, for ES256.
    OfEs256,
}
use KeySet::{Empty, Missing, NotFound, OfEs256};

/// Each row has the allowed algorithms, whether the JWT secret is set, the key set, and whether `/readyz`
/// must be 200.
const READINESS_CASES: [(&str, bool, KeySet, bool); 29] = [
    ("RS256", false, Missing, false),
    ("RS256", false, NotFound, false),
    ("RS256", false, Empty, false),
    ("RS256", false, OfEs256, false),
    ("RS256", true, Missing, false),
    ("RS256", true, NotFound, false),
    ("RS256", true, Empty, false),
    ("RS256", true, OfEs256, false),
    ("ES256", false, OfEs256, true),
    ("ES256", true, OfEs256, true),
    ("RS256,HS256", false, Missing, false),
    // The gateway must not be ready, because the 404 may also mean that GOTRUE_URL is wrong.
    ("RS256,HS256", false, NotFound, false),
    ("RS256,HS256", false, Empty, true),
    ("RS256,HS256", false, OfEs256, true),
    ("RS256,HS256", true, Missing, true),
    ("RS256,HS256", true, NotFound, true),
    ("RS256,HS256", true, Empty, true),
    ("RS256,HS256", true, OfEs256, true),
    ("ES256,HS256", false, OfEs256, true),
    ("ES256,HS256", true, OfEs256, true),
    ("ES256,HS256", true, Missing, true),
    ("HS256", false, Missing, true),
    ("HS256", false, NotFound, true),
    ("HS256", false, Empty, true),
    ("HS256", false, OfEs256, true),
    ("HS256", true, Missing, true),
    ("HS256", true, NotFound, true),
    ("HS256", true, Empty, true),
    ("HS256", true, OfEs256, true),
];

async fn start_app(algorithms: &str, secret: bool, key_set: KeySet) -> TestApp {
    let algorithm = if key_set == OfEs256 { Algorithm::Es256 } else { Algorithm::Hs256 };
    let setup = Setup::new()
        .algorithm(algorithm)
        .flag("jwt-algorithms", algorithms)
        .without_readiness_check();
    let setup = if secret { setup.flag("supabase-jwt-secret", TEST_SECRET) } else { setup };
    let status = match key_set {
        Missing => 500,
        NotFound => 404,
        Empty | OfEs256 => return setup.start().await,
    };
    let fault = json!({"operation": "jwks", "kind": "status", "status": status});
    setup.start_with_faults(&[fault]).await
}

#[tokio::test]
async fn readyz_is_200_if_tokens_can_be_verified_and_otherwise_no_token_is_refused_as_invalid() {
    for (algorithms, secret, key_set, ready) in READINESS_CASES {
        let case = format!("{algorithms}, secret: {secret}, key set: {key_set:?}");
        let app = start_app(algorithms, secret, key_set).await;
        let fetched = async || !app.gotrue_calls(".well-known/jwks.json").is_empty();
        eventually("the first fetch", fetched).await;
        let tokens = app.sign_up();
        let verify = || app.get("/api/auth/verify").bearer(&tokens.access_token).send();
        if ready {
            let is_ready = async || app.get("/readyz").send().await.status == 200;
            eventually(&format!("ready: {case}"), is_ready).await;
            let signed_with = if key_set == OfEs256 { "ES256" } else { "HS256" };
            let expected = if algorithms.contains(signed_with) { 200 } else { 401 };
            assert_eq!(verify().await.status, expected, "{case}");
            continue;
        }
        assert_not_ready(&app.get("/readyz").send().await, "key_set");
        if algorithms.contains("HS256") {
            assert_eq!(verify().await.status, 200, "{case}: GoTrue verifies this token");
            continue;
        }
        assert_error(&verify().await, 503, "NOT_READY", Some("key_set"));
        let logout = app.post("/logout").bearer(&tokens.access_token).send().await;
        assert_error(&logout, 500, "LOGOUT_FAILED", Some("auth_service_unavailable"));
        assert!(app.is_alive(&tokens), "{case}");
    }
}

#[tokio::test]
async fn a_404_for_the_key_set_removes_no_known_key() {
    let setup = Setup::new().flag("supabase-jwt-secret", TEST_SECRET);
    let app = setup.start().await;
    let first = app.sign_up();
    let known = async || app.verify(&first).await == 200;
    eventually("the key is known", known).await;
    app.inject_fault(json!({"operation": "jwks", "kind": "status", "status": 404}));
    app.mock.rotate_keys().unwrap();
    assert_eq!(app.verify(&app.sign_up()).await, 401, "the unknown key causes a fetch");
    assert_eq!(app.gotrue_calls(".well-known/jwks.json").len(), 2);
    assert_eq!(app.verify(&first).await, 200);
}
