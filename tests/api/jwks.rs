//! Section 8 of the contract: the key set of a GoTrue that rotates its keys. Unit tests check the times of
//! the fetches on a paused clock.

mod key_sets;

use std::time::Duration;

use gotrue_mock::{Algorithm, TEST_SECRET};
use serde_json::json;
use tokio::{task::JoinSet, time::timeout};

use crate::harness::{
    CookieFormat, Request, Setup, TestApp, assert_error, claims_of, eventually, forged_token,
    hs256_token, session_cookies,
};

const KEY_SET: &str = ".well-known/jwks.json";

#[tokio::test]
async fn a_rotated_key_is_fetched_once_and_the_old_one_is_valid_while_it_is_published() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256] {
        for kept in [true, false] {
            let app = Setup::new().algorithm(algorithm).start().await;
            let (old, unseen) = (app.sign_up(), app.sign_up());
            assert_eq!(app.verify(&old).await, 200);
            assert_eq!(app.gotrue_calls(KEY_SET).len(), 1);
            let mock = &app.mock;
            let rotated = if kept { mock.rotate_keys_keeping_old() } else { mock.rotate_keys() };
            rotated.unwrap();
            let new = app.sign_up();
            assert_eq!(
                app.verify(&old).await,
                200,
                "the gateway does not know of the rotation yet"
            );
            let verify_new = || app.verify(&new);
            assert_eq!(
                tokio::join!(verify_new(), verify_new(), verify_new(), verify_new()),
                (200, 200, 200, 200)
            );
            assert_eq!(app.gotrue_calls(KEY_SET).len(), 2, "the four requests share one fetch");
            assert_eq!(app.post("/logout").bearer(&new.access_token).send().await.status, 200);
            assert!(!app.is_alive(&new));
            // The gateway has verified the token `old` before the rotation, but has not seen the token
            // `unseen` yet.
            for tokens in [&old, &unseen] {
                let status = if kept { 200 } else { 401 };
                assert_eq!(app.verify(tokens).await, status, "{algorithm}, kept: {kept}");
                let reply = app.post("/logout").bearer(&tokens.access_token).send().await;
                assert_eq!(reply.status, status, "{algorithm}, kept: {kept}");
                assert_eq!(app.is_alive(tokens), !kept);
            }
            assert_eq!(app.gotrue_calls(KEY_SET).len(), 2);
        }
    }
}

/// A logout or a request to `verify`; `n` selects which, and whether the token is a Bearer token or a cookie.
fn request_with_token(app: &TestApp, token: &str, n: usize) -> Request {
    let request = match n % 4 {
        0 | 1 => app.post("/logout"),
        _ => app.get("/api/auth/verify"),
    };
    match n % 2 {
        0 => request.bearer(token),
        _ => request.cookies(&session_cookies(
            "sb-127-auth-token",
            token,
            "none",
            CookieFormat::Base64,
        )),
    }
}

#[tokio::test]
async fn a_thousand_unknown_key_ids_cause_one_fetch_and_delay_no_token_of_a_known_key() {
    let app = TestApp::with_flags(&[("upstream-timeout", "1h")]).await;
    let (known, owner) = (app.sign_up(), app.sign_up());
    app.inject_fault(json!({"operation": "jwks", "kind": "hang"}));
    let claims = claims_of(&owner.access_token).to_string();
    let unknown_key_token = |n| {
        forged_token(&json!({"alg": "ES256", "kid": format!("made-up-{n}")}).to_string(), &claims)
    };
    let mut waiting = JoinSet::new();
    for n in 0..1000 {
        waiting.spawn(request_with_token(&app, &unknown_key_token(n), n).send());
    }
    eventually("the gateway fetches the key set", || async {
        app.gotrue_calls(KEY_SET).len() == 2
    })
    .await;
    assert_eq!(app.verify(&known).await, 200);
    assert_eq!(app.post("/logout").bearer(&known.access_token).send().await.status, 200);
    assert!(!app.is_alive(&known));
    assert_eq!(app.get("/readyz").send().await.status, 200);
    let finished = waiting.try_join_next();
    assert!(finished.is_none(), "the fetch is still under way: {finished:?}");

    // The fetch hangs until the upstream timeout, but fails at once when the mock stops. The waiting requests
    // must then get their responses without waiting for another fetch.
    app.stop_mock();
    while let Some(reply) = waiting.join_next().await {
        assert_error(&reply.unwrap(), 401, "NOT_AUTHENTICATED", Some("invalid"));
    }
    for n in 1000..1020 {
        let reply = request_with_token(&app, &unknown_key_token(n), n).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    }
    assert_eq!(app.gotrue_calls(KEY_SET).len(), 2);
    assert!(app.is_alive(&owner));
    assert_eq!(app.verify(&owner).await, 200, "the owner of the session is not locked out");
}

#[tokio::test]
async fn a_new_key_is_not_fetched_within_half_a_minute_after_an_unknown_key_id() {
    let app = TestApp::new().await;
    let claims = claims_of(&app.sign_up().access_token).to_string();
    let unknown_key_token = forged_token(r#"{"alg":"ES256","kid":"made-up"}"#, &claims);
    assert_eq!(request_with_token(&app, &unknown_key_token, 0).send().await.status, 401);
    assert_eq!(app.gotrue_calls(KEY_SET).len(), 2);
    app.mock.rotate_keys().unwrap();
    assert_eq!(app.verify(&app.sign_up()).await, 401);
    assert_eq!(app.gotrue_calls(KEY_SET).len(), 2);
}

#[tokio::test]
async fn a_known_key_id_with_another_algorithm_causes_no_fetch() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let kid = jsonwebtoken::decode_header(&tokens.access_token).unwrap().kid.unwrap();
    let claims = claims_of(&tokens.access_token).to_string();
    for algorithm in ["RS256", "EdDSA"] {
        let header = json!({"alg": algorithm, "kid": kid}).to_string();
        let reply = app.post("/logout").bearer(&forged_token(&header, &claims)).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    }
    assert_eq!(app.gotrue_calls(KEY_SET).len(), 1);
    assert!(app.is_alive(&tokens));
}

#[tokio::test]
async fn with_the_jwt_secret_the_gateway_is_ready_without_a_key_set() {
    let down = json!({"operation": "jwks", "kind": "status", "status": 500});
    let setup = Setup::new().algorithm(Algorithm::Hs256).flag("supabase-jwt-secret", TEST_SECRET);
    let app = setup.start_with_faults(std::slice::from_ref(&down)).await;
    let tokens = app.sign_up();
    assert_eq!(app.verify(&tokens).await, 200);
    let forged =
        hs256_token(&claims_of(&tokens.access_token), "a-secret-of-someone-else-0123456789");
    let reply = app.post("/logout").bearer(&forged).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    assert_eq!(app.gotrue_call_count(), 0, "the gateway verifies the token itself");
    assert_eq!(app.post("/logout").bearer(&tokens.access_token).send().await.status, 200);
    assert!(!app.is_alive(&tokens));
}

#[tokio::test]
async fn a_key_set_that_is_available_late_makes_the_gateway_ready_without_a_request() {
    let down = json!({"operation": "jwks", "kind": "status", "status": 500, "times": 1});
    let app = Setup::new().without_readiness_check().start_with_faults(&[down]).await;
    eventually("the first fetch failed", || async { !app.gotrue_calls(KEY_SET).is_empty() }).await;
    eventually("ready", || async { app.get("/readyz").send().await.status == 200 }).await;
    assert_eq!(app.verify(&app.sign_up()).await, 200);
    assert_eq!(app.gotrue_calls(KEY_SET).len(), 2);
}

#[tokio::test]
async fn an_unknown_key_in_a_cookie_delays_no_verify_of_a_bearer_token_with_a_known_key() {
    let app = TestApp::with_flags(&[("upstream-timeout", "1h")]).await;
    let (known, owner) = (app.sign_up(), app.sign_up());
    app.inject_fault(json!({"operation": "jwks", "kind": "hang"}));
    let claims = claims_of(&owner.access_token).to_string();
    let unknown_key_token = forged_token(r#"{"alg":"ES256","kid":"made-up"}"#, &claims);
    let cookies =
        session_cookies("sb-127-auth-token", &unknown_key_token, "none", CookieFormat::Base64);
    let verify = app.get("/api/auth/verify").bearer(&known.access_token).cookies(&cookies);
    let reply = timeout(Duration::from_secs(20), verify.send())
        .await
        .expect("a response without waiting for the fetch");
    assert_eq!((reply.status, reply.header("x-auth-carrier")), (200, Some("bearer")));
    assert_eq!(app.gotrue_calls(KEY_SET).len(), 1, "the cookie's token causes no fetch");
}

#[tokio::test]
async fn a_token_of_an_excluded_algorithm_is_refused() {
    let flags = [("jwt-algorithms", "ES256"), ("supabase-jwt-secret", TEST_SECRET)];
    for flags in [&flags[..], &flags[..1]] {
        let app = TestApp::with_flags(flags).await;
        let tokens = app.sign_up();
        let token = hs256_token(&claims_of(&tokens.access_token), TEST_SECRET);
        for request in [app.post("/logout"), app.get("/api/auth/verify")] {
            let reply = request.bearer(&token).send().await;
            assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
        }
        assert_eq!(app.gotrue_call_count(), 0, "GoTrue gets no request");
        assert_eq!(app.verify(&tokens).await, 200);
    }
}
