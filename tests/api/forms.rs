//! Logouts by an HTML form without a script: every response must be a redirect.

mod redirects;
mod response_size;

use gotrue_mock::Tokens;
use rstest::rstest;
use serde_json::json;

use crate::{
    harness::{
        Browser, CookieFormat, Reply, Request, Setup, TestApp, assert_error,
        assert_only_known_headers, assert_success, eventually,
    },
    queue::start_with_file_store,
};

pub(crate) const FORM_TYPE: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// Encodes the names and values of a form's fields as a browser does.
fn encode_fields(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The request of a form on the browser's page, with the page's CSRF token and the fields in `more`.
fn form_request(browser: &Browser, route: &str, more: &[(&str, &str)]) -> Request {
    let token = browser.csrf_cookie().unwrap_or_default();
    let encode_fields = encode_fields(&[&[("csrf_token", &*token)], more].concat());
    browser.request("POST", route).headers(&[FORM_TYPE]).body(encode_fields)
}

async fn signed_in(app: &TestApp) -> (Tokens, Browser) {
    let tokens = app.sign_up();
    let browser = Browser::signed_in(app, &tokens, CookieFormat::Base64).await;
    (tokens, browser)
}

/// Asserts that the response is a 303 redirect to `location` without a body, with this `X-Logout-Outcome`.
#[track_caller]
fn assert_redirect(reply: &Reply, location: &str, outcome: Option<&str>) {
    assert_eq!((reply.status, reply.header("location")), (303, Some(location)), "{reply:?}");
    assert_eq!(reply.header("x-logout-outcome"), outcome, "{reply:?}");
    assert!(reply.body.is_empty(), "{reply:?}");
    for name in ["content-type", "www-authenticate"] {
        assert_eq!(reply.header(name), None, "{reply:?}");
    }
    assert_only_known_headers(reply, location);
}

#[tokio::test]
async fn a_form_ends_the_session_and_redirects_to_its_target() {
    let app = TestApp::new().await;
    for (route, target) in [("/logout", Some("/bye?a=b#c")), ("/logout/", None)] {
        let (tokens, mut browser) = signed_in(&app).await;
        let target_field: Vec<_> = target.iter().map(|target| ("redirect_to", *target)).collect();
        let reply = form_request(&browser, route, &target_field).send().await;
        assert_redirect(&reply, target.unwrap_or("/"), Some("revoked"));
        browser.store_cookies(&reply);
        assert!(!app.is_alive(&tokens) && browser.jar.is_empty(), "{route}");
    }
}

#[tokio::test]
async fn a_request_that_no_form_can_send_gets_a_json_response() {
    let app = TestApp::new().await;
    for route in ["/logout", "/logout/"] {
        let (tokens, browser) = signed_in(&app).await;
        let by_bearer = || app.post(route).bearer(&tokens.access_token).headers(&[FORM_TYPE]);
        let reply = by_bearer().body("redirect_to=/bye").send().await;
        assert_error(&reply, 415, "UNSUPPORTED_MEDIA_TYPE", None);
        assert!(app.is_alive(&tokens));
        // The gateway must accept a request without content whatever its `Content-Type` is.
        let reply = browser.logout_request(route).headers(&[FORM_TYPE]).body("").send().await;
        assert_success(&reply, route, tokens.user_id, "revoked");
        let reply = by_bearer().body("").send().await;
        assert_success(&reply, route, tokens.user_id, "already-ended");
    }
}

#[tokio::test]
async fn a_form_with_a_csrf_header_is_still_a_form() {
    let app = TestApp::new().await;
    let (tokens, browser) = signed_in(&app).await;
    let reply =
        form_request(&browser, "/logout", &[]).header("X-CSRF-Token", "the app's own").send().await;
    assert_redirect(&reply, "/", Some("revoked"));
    assert!(!app.is_alive(&tokens));

    let (tokens, browser) = signed_in(&app).await;
    let token_in_header = browser.logout_request("/logout").headers(&[FORM_TYPE]);
    let reply = token_in_header.body("redirect_to=/bye").send().await;
    assert_redirect(&reply, "/bye", Some("revoked"));
    assert!(!app.is_alive(&tokens));
}

#[rstest]
#[case::basic_for_a_proxy("Basic dXNlcjpwYXNzd29yZA==")]
#[case::a_bearer_that_is_no_token("Bearer undefined")]
#[case::a_bearer_that_is_an_api_key("Bearer sb_publishable_0123456789abcdefghijkl")]
#[case::empty("")]
#[tokio::test]
async fn a_form_may_carry_credentials_that_are_not_of_this_project(#[case] credentials: &str) {
    let app = TestApp::new().await;
    let (tokens, browser) = signed_in(&app).await;
    let request = form_request(&browser, "/logout", &[]).header("Authorization", credentials);
    assert_redirect(&request.send().await, "/", Some("revoked"));
    assert!(!app.is_alive(&tokens));
}

#[tokio::test]
async fn the_scope_of_a_form_is_used() {
    let app = TestApp::new().await;
    for (scope, here, there) in
        [("local", false, true), ("others", true, false), ("global", false, false)]
    {
        let (tokens, browser) = signed_in(&app).await;
        let other = app.sign_in_again(&tokens);
        let reply = form_request(&browser, "/logout", &[("scope", scope)]).send().await;
        assert_redirect(&reply, "/", Some("revoked"));
        assert_eq!((app.is_alive(&tokens), app.is_alive(&other)), (here, there), "{scope}");
        assert_eq!(reply.set_cookies().is_empty(), scope == "others", "{scope}");
    }
    let (tokens, browser) = signed_in(&app).await;
    let other = app.sign_in_again(&tokens);
    let reply = form_request(&browser, "/logout?scope=global", &[]).send().await;
    assert_redirect(&reply, "/", Some("revoked"));
    assert!(!app.is_alive(&tokens) && !app.is_alive(&other), "the scope in the URL of the form");
}

#[rstest]
#[case::no_token(&[("csrf_token", "")], "/logout", "/?logout=refused")]
#[case::wrong_token(&[("csrf_token", "wrong")], "/logout", "/?logout=refused")]
#[case::token_in_the_url(&[("csrf_token", "")], "/logout?csrf_token=x", "/?logout=refused")]
#[case::unknown_scope(&[("scope", "everyone"), ("redirect_to", "/a")], "/logout", "/a?logout=refused")]
#[case::scope_twice(&[("scope", "local"), ("scope", "global")], "/logout", "/?logout=refused")]
#[case::scope_in_a_field_and_the_url(&[("redirect_to", "/a"), ("scope", "local")], "/logout?scope=local", "/a?logout=refused")]
#[case::scope_twice_in_the_url(&[("redirect_to", "/a")], "/logout?scope=local&scope=local", "/a?logout=refused")]
#[case::target_twice(&[("redirect_to", "/a"), ("redirect_to", "/b")], "/logout", "/a?logout=refused")]
#[tokio::test]
async fn an_invalid_form_ends_no_session(
    #[case] more: &[(&str, &str)],
    #[case] route: &str,
    #[case] location: &str,
) {
    let app = TestApp::new().await;
    let (tokens, browser) = signed_in(&app).await;
    let token = browser.csrf_cookie().unwrap();
    let mut all = more.to_vec();
    if !more.iter().any(|(name, _)| *name == "csrf_token") {
        all.push(("csrf_token", &token));
    }
    let request = browser.request("POST", route).headers(&[FORM_TYPE]).body(encode_fields(&all));
    let reply = request.send().await;
    assert_redirect(&reply, location, None);
    assert!(reply.set_cookies().is_empty());
    assert!(app.is_alive(&tokens) && app.gotrue_call_count() == 0);
}

#[tokio::test]
async fn a_form_of_another_site_ends_no_session() {
    let app = TestApp::new().await;
    let (tokens, mut browser) = signed_in(&app).await;
    for foreign in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
    ] {
        browser.headers = vec![(foreign.0.to_owned(), foreign.1.to_owned())];
        let reply = form_request(&browser, "/logout", &[("redirect_to", "/bye")]).send().await;
        assert_redirect(&reply, "/bye?logout=refused", None);
        assert!(app.is_alive(&tokens) && reply.set_cookies().is_empty(), "{foreign:?}");
    }
    assert_eq!(app.gotrue_call_count(), 0);
}

#[tokio::test]
async fn the_redirect_of_a_failed_form_names_the_outcome() {
    let app = Setup::new().flag("redirect-default", "/signed-out?by=form").start().await;
    for (status, target, location) in [
        (500, &[][..], "/signed-out?by=form&logout=failed"),
        (429, &[("redirect_to", "/bye")], "/bye?logout=failed"),
        (500, &[("redirect_to", "/bye?a&logout=revoked&%6cogout=x#x")], "/bye?a&logout=failed#x"),
    ] {
        let (tokens, mut browser) = signed_in(&app).await;
        app.inject_fault(
            json!({"operation": "logout", "kind": "status", "status": status, "times": 1,
            "headers": {"Retry-After": "7"}}),
        );
        let reply = form_request(&browser, "/logout", target).send().await;
        assert_redirect(&reply, location, Some("failed"));
        browser.store_cookies(&reply);
        assert!(
            app.is_alive(&tokens) && browser.jar.is_empty(),
            "the cookies are deleted although the logout failed"
        );
    }
    let (_, browser) = signed_in(&app).await;
    let reply = form_request(&browser, "/logout", &[("redirect_to", "/bye?logout=failed&a=%20")])
        .send()
        .await;
    assert_redirect(&reply, "/bye?a=%20", Some("revoked"));
    let without_session =
        app.post("/logout").headers(&[FORM_TYPE]).body("redirect_to=/bye").send().await;
    assert_redirect(&without_session, "/bye?logout=refused", None);
    let large = app.post("/logout").headers(&[FORM_TYPE]).body("a".repeat(9000)).send().await;
    assert_redirect(&large, "/signed-out?by=form&logout=refused", None);
}

#[tokio::test]
async fn an_ended_session_is_named_in_the_redirect_if_the_operator_configures_it() {
    let app = TestApp::with_flags(&[("session-not-found", "unauthorized")]).await;
    let (tokens, browser) = signed_in(&app).await;
    assert!(app.mock.delete_session(tokens.session_id));
    let reply = form_request(&browser, "/logout", &[]).send().await;
    assert_redirect(&reply, "/?logout=already-ended", Some("already-ended"));
}

#[tokio::test]
async fn other_routes_and_other_content_types_are_no_forms() {
    let app = TestApp::new().await;
    for route in ["/api/auth/logout", "/api/v1/auth/logout"] {
        let (tokens, browser) = signed_in(&app).await;
        let reply = form_request(&browser, route, &[]).send().await;
        assert_error(&reply, 415, "UNSUPPORTED_MEDIA_TYPE", None);
        assert!(app.is_alive(&tokens), "{route}");
    }
    for kind in
        ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencodedx"]
    {
        let (tokens, browser) = signed_in(&app).await;
        let request = browser.logout_request("/logout").header("Content-Type", kind).body("a=b");
        assert_error(&request.send().await, 415, "UNSUPPORTED_MEDIA_TYPE", None);
        assert!(app.is_alive(&tokens), "{kind}");
    }
    let (tokens, browser) = signed_in(&app).await;
    let json = browser.logout_request("/logout").header("Content-Type", "application/json");
    assert_success(&json.body("{}").send().await, "/logout", tokens.user_id, "revoked");
}

#[tokio::test]
async fn a_forms_type_may_have_parameters_and_any_case() {
    let app = TestApp::new().await;
    let (tokens, browser) = signed_in(&app).await;
    let kind = "Application/X-WWW-Form-Urlencoded; charset=UTF-8";
    let body =
        encode_fields(&[("csrf_token", &browser.csrf_cookie().unwrap()), ("app", "own field")]);
    let request = browser.request("POST", "/logout").header("Content-Type", kind).body(body);
    assert_redirect(&request.send().await, "/", Some("revoked"));
    assert!(!app.is_alive(&tokens));
}

#[tokio::test]
async fn a_queued_form_redirects_like_a_success() {
    let (app, _directory) = start_with_file_store(Setup::new()).await;
    let (tokens, mut browser) = signed_in(&app).await;
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 503, "times": 2}));
    let reply = form_request(&browser, "/logout", &[("redirect_to", "/bye")]).send().await;
    assert_redirect(&reply, "/bye", Some("queued"));
    browser.store_cookies(&reply);
    assert!(app.is_alive(&tokens) && browser.jar.is_empty());
    app.advance_time(2);
    eventually("the queued logout is done", async || !app.is_alive(&tokens)).await;
}

#[tokio::test]
async fn a_form_beyond_the_requests_in_flight_is_refused_and_counted_like_any_logout() {
    let setup = Setup::new().flag("max-in-flight", "1").flag("upstream-timeout", "60s");
    let app = setup.flag("admin-bind", "127.0.0.1:0").start().await;
    let (tokens, browser) = signed_in(&app).await;
    app.inject_fault(json!({"operation": "logout", "kind": "hang", "times": 1}));
    let hanging = app.post("/logout").bearer(&app.sign_up().access_token).send();
    let other = async {
        eventually("the only place is taken", async || app.gotrue_call_count() == 1).await;
        let reply = form_request(&browser, "/logout", &[]).send().await;
        assert_redirect(&reply, "/?logout=refused", None);
        assert!(app.is_alive(&tokens) && reply.set_cookies().is_empty());
        let metrics = Request::new(app.admin_address.unwrap(), "GET", "/metrics").send().await;
        for sample in [
            r#"logouts_total{route="/logout",outcome="refused",reason="OVERLOADED"} 1"#,
            r#"requests_refused_total{reason="OVERLOADED"} 1"#,
        ] {
            assert!(metrics.text().contains(sample), "{sample}");
        }
    };
    tokio::select! { _ = hanging => panic!("GoTrue never answers this logout"), () = other => {} }
}
