//! Section 4 of the contract: the effect of a logout on the session, and the response to the client.

use serde_json::json;

use crate::harness::{
    Browser, Connection, CookieFormat, LOGOUT_PATHS, Setup, TestApp, assert_error, assert_success,
    claims_of, eventually, forged_token,
};

/// A condition of the session or of GoTrue, and the response to a logout that the contract then requires.
struct OutcomeCase {
    name: &'static str,
    scope: &'static str,
    flags: &'static [(&'static str, &'static str)],
    /// Changes the session, or injects a fault into the mock, before the logout.
    before: fn(&TestApp, &gotrue_mock::Tokens),
    /// The error's status, code and reason. `None` stands for the success response of the route.
    error: Option<(u16, &'static str, Option<&'static str>)>,
    outcome: &'static str,
    /// Whether the session must be alive after the logout.
    lives: bool,
}

const FAILED: Option<(u16, &str, Option<&str>)> =
    Some((500, "LOGOUT_FAILED", Some("auth_service_unavailable")));

const NOT_FOUND: Option<(u16, &str, Option<&str>)> =
    Some((401, "NOT_AUTHENTICATED", Some("not_found")));
const UNAUTHORIZED: &[(&str, &str)] = &[("session-not-found", "unauthorized")];

const REVOKED: OutcomeCase = OutcomeCase {
    name: "revoked",
    scope: "local",
    flags: &[],
    before: |_, _| {},
    error: None,
    outcome: "revoked",
    lives: false,
};
const GONE: OutcomeCase = OutcomeCase {
    name: "session gone",
    before: |app, tokens| assert!(app.mock.delete_session(tokens.session_id)),
    outcome: "already-ended",
    ..REVOKED
};
const USER_GONE: OutcomeCase = OutcomeCase {
    name: "user gone",
    before: |app, tokens| assert!(app.mock.delete_user(tokens.user_id)),
    outcome: "already-ended",
    ..REVOKED
};
const FAILING: OutcomeCase = OutcomeCase {
    name: "failing",
    before: |app, _| {
        app.inject_fault(
            json!({"operation": "logout", "kind": "status", "status": 503, "times": 2}),
        );
    },
    error: FAILED,
    outcome: "failed",
    lives: true,
    ..REVOKED
};

const CASES: [OutcomeCase; 17] = [
    REVOKED,
    OutcomeCase { scope: "global", ..REVOKED },
    OutcomeCase { scope: "others", lives: true, ..REVOKED },
    GONE,
    OutcomeCase { flags: UNAUTHORIZED, error: NOT_FOUND, ..GONE },
    OutcomeCase { scope: "global", error: NOT_FOUND, outcome: "failed", ..GONE },
    OutcomeCase { scope: "others", error: NOT_FOUND, outcome: "failed", ..GONE },
    USER_GONE,
    OutcomeCase { scope: "global", ..USER_GONE },
    OutcomeCase { scope: "others", ..USER_GONE },
    OutcomeCase { flags: UNAUTHORIZED, error: NOT_FOUND, ..USER_GONE },
    OutcomeCase {
        name: "banned",
        before: |app, tokens| assert!(app.mock.ban_user(tokens.user_id)),
        error: Some((500, "LOGOUT_FAILED", Some("user_banned"))),
        ..FAILING
    },
    FAILING,
    OutcomeCase { scope: "global", ..FAILING },
    OutcomeCase { scope: "others", ..FAILING },
    OutcomeCase {
        name: "too slow",
        flags: &[("upstream-timeout", "150ms")],
        before: |app, _| {
            app.inject_fault(json!({"operation": "logout", "kind": "hang", "times": 1}));
        },
        error: Some((500, "LOGOUT_FAILED", Some("auth_service_timeout"))),
        ..FAILING
    },
    OutcomeCase {
        name: "rate limited",
        before: |app, _| {
            app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 429,
                "headers": {"Retry-After": "17"}, "times": 1}));
        },
        error: Some((429, "RATE_LIMITED", None)),
        ..FAILING
    },
];

#[tokio::test]
async fn every_outcome_is_reported_at_every_route_by_bearer_and_by_cookie() {
    for expected in CASES {
        let app = TestApp::with_flags(expected.flags).await;
        for route in LOGOUT_PATHS {
            for by_cookie in [false, true] {
                check_outcome(&app, &expected, route, by_cookie).await;
            }
        }
    }
}

async fn check_outcome(app: &TestApp, expected: &OutcomeCase, route: &str, by_cookie: bool) {
    let case = format!("{} {} at {route}, by cookie: {by_cookie}", expected.name, expected.scope);
    let tokens = app.sign_up();
    let mut browser = Browser::signed_in(app, &tokens, CookieFormat::Base64).await;
    let cookies = browser.jar.names().len();
    (expected.before)(app, &tokens);
    let calls = app.gotrue_calls("logout").len();

    let target = format!("{route}?scope={}", expected.scope);
    let reply = if by_cookie {
        browser.logout(&target).await
    } else {
        // The request has a Bearer token and the cookies of the same session, as a page's `fetch` with
        // credentials sends them.
        let reply = browser.request("POST", &target).bearer(&tokens.access_token).send().await;
        browser.store_cookies(&reply);
        reply
    };

    match expected.error {
        None => assert_success(&reply, route, tokens.user_id, expected.outcome),
        Some((status, code, reason)) => {
            assert_error(&reply, status, code, reason);
            assert_eq!(reply.header("x-logout-outcome"), Some(expected.outcome), "{case}");
        }
    }
    let retry_after = (reply.status == 429).then_some("17");
    assert_eq!(reply.header("retry-after"), retry_after, "{case}");
    assert_eq!(app.is_alive(&tokens), expected.lives, "{case}");
    let called = app.gotrue_calls("logout");
    assert!(called.len() > calls, "{case}");
    let queries: Vec<_> = called.iter().skip(calls).map(|call| call.query.as_str()).collect();
    assert!(
        queries.iter().all(|query| *query == format!("scope={}", expected.scope)),
        "{case}: {queries:?}"
    );
    if expected.scope == "others" {
        assert_eq!(browser.jar.names().len(), cookies, "{case}: this browser stays signed in");
        assert!(reply.set_cookies().is_empty(), "{case}");
    } else {
        assert!(browser.jar.is_empty(), "{case}: {:?}", browser.jar.names());
    }
}

#[tokio::test]
async fn a_scope_ends_the_sessions_it_names_and_no_others() {
    let app = TestApp::new().await;
    for (scope, this, other) in
        [("local", false, true), ("others", true, false), ("global", false, false)]
    {
        let first = app.sign_up();
        let (second, other_user) = (app.sign_in_again(&first), app.sign_up());
        let target = format!("/api/auth/logout?scope={scope}");
        let reply = app.post(&target).bearer(&first.access_token).send().await;
        assert_eq!(reply.status, 200);
        assert_eq!((app.is_alive(&first), app.is_alive(&second)), (this, other), "{scope}");
        assert!(app.is_alive(&other_user));
    }
}

#[tokio::test]
async fn without_gotrue_the_logout_fails_and_the_cookies_are_deleted() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Chunked).await;
    app.stop_mock();
    let reply = browser.logout("/api/auth/logout").await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_unavailable"));
    assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
    assert!(browser.jar.is_empty());
    assert!(app.is_alive(&tokens));
}

#[tokio::test]
async fn cookies_without_a_session_are_deleted_with_the_401_and_a_refused_bearer_token_deletes_none()
 {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let garbage = [("sb-127-auth-token", "garbage"), ("sb-csrf-token", "x"), ("theirs", "1")];
    let verifier = [("sb-127-auth-token-code-verifier", "x")];

    let reply = app.post("/logout").cookies(&garbage).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    assert_eq!(reply.deleted_cookies(), ["sb-127-auth-token", "sb-csrf-token"]);
    assert_eq!(reply.header("x-logout-outcome"), None);

    let reply = app.post("/logout").cookies(&verifier).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("missing"));
    assert!(reply.deleted_cookies().contains(&verifier[0].0));

    let reply = app.post("/logout").cookies(&[("sb-csrf-token", "x")]).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("missing"));
    assert!(reply.deleted_cookies().contains(&"sb-csrf-token"), "the CSRF cookie is deleted");

    for (cookies, case) in [(&[("theirs", "1")][..], "foreign"), (&[], "none")] {
        let reply = app.post("/logout").cookies(cookies).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("missing"));
        assert!(reply.set_cookies().is_empty(), "{case}");
    }

    let others = app.post("/logout?scope=others").cookies(&garbage).send().await;
    assert_error(&others, 401, "NOT_AUTHENTICATED", Some("invalid"));
    assert!(others.set_cookies().is_empty(), "this browser stays signed in");

    let browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    let claims = claims_of(&tokens.access_token).to_string();
    let forged = forged_token(r#"{"alg":"ES256","kid":"x"}"#, &claims);
    let reply = browser.logout_request("/logout").bearer(&forged).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    assert!(reply.set_cookies().is_empty(), "the cookies were not checked");
    assert!(app.is_alive(&tokens));

    // A Bearer token that is not of this project is ignored beside a session cookie, so the cookies are
    // checked.
    let reply = app.post("/logout").cookies(&garbage).bearer("not.a.token").send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    assert_eq!(reply.deleted_cookies(), ["sb-127-auth-token", "sb-csrf-token"]);
    let csrf_alone = [("sb-csrf-token", "x")];
    let reply = app.post("/logout").cookies(&csrf_alone).bearer("not.a.token").send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    assert!(reply.set_cookies().is_empty(), "the request has no session cookie");

    app.advance_time(3601);
    let reply = app.post("/logout").cookies(&garbage).bearer(&tokens.access_token).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("expired"));
    assert!(
        reply.set_cookies().is_empty(),
        "an expired Bearer token says nothing about the cookies"
    );
    assert_eq!(app.gotrue_call_count(), 0);
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_the_revocation() {
    let app = Setup::new().start().await;
    let tokens = app.sign_up();
    // GoTrue responds late, so that the client has disconnected before the logout is done.
    app.inject_fault(json!({"operation": "logout", "kind": "delay", "seconds": 0.3, "times": 1}));
    let mut connection = Connection::open(app.address).await;
    let request = app.post("/api/auth/logout").bearer(&tokens.access_token);
    connection.write(&request.bytes(false)).await;
    eventually("GoTrue gets the logout", || async { !app.gotrue_calls("logout").is_empty() }).await;
    assert!(app.is_alive(&tokens));
    drop(connection);
    eventually("the session is dead", || async { !app.is_alive(&tokens) }).await;
    eventually("the session is on the revocation list", || async {
        app.verify(&tokens).await == 401
    })
    .await;
}
