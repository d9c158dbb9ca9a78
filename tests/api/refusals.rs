//! Section 8 of the contract: the meaning of GoTrue's refusals, also if an API gateway is in front of GoTrue.

use serde_json::{Value, json};

use crate::harness::{Reply, Setup, TestApp, assert_error, recording};

async fn send_logout(app: &TestApp, token: &str) -> Reply {
    app.post("/api/auth/logout").bearer(token).send().await
}

/// Each refusal was recorded with GoTrue's new API version and with the old one.
#[tokio::test]
async fn a_refusal_means_the_same_in_both_api_versions() {
    type ExpectedResponse = (u16, Option<&'static str>, Option<&'static str>);
    let rows: [(&str, ExpectedResponse); 8] = [
        ("logout-session-gone", (200, None, Some("already-ended"))),
        ("logout-user-gone", (200, None, Some("already-ended"))),
        ("logout-user-banned", (500, Some("user_banned"), Some("failed"))),
        ("logout-token-expired", (401, Some("invalid"), None)),
        ("logout-bad-signature", (401, Some("invalid"), None)),
        ("logout-not-a-jwt", (401, Some("invalid"), None)),
        ("logout-no-authorization", (500, Some("auth_service_error"), Some("failed"))),
        ("logout-scope-unknown", (500, Some("auth_service_error"), Some("failed"))),
    ];
    let app = TestApp::new().await;
    for (name, (status, reason, outcome)) in rows {
        for name in [name.to_owned(), format!("{name}-old-api")] {
            let tokens = app.sign_up();
            app.inject_fault(recording(&name).as_fault("logout", Some(1)));
            let reply = send_logout(&app, &tokens.access_token).await;
            assert_eq!(reply.status, status, "{name}");
            assert_eq!(reply.header("x-logout-outcome"), outcome, "{name}");
            let actual_reason = (status != 200).then(|| reply.json()["error"]["reason"].clone());
            assert_eq!(actual_reason, reason.map(Value::from), "{name}");
        }
    }
}

#[tokio::test]
async fn a_database_that_is_down_is_an_error_of_gotrue() {
    let app = TestApp::new().await;
    for name in ["logout-local-database-down", "logout-global-database-down"] {
        let tokens = app.sign_up();
        app.inject_fault(recording(name).as_fault("logout", Some(1)));
        let reply = send_logout(&app, &tokens.access_token).await;
        assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
        assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
    }
}

#[tokio::test]
async fn the_code_header_takes_precedence_over_the_body_and_the_body_over_the_status() {
    let app = TestApp::new().await;
    let header = json!({"x-sb-error-code": "session_not_found"});
    let other = json!({"code": "user_banned", "message": "x"});
    let rows = [
        (json!({"status": 403, "headers": header, "body": other}), 200, None),
        (json!({"status": 403, "headers": header, "body": "<html>"}), 200, None),
        (
            json!({"status": 403, "body": {"code": 403, "error_code": "session_not_found"}}),
            200,
            None,
        ),
        (json!({"status": 403, "body": {"code": "session_not_found"}}), 200, None),
        (json!({"status": 429, "body": {"code": "user_banned"}}), 500, Some("user_banned")),
        (json!({"status": 403, "body": {"code": "made_up"}}), 500, Some("auth_service_error")),
        (json!({"status": 403, "body": "session_not_found"}), 500, Some("auth_service_error")),
        (
            json!({"status": 403, "body": {"message": "session_not_found"}}),
            500,
            Some("auth_service_error"),
        ),
        (
            json!({"status": 200, "body": {"code": "session_not_found"}}),
            500,
            Some("auth_service_error"),
        ),
        (
            json!({"status": 401, "body": {"message": "No API key found"}}),
            500,
            Some("auth_service_error"),
        ),
        (json!({"status": 500, "body": "<html>"}), 500, Some("auth_service_error")),
        // The error codes of a refused refresh must have no meaning in a response to a logout.
        (
            json!({"status": 400, "code": "refresh_token_not_found"}),
            500,
            Some("auth_service_error"),
        ),
        (json!({"status": 400, "code": "session_expired"}), 500, Some("auth_service_error")),
    ];
    for (mut fault, status, reason) in rows {
        let tokens = app.sign_up();
        fault["operation"] = json!("logout");
        fault["kind"] = json!("status");
        fault["times"] = json!(1);
        app.inject_fault(fault.clone());
        let reply = send_logout(&app, &tokens.access_token).await;
        assert_eq!(reply.status, status, "{fault}");
        let actual_reason = (status != 200).then(|| reply.json()["error"]["reason"].clone());
        assert_eq!(actual_reason, reason.map(Value::from), "{fault}");
    }
}

#[tokio::test]
async fn an_empty_code_header_is_ignored_and_the_body_decides() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    assert!(app.mock.delete_session(tokens.session_id));
    let body = json!({"code": "session_not_found"});
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 403, "times": 1,
        "headers": {"x-sb-error-code": ""}, "body": body}));
    let reply = send_logout(&app, &tokens.access_token).await;
    assert_eq!((reply.status, reply.header("x-logout-outcome")), (200, Some("already-ended")));
}

/// Each row has GoTrue's status and error code, the number of tries, and the reason in the gateway's
/// response.
#[tokio::test]
async fn an_error_code_with_a_5xx_is_not_used() {
    let app = Setup::new().flag("upstream-timeout", "5s").start().await;
    for (status, code, tries, reason) in [
        (500, "session_not_found", 1, "auth_service_error"),
        (500, "bad_jwt", 1, "auth_service_error"),
        (502, "user_not_found", 2, "auth_service_unavailable"),
        (503, "session_not_found", 2, "auth_service_unavailable"),
        (504, "user_banned", 2, "auth_service_timeout"),
    ] {
        let tokens = app.sign_up();
        let before = app.gotrue_calls("logout").len();
        app.inject_fault(json!({"operation": "logout", "kind": "status", "status": status,
            "code": code, "times": tries}));
        let reply = send_logout(&app, &tokens.access_token).await;
        assert_error(&reply, 500, "LOGOUT_FAILED", Some(reason));
        assert_eq!(reply.header("x-logout-outcome"), Some("failed"), "{status} {code}");
        assert_eq!(app.gotrue_calls("logout").len() - before, tries, "{status} {code}");
        assert!(app.is_alive(&tokens), "{status} {code}");
    }
}

#[tokio::test]
async fn a_rate_limit_is_passed_on_with_its_retry_after_if_that_is_valid() {
    let app = TestApp::new().await;
    let date = "Sun, 06 Nov 2026 08:49:37 GMT";
    for (given, expected) in [
        (Some("17"), Some("17")),
        (Some(date), None),
        (Some("Fri, 06 Nov 2026 08:49:37 GMT"), Some("Fri, 06 Nov 2026 08:49:37 GMT")),
        (Some("soon <script>"), None),
        (Some("-1"), None),
        (None, None),
    ] {
        let tokens = app.sign_up();
        let mut fault = json!({"operation": "logout", "kind": "status", "status": 429, "times": 1});
        if let Some(given) = given {
            fault["headers"] = json!({ "Retry-After": given });
        }
        app.inject_fault(fault);
        let reply = send_logout(&app, &tokens.access_token).await;
        assert_error(&reply, 429, "RATE_LIMITED", None);
        assert_eq!(reply.header("retry-after"), expected, "{given:?}");
        assert!(app.is_alive(&tokens));
    }
    assert_eq!(app.gotrue_call_count(), 6, "not retried");
}
