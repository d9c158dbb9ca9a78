//! Section 8 of the contract: the requests to GoTrue, their retries, and the meaning of GoTrue's responses.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Reply, Setup, TestApp, assert_error, assert_success};

async fn send_logout(app: &TestApp, token: &str) -> Reply {
    app.post("/api/auth/logout").bearer(token).send().await
}

#[tokio::test]
async fn gotrue_gets_the_request_that_the_contract_describes() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let request = app.post("/api/auth/logout?scope=global").bearer(&tokens.access_token);
    let request = request.headers(&[
        ("X-Request-Id", "the-request"),
        ("User-Agent", "the browser/1.0"),
        ("X-Forwarded-For", "6.6.6.6"),
        ("Cookie", "theirs=1"),
        ("X-Anything", "else"),
    ]);
    let reply = request.header("Content-Type", "application/json").body("{}").send().await;
    assert_eq!(reply.status, 200);
    let calls = app.gotrue_calls("logout");
    assert_eq!(calls.len(), 1);
    let call = &calls[0];
    assert_eq!((&*call.method, &*call.query, &*call.body), ("POST", "scope=global", ""));
    let authorization = format!("Bearer {}", tokens.access_token);
    let client_info = concat!("logout-gateway/", env!("CARGO_PKG_VERSION"));
    for (name, value) in [
        ("authorization", authorization.as_str()),
        ("apikey", "test-anon-key"),
        ("x-supabase-api-version", "2024-01-01"),
        ("x-client-info", client_info),
        ("x-request-id", "the-request"),
        ("x-forwarded-for", "127.0.0.1"),
        ("user-agent", "the browser/1.0"),
    ] {
        assert_eq!(
            call.headers.get(name).map(Vec::as_slice),
            Some(&[value.to_owned()][..]),
            "{name}"
        );
    }
    for name in ["cookie", "x-anything", "content-type", "x-forwarded-proto"] {
        assert_eq!(call.header(name), None, "{name}");
    }

    let app = TestApp::with_flags(&[("trusted-proxies", "127.0.0.1, 10.0.0.0/8")]).await;
    for (forwarded, client) in [
        ("1.2.3.4", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4, 10.0.0.7", "1.2.3.4"),
        ("garbage, 10.0.0.7", "10.0.0.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("\"\"", "127.0.0.1"),
    ] {
        let request = app.post("/logout").bearer(&app.sign_up().access_token);
        assert_eq!(request.header("X-Forwarded-For", forwarded).send().await.status, 200);
        let call = app.gotrue_calls("logout").pop().unwrap();
        assert_eq!(call.header("x-forwarded-for"), Some(client), "{forwarded}");
    }
}

#[tokio::test]
async fn the_publishable_key_takes_precedence_over_the_anon_key_and_gotrue_may_have_its_own_url() {
    let app = TestApp::new().await;
    let base = format!("{}/auth/v1/", app.mock.url());
    let setup =
        Setup::new().flag("supabase-url", "https://abc.supabase.co").flag("gotrue-url", &base);
    let setup = setup.flag("jwt-issuer", app.mock.issuer());
    let other = setup.flag("supabase-publishable-key", "sb_publishable_x").start().await;
    let tokens = app.sign_up();
    assert_eq!(other.post("/logout").bearer(&tokens.access_token).send().await.status, 200);
    assert!(!app.is_alive(&tokens));
    assert_eq!(app.gotrue_calls("logout")[0].header("apikey"), Some("sb_publishable_x"));
    let key_set = app.gotrue_calls(".well-known/jwks.json").pop().unwrap();
    assert_eq!(key_set.header("apikey"), Some("sb_publishable_x"));
}

/// Each row has a fault, the number of tries, and the reason in the response if every try has the fault.
#[tokio::test]
async fn a_request_is_retried_once_if_a_retry_can_help() {
    let app = Setup::new().flag("upstream-timeout", "5s").start().await;
    let status = |status: u16| json!({"operation": "logout", "kind": "status", "status": status});
    let kind = |kind: &str| json!({"operation": "logout", "kind": kind});
    let rows = [
        (status(502), 2, "auth_service_unavailable"),
        (status(503), 2, "auth_service_unavailable"),
        (status(504), 2, "auth_service_timeout"),
        (kind("reset"), 2, "auth_service_unavailable"),
        (kind("garbage"), 2, "auth_service_unavailable"),
        (status(500), 1, "auth_service_error"),
        (status(400), 1, "auth_service_error"),
        (status(401), 1, "auth_service_error"),
        (status(403), 1, "auth_service_error"),
        (status(404), 1, "auth_service_error"),
        (status(405), 1, "auth_service_error"),
        (status(200), 1, "auth_service_error"),
        (status(202), 1, "auth_service_error"),
        (kind("redirect"), 1, "auth_service_error"),
        (kind("oversize"), 1, "auth_service_error"),
        (kind("truncate"), 1, "auth_service_error"),
    ];
    for (mut fault, tries, reason) in rows {
        let tokens = app.sign_up();
        let before = app.gotrue_call_count();
        fault["times"] = json!(tries);
        app.inject_fault(fault.clone());
        let reply = send_logout(&app, &tokens.access_token).await;
        assert_error(&reply, 500, "LOGOUT_FAILED", Some(reason));
        assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
        assert_eq!(app.gotrue_call_count() - before, tries, "{fault}");
        assert!(app.is_alive(&tokens), "{fault}");

        // If the fault occurs only once, the gateway's second try must succeed, for faults with two tries.
        fault["times"] = json!(1);
        app.inject_fault(fault.clone());
        let reply = send_logout(&app, &tokens.access_token).await;
        assert_eq!(reply.status == 200, tries == 2, "{fault}");
        assert_eq!(app.is_alive(&tokens), tries == 1, "{fault}");
    }
    assert!(app.mock.calls().iter().all(|call| !call.path.contains("redirected")));
}

#[tokio::test]
async fn a_refresh_is_retried_by_the_same_rules() {
    let app = TestApp::new().await;
    for (fault, tries) in [
        (json!({"operation": "token", "kind": "status", "status": 503, "times": 1}), 2),
        (json!({"operation": "token", "kind": "reset", "times": 1, "effect": true}), 2),
    ] {
        let tokens = app.sign_up();
        let browser =
            crate::harness::Browser::signed_in(&app, &tokens, crate::harness::CookieFormat::Raw);
        let mut browser = browser.await;
        app.advance_time(3600);
        let before = app.gotrue_calls("token").len();
        app.inject_fault(fault);
        let reply = browser.logout("/logout").await;
        assert_success(&reply, "/logout", tokens.user_id, "revoked");
        assert_eq!(app.gotrue_calls("token").len() - before, tries);
        assert!(!app.is_alive(&tokens));
    }
}

#[tokio::test]
async fn a_refusal_of_the_second_try_is_final() {
    let app = TestApp::new().await;
    for status in [400, 401, 403, 404, 429] {
        let tokens = app.sign_up();
        let before = app.gotrue_call_count();
        for status in [503, status] {
            let kind =
                json!({"operation": "logout", "kind": "status", "status": status, "times": 1});
            app.inject_fault(kind);
        }
        let reply = send_logout(&app, &tokens.access_token).await;
        assert_eq!(reply.status, if status == 429 { 429 } else { 500 });
        assert_eq!(app.gotrue_call_count() - before, 2, "{status}");
        assert!(app.is_alive(&tokens));
    }
}

#[tokio::test]
async fn a_session_that_is_gone_after_a_try_of_unknown_outcome_was_revoked_by_it() {
    let app = TestApp::new().await;
    for kind in [
        json!({"kind": "reset"}),
        json!({"kind": "garbage"}),
        json!({"kind": "status", "status": 502}),
        json!({"kind": "status", "status": 504}),
    ] {
        for scope in ["local", "global"] {
            let mut fault = kind.clone();
            fault["operation"] = json!("logout");
            fault["effect"] = json!(true);
            fault["times"] = json!(1);
            let tokens = app.sign_up();
            app.inject_fault(fault);
            let target = format!("/api/auth/logout?scope={scope}");
            let reply = app.post(&target).bearer(&tokens.access_token).send().await;
            assert_success(&reply, "/api/auth/logout", tokens.user_id, "revoked");
            assert!(!app.is_alive(&tokens));
        }
    }
}

/// A logout with the scope `others` does not end its own session, so the first try cannot have ended that
/// session.
#[tokio::test]
async fn with_scope_others_a_session_that_is_gone_after_a_try_of_unknown_outcome_is_not_found() {
    let app = TestApp::new().await;
    for mut fault in [
        json!({"kind": "status", "status": 503}),
        json!({"kind": "status", "status": 504}),
        json!({"kind": "reset"}),
        json!({"kind": "garbage"}),
    ] {
        fault["operation"] = json!("logout");
        fault["times"] = json!(1);
        let tokens = app.sign_up();
        let other = app.sign_in_again(&tokens);
        assert!(app.mock.delete_session(tokens.session_id));
        app.inject_fault(fault.clone());
        let before = app.gotrue_calls("logout").len();
        let request = app.post("/api/auth/logout?scope=others").bearer(&tokens.access_token);
        let reply = request.send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("not_found"));
        assert_eq!(reply.header("x-logout-outcome"), Some("failed"), "{fault}");
        assert_eq!(app.gotrue_calls("logout").len() - before, 2, "{fault}");
        assert!(app.is_alive(&other), "{fault}");
    }
}

#[tokio::test]
async fn an_unreachable_gotrue_is_noticed_within_the_connect_timeout() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    app.stop_mock();
    let begun = Instant::now();
    let reply = send_logout(&app, &tokens.access_token).await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_unavailable"));
    assert!(begun.elapsed() < Duration::from_secs(4), "two tries of a second each at most");
}

#[tokio::test]
async fn a_gotrue_that_hangs_is_given_up_at_the_upstream_timeout() {
    let app = TestApp::with_flags(&[("upstream-timeout", "250ms")]).await;
    for fault in [
        json!({"operation": "logout", "kind": "hang", "times": 1}),
        json!({"operation": "logout", "kind": "delay", "seconds": 30, "times": 1}),
    ] {
        let tokens = app.sign_up();
        app.inject_fault(fault);
        let before = app.gotrue_calls("logout").len();
        let begun = Instant::now();
        let reply = send_logout(&app, &tokens.access_token).await;
        let took = begun.elapsed();
        assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_timeout"));
        assert!(took >= Duration::from_millis(250) && took < Duration::from_secs(3), "{took:?}");
        assert_eq!(app.gotrue_calls("logout").len() - before, 1, "no time is left for another try");
        assert!(app.is_alive(&tokens));
    }
}

#[tokio::test]
async fn a_user_agent_of_more_than_1024_bytes_is_not_passed_on() {
    let app = TestApp::new().await;
    for (bytes, passed_on) in [(1024, true), (1025, false), (8000, false)] {
        let agent = "a".repeat(bytes);
        let request = app.post("/logout").bearer(&app.sign_up().access_token);
        assert_eq!(request.header("User-Agent", &agent).send().await.status, 200, "{bytes}");
        let call = app.gotrue_calls("logout").pop().unwrap();
        assert_eq!(call.header("user-agent"), passed_on.then_some(&*agent), "{bytes}");
    }
}

#[tokio::test]
async fn cloudflares_errors_for_gotrue_are_temporary_and_queued() {
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("store").display());
    let app = TestApp::with_flags(&[("store", &store)]).await;
    for status in 520..=530 {
        let tokens = app.sign_up();
        let before = app.gotrue_calls("logout").len();
        app.inject_fault(
            json!({"operation": "logout", "kind": "status", "status": status, "times": 1}),
        );
        let reply = send_logout(&app, &tokens.access_token).await;
        assert_eq!(
            (reply.status, reply.header("x-logout-outcome")),
            (202, Some("queued")),
            "{status}"
        );
        assert_eq!(
            app.gotrue_calls("logout").len() - before,
            1,
            "{status} is not tried again at once"
        );
    }
}
