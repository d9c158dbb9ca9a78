//! Which logouts the gateway queues, and how many at most.

use gotrue_mock::{Algorithm, Tokens};
use serde_json::json;

use super::{drain_queue, logout_fault, queue_length, queue_logout, start_with_file_store};
use crate::harness::{
    Browser, CookieFormat, Request, Setup, TestApp, assert_error, claims_of, hs256_token,
};

#[tokio::test]
async fn a_4xx_without_gotrues_code_is_failed_and_not_queued() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    for (status, code) in [
        (400, None),
        (401, None),
        (413, None),
        (431, None),
        (404, None),
        (400, Some("no_such_code")),
    ] {
        let tokens = app.sign_up();
        app.inject_fault(json!({"operation": "logout", "kind": "status", "status": status,
            "code": code, "times": 1}));
        let reply = app.post("/logout").bearer(&tokens.access_token).send().await;
        assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
        assert_eq!(reply.header("x-logout-outcome"), Some("failed"), "{status}");
        assert_eq!(app.verify(&tokens).await, 401, "{status}: the owner logged out");
    }
    assert_eq!(queue_length(&app).await, 0);
}

#[tokio::test]
async fn a_failed_logout_of_an_unproven_session_is_not_queued() {
    let no_keys = json!({"operation": "jwks", "kind": "status", "status": 500});
    for (setup, faults) in [
        (Setup::new().algorithm(Algorithm::Hs256), vec![]),
        (Setup::new().without_readiness_check(), vec![no_keys]),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let store = format!("file:{}", directory.path().join("store").display());
        let setup = setup.flag("store", &store).flag("admin-bind", "127.0.0.1:0");
        let app = setup.start_with_faults(&faults).await;
        app.inject_fault(logout_fault(503));
        let owner = app.sign_up();
        let forged =
            hs256_token(&claims_of(&owner.access_token), "a-secret-of-someone-else-0123456789");
        for token in [&owner.access_token, &forged] {
            for scope in ["local", "global", "others"] {
                let target = format!("/logout?scope={scope}");
                let reply = app.post(&target).bearer(token).send().await;
                assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_unavailable"));
                assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
            }
        }
        assert_eq!(queue_length(&app).await, 0);
        let metrics = Request::new(app.admin_address.unwrap(), "GET", "/metrics").send().await;
        assert!(metrics.text().contains("\nlogout_gateway_revocations 0\n"));
        assert_eq!(app.admin_json("/failures").await["failures"], json!([]));
    }
}

#[tokio::test]
async fn a_session_that_gotrue_has_verified_is_queued() {
    let (app, _directory) = start_with_file_store(Setup::new().algorithm(Algorithm::Hs256)).await;
    let tokens = app.sign_up();
    assert_eq!(app.verify(&tokens).await, 200, "GoTrue verifies the session");
    app.inject_fault(logout_fault(503));
    queue_logout(&app, &tokens, "/logout").await;
    assert_eq!(app.verify(&tokens).await, 401, "a verified session enters the revocation list");
    app.mock.clear_faults();
    drain_queue(&app).await;
    assert!(!app.is_alive(&tokens));
}

#[tokio::test]
async fn logouts_of_one_session_with_invented_refresh_tokens_take_one_queue_entry() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(503));
    let tokens = app.sign_up();
    let victim = app.sign_up();
    for n in 0..20 {
        let refresh_token = format!("made-up-{n}");
        let made_up = Tokens { refresh_token, ..tokens.clone() };
        let mut browser = Browser::signed_in(&app, &made_up, CookieFormat::Base64).await;
        assert_eq!(browser.logout("/logout").await.status, 202);
    }
    assert_eq!(queue_length(&app).await, 1);
    assert_eq!(app.admin_json("/queue").await["entries"][0]["credentials"], json!(3));
    queue_logout(&app, &victim, "/logout").await;
    app.mock.clear_faults();
    drain_queue(&app).await;
    assert!(!app.is_alive(&tokens) && !app.is_alive(&victim));
}

#[tokio::test]
async fn one_user_has_sixty_four_sessions_in_the_queue_at_most() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    app.inject_fault(logout_fault(503));
    let first = app.sign_up();
    queue_logout(&app, &first, "/logout").await;
    for _ in 1..64 {
        queue_logout(&app, &app.sign_in_again(&first), "/logout").await;
    }
    let further = app.sign_in_again(&first);
    let reply = app.post("/logout").bearer(&further.access_token).send().await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_unavailable"));
    assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
    assert_eq!(
        app.verify(&further).await,
        401,
        "the session is on the revocation list, although it is not queued"
    );
    // A session that has a queued logout may queue a logout with another scope, even if its user has no place
    // left.
    queue_logout(&app, &first, "/logout?scope=global").await;
    let other_user = app.sign_up();
    queue_logout(&app, &other_user, "/logout").await;
    assert_eq!(queue_length(&app).await, 66);
}

#[tokio::test]
async fn a_full_queue_fails_logouts_and_does_not_affect_verify() {
    let (app, _directory) =
        start_with_file_store(Setup::new().flag("queue-max-bytes", "1MiB")).await;
    app.inject_fault(logout_fault(503));
    let session_with_large_token = |app: &TestApp| {
        let tokens = app.sign_up();
        let mut claims = claims_of(&tokens.access_token);
        claims["user_metadata"] = json!({"text": "x".repeat(60_000)});
        Tokens { access_token: app.mock.sign(&claims).unwrap(), ..tokens }
    };
    let mut queued = 0;
    let refused = loop {
        let tokens = session_with_large_token(&app);
        let reply = app.post("/logout").bearer(&tokens.access_token).send().await;
        if reply.status != 202 {
            assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
            break tokens;
        }
        queued += 1;
        assert!(queued < 20, "the queue has no limit in bytes");
    };
    assert!(queued > 5, "{queued}");
    assert_eq!(app.verify(&refused).await, 401, "the revocation list stays writable");
    assert_eq!(app.verify(&app.sign_up()).await, 200);
    app.mock.clear_faults();
    drain_queue(&app).await;
    app.inject_fault(logout_fault(503));
    queue_logout(&app, &session_with_large_token(&app), "/logout").await;
}
