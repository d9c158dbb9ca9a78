//! Section 2 of the contract: routes, methods, scopes, bodies, and the order in which they are checked.

mod documents;

use crate::harness::{
    Browser, Connection, CookieFormat, LOGOUT_PATHS, TestApp, assert_error, assert_success,
};

#[tokio::test]
async fn the_logout_routes_differ_only_in_the_response_of_a_success() {
    let app = TestApp::new().await;
    for route in LOGOUT_PATHS {
        let tokens = app.sign_up();
        let reply = app.post(route).bearer(&tokens.access_token).send().await;
        assert_success(&reply, route, tokens.user_id, "revoked");
        assert!(!app.is_alive(&tokens), "{route}");
        assert_eq!(app.gotrue_calls("logout").last().unwrap().query, "scope=local", "{route}");
    }
}

#[tokio::test]
async fn another_method_is_405_with_allow_and_another_path_is_404() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let known = [
        ("/api/auth/logout", "POST"),
        ("/api/v1/auth/logout", "POST"),
        ("/logout", "POST"),
        ("/api/auth/csrf", "GET,HEAD"),
        ("/healthz", "GET,HEAD"),
        ("/readyz", "GET,HEAD"),
        ("/openapi.json", "GET,HEAD"),
        ("/docs", "GET,HEAD"),
    ];
    let with_and_without_slash =
        |(path, allowed): (&str, _)| [(path.to_owned(), allowed), (format!("{path}/"), allowed)];
    for (path, allowed) in known.into_iter().flat_map(with_and_without_slash) {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
            if allowed.contains(method) {
                continue;
            }
            // The gateway must check the method first, although the credential is valid.
            let request = app.request(method, &path).bearer(&tokens.access_token);
            let reply = request.send().await;
            assert_error(&reply, 405, "METHOD_NOT_ALLOWED", None);
            assert_eq!(reply.header("allow"), Some(allowed), "{method} {path}");
        }
    }
    let unknown = [
        "/",
        "/api/auth/logout//",
        "/api/auth/logout/x",
        "/API/auth/logout",
        "/api/auth/csrf//",
        "/api/auth/verifyx",
        "/logout/x",
        "/logout//",
        "/metrics",
        "/queue",
        "/failures",
        "/auth/v1/logout",
    ];
    for path in unknown {
        for method in ["GET", "POST", "OPTIONS"] {
            let reply = app.request(method, path).bearer(&tokens.access_token).send().await;
            assert_error(&reply, 404, "NOT_FOUND", None);
        }
    }
    assert!(app.is_alive(&tokens));
    assert_eq!(app.gotrue_call_count(), 0);
}

#[tokio::test]
async fn a_scope_must_be_one_of_three_words_and_given_once() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let bad = [
        "scope=",
        "scope",
        "scope=evil",
        "scope=Local",
        "scope=local ",
        "scope=local%00",
        "scope=local&scope=local",
        "scope=local&x=1&scope=global",
        "scope=&scope=local",
        "sc%6fpe=evil",
    ];
    for query in bad {
        for route in LOGOUT_PATHS {
            let target = format!("{route}?{}", query.replace(' ', "%20"));
            let reply = app.post(&target).bearer(&tokens.access_token).send().await;
            assert_error(&reply, 400, "BAD_REQUEST", Some("unsupported_scope"));
        }
    }
    assert_eq!(app.gotrue_call_count(), 0);
    assert!(app.is_alive(&tokens));

    let good = [
        ("", "local"),
        ("?scope=local", "local"),
        ("?scope=others", "others"),
        ("?x=1&scope=global&y", "global"),
        ("?sc%6fpe=%6cocal", "local"),
        ("?Scope=global", "local"),
    ];
    for (query, sent) in good {
        let tokens = app.sign_up();
        let reply = app.post(&format!("/logout{query}")).bearer(&tokens.access_token).send().await;
        assert_eq!(reply.status, 200, "{query}");
        let call = app.gotrue_calls("logout").pop().unwrap();
        assert_eq!(call.query, format!("scope={sent}"), "{query}");
    }
}

#[tokio::test]
async fn the_default_scope_is_a_setting() {
    for scope in ["others", "global"] {
        let app = TestApp::with_flags(&[("default-scope", scope)]).await;
        let first = app.sign_up();
        let second = app.sign_in_again(&first);
        assert_eq!(app.post("/logout").bearer(&first.access_token).send().await.status, 200);
        assert_eq!(app.gotrue_calls("logout")[0].query, format!("scope={scope}"));
        assert_eq!(app.is_alive(&first), scope == "others");
        assert!(!app.is_alive(&second));
    }
}

type HeaderLines<'a> = &'a [(&'a str, &'a str)];

#[tokio::test]
async fn a_body_is_not_needed_and_its_content_is_ignored() {
    let app = TestApp::new().await;
    let json: &[(&str, &str)] = &[("Content-Type", "application/json")];
    let accepted: [(HeaderLines<'_>, &[u8]); 9] = [
        (&[], b""),
        (&[("Content-Type", "text/plain")], b""),
        (json, b""),
        (json, b"{}"),
        (json, b"{\"scope\":\"global\""),
        (json, &[0xff; 8192]),
        (&[("Content-Type", "Application/JSON; charset=utf-8")], b"[]"),
        (&[("content-type", "application/json;charset=\"x\"")], b"null"),
        (&[("Content-Type", "application/json ; charset=\"utf-8\"")], b"{}"),
    ];
    for (headers, body) in accepted {
        let tokens = app.sign_up();
        let request = app.post("/api/auth/logout").bearer(&tokens.access_token);
        let reply = request.headers(headers).body(body).send().await;
        assert_eq!(reply.status, 200, "{headers:?} {}", body.len());
        assert!(!app.is_alive(&tokens));
        assert_eq!(app.gotrue_calls("logout").pop().unwrap().query, "scope=local");
    }
    let tokens = app.sign_up();
    let calls_before = app.gotrue_call_count();
    let refused: [(HeaderLines<'_>, &[u8], u16, &str); 8] = [
        (json, &[b' '; 8193], 413, "PAYLOAD_TOO_LARGE"),
        (&[], &[b' '; 8193], 413, "PAYLOAD_TOO_LARGE"),
        (&[], b"{}", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (&[("Content-Type", "text/plain")], b"{}", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (&[("Content-Type", "application/jsonx")], b"{}", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (
            &[("Content-Type", "application/x-www-form-urlencoded")],
            b"a=b",
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (&[("Content-Type", "")], b"{}", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (&[("Content-Type", "application/json, text/plain")], b"{}", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ];
    for (headers, body, status, code) in refused {
        let request = app.post("/api/auth/logout").bearer(&tokens.access_token);
        let reply = request.headers(headers).body(body).send().await;
        assert_error(&reply, status, code, None);
    }
    assert!(app.is_alive(&tokens));
    assert_eq!(app.gotrue_call_count(), calls_before);
}

#[tokio::test]
async fn the_size_limit_applies_to_chunked_bodies() {
    let app = TestApp::new().await;
    for (chunk, status) in [(8192, 200), (8193, 413)] {
        let tokens = app.sign_up();
        let request = app.post("/api/auth/logout").bearer(&tokens.access_token);
        let request = request.header("Content-Type", "application/json");
        let mut bytes = request.header("Transfer-Encoding", "chunked").bytes(true);
        bytes.extend(format!("{chunk:x}\r\n{}\r\n0\r\n\r\n", " ".repeat(chunk)).into_bytes());
        let mut connection = Connection::open(app.address).await;
        connection.write(&bytes).await;
        assert_eq!(connection.reply(false).await.unwrap().status, status);
        assert_eq!(app.is_alive(&tokens), status != 200);
    }
}

/// Each request fails several checks: the first one in the contract's order must decide the response.
#[tokio::test]
async fn a_request_is_checked_in_the_order_of_the_contract() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    let cookies = browser.jar.cookies_for(browser.page);
    let bad_session = [("sb-127-auth-token", "garbage")];
    let bad_csrf = ("X-CSRF-Token", "wrong");
    let cross_site = ("Sec-Fetch-Site", "cross-site");
    let text = ("Content-Type", "text/plain");

    let request = app.request("PUT", "/logout?scope=evil").headers(&[bad_csrf, bad_csrf]);
    let reply = request.headers(&[text, cross_site]).cookies(&bad_session).body("x").send().await;
    assert_error(&reply, 405, "METHOD_NOT_ALLOWED", None);

    let request = app.post("/logout?scope=evil").headers(&[bad_csrf, bad_csrf]);
    let reply = request.headers(&[text, cross_site]).cookies(&bad_session).body("x").send().await;
    assert_eq!(reply.status, 400);

    let request = app.post("/logout?scope=evil").headers(&[bad_csrf, text, cross_site]);
    let reply = request.cookies(&bad_session).body("x").send().await;
    assert_error(&reply, 400, "BAD_REQUEST", Some("unsupported_scope"));

    let request = app.post("/logout").headers(&[bad_csrf, text, cross_site]);
    let reply = request.cookies(&bad_session).body("x").send().await;
    assert_error(&reply, 415, "UNSUPPORTED_MEDIA_TYPE", None);

    let request = app.post("/logout").headers(&[bad_csrf, cross_site]);
    let reply = request.cookies(&bad_session).send().await;
    assert_error(&reply, 403, "CSRF_FAILED", Some("cross_site"));
    assert!(reply.set_cookies().is_empty(), "a cross-site request deletes no cookies");

    let reply = app.post("/logout").headers(&[bad_csrf]).cookies(&bad_session).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));

    let reply = app.post("/logout").headers(&[bad_csrf]).cookies(&cookies).send().await;
    assert_error(&reply, 403, "CSRF_FAILED", Some("invalid"));

    assert!(app.is_alive(&tokens));
    assert_eq!(app.gotrue_call_count(), 0);
}
