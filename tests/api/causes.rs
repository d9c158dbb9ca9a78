//! If a setting may be the reason for a refusal, the audit line's `cause` and one warning must name the value of
//! the request and that of the gateway. The responses must name neither.

use crate::harness::{
    Browser, CookieFormat, GatewayProcess, TestApp, assert_error, session_cookies,
};

const KEY: &str = "sb-127-auth-token";

fn cause<'l>(log: &'l crate::harness::Log, id: &str) -> &'l str {
    log.audit_line(id)["cause"].as_str().unwrap_or_default()
}

fn warnings<'l>(log: &'l crate::harness::Log, text: &str) -> Vec<&'l str> {
    let warnings = log.lines.iter().filter(|line| line["level"] == "WARN");
    let messages = warnings.filter_map(|line| line["message"].as_str());
    messages.filter(|message| message.contains(text)).collect()
}

#[tokio::test]
async fn the_cookie_of_another_url_of_the_project_is_named_beside_the_gateways_own() {
    let app = TestApp::new().await;
    let gateway = GatewayProcess::start(&app, &[]).await;
    let tokens = app.sign_up();
    let other = "sb-localhost-auth-token";
    let jar =
        session_cookies(other, &tokens.access_token, &tokens.refresh_token, CookieFormat::Base64);
    for id in ["first", "second"] {
        let request = gateway.request("POST", "/logout").cookies(&jar).header("X-Request-Id", id);
        let reply = request.send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("missing"));
        assert!(reply.set_cookies().is_empty() && !reply.text().contains(other), "{reply:?}");
    }
    let request = gateway.request("POST", "/logout").cookies(&jar).bearer("undefined");
    let reply = request.header("X-Request-Id", "bearer").send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    assert!(app.is_alive(&tokens));
    let log = gateway.stop();
    for id in ["first", "second", "bearer"] {
        let cause = cause(&log, id);
        assert!(cause.contains(other) && cause.contains(KEY), "{cause}");
    }
    assert_eq!(warnings(&log, other).len(), 1, "one warning for each name");
}

#[tokio::test]
async fn the_cause_names_a_claim_of_a_genuine_token_that_is_not_accepted_with_both_values() {
    let app = TestApp::new().await;
    let issuer = format!("{}/auth/v1", app.mock.url());
    for (variable, wrong, claim, value) in [
        ("GATEWAY_JWT_ISSUER", "https://wrong.example/auth/v1", "iss", issuer.as_str()),
        ("GATEWAY_JWT_AUDIENCE", "wrong-audience", "aud", "authenticated"),
    ] {
        let gateway = GatewayProcess::start(&app, &[(variable, wrong)]).await;
        let tokens = app.sign_up();
        let browser = Browser::signed_in_at(gateway.address, &tokens, CookieFormat::Base64);
        let by_cookie = browser.request("POST", "/logout").header("X-Request-Id", "cookie");
        let by_bearer = gateway.request("POST", "/logout").bearer(&tokens.access_token);
        for request in [by_cookie, by_bearer.header("X-Request-Id", "bearer")] {
            let reply = request.send().await;
            assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
            assert!(reply.set_cookies().is_empty(), "the session lives: {reply:?}");
            assert!(!reply.text().contains(wrong), "{reply:?}");
        }
        assert!(app.is_alive(&tokens));
        let log = gateway.stop();
        for id in ["cookie", "bearer"] {
            let cause = cause(&log, id);
            assert!([claim, value, wrong].iter().all(|part| cause.contains(part)), "{cause}");
        }
        assert_eq!(warnings(&log, "the token is genuine").len(), 1);
    }
}

#[tokio::test]
async fn a_refusal_of_a_foreign_page_names_its_origin_and_the_gateways_own() {
    let app = TestApp::new().await;
    let gateway = GatewayProcess::start(&app, &[]).await;
    let tokens = app.sign_up();
    let (access, refresh) = (&tokens.access_token, &tokens.refresh_token);
    let jar = session_cookies(KEY, access, refresh, CookieFormat::Base64);
    let page = "http://192.168.1.20:8080";
    let request = gateway.request("POST", "/logout").cookies(&jar).host("192.168.1.20");
    let reply = request.headers(&[("Origin", page), ("X-Request-Id", "lan")]).send().await;
    assert_error(&reply, 403, "CSRF_FAILED", Some("cross_site"));
    assert!(app.is_alive(&tokens));
    let log = gateway.stop();
    let cause = cause(&log, "lan").to_owned();
    assert!(cause.contains(page), "{cause}");
    assert!(cause.replace(page, "").contains("http://192.168.1.20"), "{cause}");
}

#[tokio::test]
async fn a_refusal_of_a_foreign_page_logs_no_text_that_is_not_an_origin() {
    let app = TestApp::new().await;
    let gateway = GatewayProcess::start(&app, &[]).await;
    let tokens = app.sign_up();
    let token = &tokens.access_token;
    let jar = session_cookies(KEY, token, &tokens.refresh_token, CookieFormat::Base64);
    let cookie = format!("{KEY}={}", jar[0].1);
    let long_label = format!("https://{}.example.com", "a".repeat(64));
    for origin in
        [token, &cookie, &format!("https://{token}"), &format!("x://{cookie}"), &long_label]
    {
        let request = gateway.request("POST", "/logout").cookies(&jar).host("app.example.com");
        let reply = request.header("Origin", origin.as_str()).send().await;
        assert_error(&reply, 403, "CSRF_FAILED", Some("cross_site"));
    }
    assert!(app.is_alive(&tokens));
    let log = gateway.stop().text;
    assert_eq!(log.matches("the page's origin is not readable").count(), 5, "{log}");
    assert!(!log.contains(token) && !log.contains(&jar[0].1) && !log.contains(&long_label));
}
