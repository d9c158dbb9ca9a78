//! If a setting may be the reason for a refusal, the audit line's `cause` and one warning must name the value of
//! the request and that of the gateway. The responses must name neither.

use rstest::rstest;
use serde_json::Value;

use crate::harness::{
    Browser, CookieFormat, GatewayProcess, TestApp, assert_error, session_cookies,
};

const KEY: &str = "sb-127-auth-token";

fn cause<'l>(log: &'l crate::harness::Log, id: &str) -> &'l str {
    log.audit_line(id)["cause"].as_str().unwrap_or_default()
}

/// The warnings whose message has `text`.
fn warnings<'l>(log: &'l crate::harness::Log, text: &str) -> Vec<&'l Value> {
    let has_text = |line: &Value| line["message"].as_str().is_some_and(|m| m.contains(text));
    log.lines.iter().filter(|line| line["level"] == "WARN" && has_text(line)).collect()
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
    let warnings = warnings(&log, other);
    assert_eq!(warnings.len(), 1, "one warning for each name");
    assert_eq!(warnings[0]["variable"], "SUPABASE_URL");
    for part in [KEY, "set SUPABASE_URL", "GOTRUE_URL", "set GATEWAY_COOKIE_NAME"] {
        assert!(warnings[0]["message"].as_str().unwrap().contains(part), "{}", warnings[0]);
    }
}

/// Clients choose the names of cookies, so the number of lines must have a bound.
#[tokio::test]
async fn the_log_warns_of_five_names_at_most_and_every_audit_line_has_its_cause() {
    let app = TestApp::new().await;
    let gateway = GatewayProcess::start(&app, &[]).await;
    let names: Vec<_> = (1..=7).map(|number| format!("sb-p{number}-auth-token")).collect();
    for name in &names {
        let request = gateway.request("POST", "/logout").cookies(&[(name, "x")]);
        let reply = request.header("X-Request-Id", name).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("missing"));
    }
    let log = gateway.stop();
    for name in &names {
        let cause = cause(&log, name);
        assert!(cause.contains(name) && cause.contains(KEY), "{cause}");
    }
    let warnings = warnings(&log, "the request has the cookie");
    assert_eq!(warnings.len(), 5, "{}", log.text);
    for (warning, name) in warnings.iter().zip(&names) {
        assert!(warning["message"].as_str().unwrap().contains(name), "{warning}");
    }
}

#[rstest]
#[case::chunk("sb-p-auth-token.0", "sb-p-auth-token")]
#[case::name_with_dots("sb-p.q_r-auth-token", "sb-p.q_r-auth-token")]
#[case::longest_name(&of_length(128), &of_length(128))]
#[case::name_that_is_too_long(&of_length(129), "")]
#[case::other_ascii_characters("sb-p<b>-auth-token", "")]
#[case::letters_beyond_ascii("sb-pé-auth-token", "")]
#[case::other_cookie_of_the_library("sb-p-auth-token-user", "")]
#[case::cookie_of_another_library("p-auth-token", "")]
#[tokio::test]
async fn only_the_storage_key_of_a_readable_name_is_logged(#[case] name: &str, #[case] key: &str) {
    let app = TestApp::new().await;
    let gateway = GatewayProcess::start(&app, &[]).await;
    let request = gateway.request("POST", "/logout").cookies(&[(name, "x")]);
    let reply = request.header("X-Request-Id", "one").send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("missing"));
    let log = gateway.stop();
    if key.is_empty() {
        assert_eq!(cause(&log, "one"), "");
    } else {
        let beginning = format!("the request has the cookie {key}, and the gateway reads {KEY}: ");
        assert!(cause(&log, "one").starts_with(&beginning), "{}", log.text);
    }
    assert_eq!(warnings(&log, "the request has the cookie").len(), usize::from(!key.is_empty()));
}

/// The name of a session cookie with `length` octets.
fn of_length(length: usize) -> String {
    let (start, end) = ("sb-", "-auth-token");
    format!("{start}{}{end}", "a".repeat(length - start.len() - end.len()))
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
        let warnings = warnings(&log, "the token is genuine");
        assert_eq!(warnings.len(), 1, "{}", log.text);
        assert_eq!(warnings[0]["variable"], variable);
        let message = warnings[0]["message"].as_str().unwrap();
        let parts = [variable, claim, value, wrong];
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
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
