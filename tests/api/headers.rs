//! Section 7 of the contract: the headers that every response must have.

use serde_json::json;

use crate::harness::{Browser, CookieFormat, Reply, SECRET, Setup, TestApp};

const FIXED_HEADERS: [(&str, &str); 5] = [
    ("cache-control", "no-store"),
    ("pragma", "no-cache"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
];
const CSP: &str = "default-src 'none'; frame-ancestors 'none'";

#[track_caller]
fn assert_security_headers(reply: &Reply, case: &str) {
    for (name, value) in FIXED_HEADERS {
        assert_eq!(reply.header(name), Some(value), "{name} on {case}");
    }
    let vary = reply.header_values("vary").join(",").to_lowercase();
    let vary: Vec<&str> = vary.split(',').map(str::trim).collect();
    assert!(vary.contains(&"origin") && vary.contains(&"sec-fetch-site"), "{vary:?} on {case}");
    assert!(reply.header("x-request-id").is_some_and(|id| !id.is_empty()), "{case}");
    for absent in ["server", "x-powered-by", "clear-site-data", "strict-transport-security"] {
        assert_eq!(reply.header(absent), None, "{absent} on {case}");
    }
    assert_eq!(reply.header("access-control-allow-origin"), None, "{case}");
}

#[tokio::test]
async fn every_status_carries_the_security_headers() {
    let app = TestApp::with_flags(&[("upstream-timeout", "200ms")]).await;
    let tokens = app.sign_up();
    let bearer = |target: &str| app.post(target).bearer(&tokens.access_token);
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500, "times": 1}));
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 429, "times": 1}));
    let replies = [
        (500, bearer("/logout").send().await),
        (429, bearer("/logout").send().await),
        (400, bearer("/logout?scope=x").send().await),
        (413, bearer("/logout").body([0; 9000]).send().await),
        (415, bearer("/logout").body("x").send().await),
        (200, app.get("/api/auth/csrf").bearer(&tokens.access_token).send().await),
        (200, bearer("/logout").send().await),
        (204, app.post("/api/v1/auth/logout").bearer(&app.sign_up().access_token).send().await),
        (200, bearer("/api/auth/logout").send().await),
        (401, app.post("/logout").send().await),
        (401, bearer("/api/auth/verify").send().await),
        (200, app.get("/api/auth/verify").bearer(&app.sign_up().access_token).send().await),
        (403, app.post("/logout").header("Sec-Fetch-Site", "cross-site").send().await),
        (404, app.get("/x").send().await),
        (405, app.get("/logout").send().await),
        (405, app.request("OPTIONS", "/logout").send().await),
        (200, app.get("/healthz").send().await),
        (200, app.get("/readyz").send().await),
        (200, app.get("/openapi.json").send().await),
        (200, app.request("HEAD", "/healthz").send().await),
    ];
    for (at, (status, reply)) in replies.iter().enumerate() {
        let case = format!("reply {at}, status {status}");
        assert_eq!(reply.status, *status, "{case}");
        assert_security_headers(reply, &case);
        assert_eq!(reply.header("content-security-policy"), Some(CSP), "{case}");
    }
    let page = app.get("/docs").send().await;
    assert_security_headers(&page, "/docs");
}

#[tokio::test]
async fn a_valid_request_id_is_kept_and_any_other_is_replaced() {
    let app = TestApp::new().await;
    let longest = "a".repeat(128);
    for id in ["x", "A-Z_a.z-09", longest.as_str()] {
        let reply = app.get("/x").header("X-Request-Id", id).send().await;
        assert_eq!(reply.header("x-request-id"), Some(id));
        assert_eq!(reply.json()["error"]["request_id"], id);
    }
    let too_long = "a".repeat(129);
    for id in ["", " ", "a b", "a/b", "a;b", "ä", "a\tb", too_long.as_str()] {
        let reply = app.get("/x").header("X-Request-Id", id).send().await;
        let generated = reply.header("x-request-id").unwrap();
        assert!(uuid::Uuid::try_parse(generated).is_ok(), "{id:?} became {generated:?}");
        assert_eq!(reply.json()["error"]["request_id"], generated);
    }
    let reply = app.get("/x").headers(&[("X-Request-Id", "a"), ("X-Request-Id", "a")]);
    assert_ne!(reply.send().await.header("x-request-id"), Some("a"));
    let [one, other] = [app.get("/x").send().await, app.get("/x").send().await];
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
}

#[tokio::test]
async fn https_is_read_from_a_trusted_proxys_header_only() {
    let https = ("X-Forwarded-Proto", "https");
    let hsts = "strict-transport-security";
    let alone = TestApp::new().await;
    assert_eq!(alone.get("/healthz").headers(&[https]).send().await.header(hsts), None);

    let app = TestApp::with_flags(&[("trusted-proxies", "127.0.0.0/8")]).await;
    let reply = app.get("/healthz").headers(&[https]).send().await;
    assert_eq!(
        reply.header(hsts),
        Some("max-age=63072000"),
        "the default of docs/configuration.md"
    );
    let reply = app.get("/x").headers(&[https]).send().await;
    assert!(reply.header(hsts).is_some(), "errors have the header too");
    for proto in
        [&[][..], &[("X-Forwarded-Proto", "http")], &[https, ("X-Forwarded-Proto", "http")]]
    {
        assert_eq!(app.get("/healthz").headers(proto).send().await.header(hsts), None);
    }
}

/// `max-age=0` makes browsers forget the header (RFC 6797, section 6.1.1), so it is not the same as `off`.
#[tokio::test]
async fn the_seconds_of_strict_transport_security_are_a_setting_and_off_sends_no_header() {
    for (setting, value) in [("300", Some("max-age=300")), ("0", Some("max-age=0")), ("off", None)]
    {
        let app = TestApp::with_flags(&[("trusted-proxies", "127.0.0.1"), ("hsts", setting)]).await;
        for path in ["/healthz", "/x"] {
            let reply = app.get(path).header("X-Forwarded-Proto", "https").send().await;
            assert_eq!(reply.header("strict-transport-security"), value, "{setting} {path}");
        }
    }
}

#[tokio::test]
async fn clear_site_data_is_sent_only_by_logouts_that_delete_cookies() {
    let app = TestApp::with_flags(&[("clear-site-data", "cache,storage")]).await;
    let clear_site_data = |reply: &Reply| reply.header("clear-site-data").map(str::to_owned);
    let tokens = app.sign_up();
    let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    assert_eq!(clear_site_data(&browser.fetch_csrf().await), None);
    assert_eq!(clear_site_data(&browser.logout("/logout?scope=others").await), None);
    assert_eq!(clear_site_data(&browser.request("POST", "/logout").send().await), None, "403");
    assert_eq!(
        clear_site_data(&app.post("/logout").send().await),
        None,
        "a 401 without a credential"
    );
    let expected = Some(r#""cache", "storage""#.to_owned());
    assert_eq!(clear_site_data(&browser.logout("/logout").await), expected);
    assert!(!app.is_alive(&tokens));
}

const APP: &str = "https://app.example.com";

fn header_list<'r>(reply: &'r Reply, name: &str) -> Vec<&'r str> {
    reply.header(name).unwrap_or_default().split(',').map(str::trim).collect()
}

#[tokio::test]
async fn only_an_allowed_origin_may_send_requests_and_read_responses() {
    let app = TestApp::with_flags(&[("allowed-origins", APP)]).await;
    let tokens = app.sign_up();
    for (origin, allowed) in [
        (APP, true),
        ("https://app.example.com.evil.com", false),
        ("http://app.example.com", false),
        ("https://APP.example.com", false),
        ("null", false),
    ] {
        let echoed = allowed.then_some(origin);
        let preflight = app
            .request("OPTIONS", "/api/auth/logout")
            .headers(&[("Origin", origin), ("Access-Control-Request-Method", "POST")])
            .headers(&[(
                "Access-Control-Request-Headers",
                "x-csrf-token,content-type,sentry-trace",
            )])
            .send()
            .await;
        assert_eq!(preflight.header("access-control-allow-origin"), echoed, "{origin}");
        let reply = app.get("/api/auth/csrf").header("Origin", origin);
        let reply = reply.bearer(&tokens.access_token).send().await;
        assert_eq!(reply.header("access-control-allow-origin"), echoed, "{origin}");
        assert_eq!(reply.status, if allowed { 200 } else { 403 }, "{origin}");
        if !allowed {
            assert_eq!(preflight.status, 405, "{origin}");
            assert_eq!(preflight.header("access-control-allow-headers"), None, "{origin}");
        }
        if allowed {
            assert_eq!(preflight.status, 200);
            for reply in [&preflight, &reply] {
                assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
            }
            assert!(header_list(&preflight, "access-control-allow-methods").contains(&"POST"));
            let headers = header_list(&preflight, "access-control-allow-headers");
            assert_eq!(
                headers,
                ["x-csrf-token", "content-type", "sentry-trace"],
                "those that the preflight names"
            );
            let exposed = header_list(&reply, "access-control-expose-headers");
            for name in ["x-logout-outcome", "x-logout-cookies-left", "x-request-id"] {
                assert!(exposed.contains(&name), "{exposed:?}");
            }
        }
    }
    for path in ["/api/auth/logout/", "/api/v1/auth/logout/", "/logout/", "/api/auth/csrf/"] {
        for (origin, status) in [(APP, 200), ("https://evil.example", 405)] {
            let preflight = app.request("OPTIONS", path).header("Origin", origin);
            let preflight = preflight.header("Access-Control-Request-Method", "POST").send().await;
            let echoed = (status == 200).then_some(APP);
            assert_eq!(preflight.status, status, "{origin} {path}");
            assert_eq!(preflight.header("access-control-allow-origin"), echoed, "{origin} {path}");
        }
    }
    assert_eq!(app.gotrue_call_count(), 0);
    // Errors must have the CORS headers too. An OPTIONS that is no CORS preflight must get 405 like other
    // methods.
    let refused = app.post("/logout").header("Origin", APP).send().await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, Some(APP)));
    let options = app.request("OPTIONS", "/logout").header("Origin", APP).send().await;
    assert_eq!((options.status, options.header("allow")), (405, Some("POST")));
    assert_eq!(options.header("access-control-allow-origin"), Some(APP));
}

#[tokio::test]
async fn an_allowed_page_of_another_site_logs_out_with_its_cookies() {
    let setup = Setup::new().flags(&[("allowed-origins", APP), ("trusted-proxies", "127.0.0.1")]);
    let app = setup.flag("secret", SECRET).start().await;
    let tokens = app.sign_up();
    let mut browser = Browser::signed_in_without_csrf(&app, &tokens, CookieFormat::Base64);
    browser.page.https = true;
    browser.page.cross_site = true;
    let session_cookies = browser.jar.cookies_for(crate::harness::Page::LOCAL);
    for (name, value) in session_cookies {
        browser
            .jar
            .store_set_cookie(crate::harness::Page::LOCAL, &format!("{name}=; Path=/; Max-Age=0"));
        browser.jar.store_set_cookie(
            browser.page,
            &format!("{name}={value}; Path=/; SameSite=None; Secure"),
        );
    }
    browser.headers =
        [("Sec-Fetch-Site", "cross-site"), ("Origin", APP), ("X-Forwarded-Proto", "https")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
    let reply = browser.fetch_csrf().await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(
        browser.csrf_cookie().is_some(),
        "the browser keeps the CSRF cookie although its page is of another site"
    );
    let reply = browser.logout("/api/auth/logout").await;
    assert_eq!(reply.header("x-logout-outcome"), Some("revoked"));
    assert_eq!(reply.header("access-control-allow-origin"), Some(APP));
    assert!(browser.jar.is_empty(), "{:?}", reply.set_cookies());
    assert!(!app.is_alive(&tokens));
}

#[tokio::test]
async fn an_error_has_one_length_and_its_response_to_head_has_no_body() {
    let app = TestApp::new().await;
    for (path, status) in [("/x", 404), ("/api/auth/csrf", 401), ("/api/auth/verify", 401)] {
        let reply = app.get(path).send().await;
        let to_head = app.request("HEAD", path).send().await;
        let length = reply.body.len().to_string();
        assert_eq!((reply.status, to_head.status), (status, status), "{path}");
        // The request id is part of the body, and has a fixed length.
        assert_eq!(reply.header_values("content-length"), [length.as_str()], "{path}");
        assert_eq!(to_head.header_values("content-length"), [length.as_str()], "{path}");
        assert_eq!(to_head.header_values("content-type"), ["application/json"], "{path}");
        assert!(to_head.body.is_empty(), "{path}");
    }
}
