//! Injection of line breaks: clients send line breaks, and characters that a parser may turn into line
//! breaks, wherever a response, a log line or a call to GoTrue could repeat them. No text of a client may
//! start a new line in a response, a log line or a call.

use std::{collections::BTreeSet, net::IpAddr};

use gotrue_mock::Call;
use logout_gateway::Clock;
use serde_json::json;

use crate::harness::{
    GatewayProcess, Log, Reply, Request, Setup, TestApp, assert_only_known_headers, claims_of,
};

const APP: &str = "https://app.example.com";

/// The meaning of a payload inside a header value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The payload ends the header line, so the text after it is another header of the client.
    Line,
    /// HTTP does not allow the payload in a header: the gateway must answer 400.
    Refused,
    /// The payload is ordinary text of the header value.
    Text,
}

const PAYLOADS: &[(&str, Meaning)] = &[
    ("\r\nX-Injected: injected", Meaning::Line),
    ("\nX-Injected: injected", Meaning::Line),
    ("\rX-Injected: injected", Meaning::Refused),
    ("\r\r\nX-Injected: injected", Meaning::Refused),
    ("\r\n X-Injected: injected", Meaning::Refused),
    ("\r\n\tX-Injected: injected", Meaning::Refused),
    ("\n X-Injected: injected", Meaning::Refused),
    ("\0X-Injected: injected", Meaning::Refused),
    ("\u{b}X-Injected: injected", Meaning::Refused),
    ("\u{c}X-Injected: injected", Meaning::Refused),
    ("\u{1b}[31mX-Injected: injected", Meaning::Refused),
    ("\u{7f}X-Injected: injected", Meaning::Refused),
    ("%0d%0aX-Injected:%20injected", Meaning::Text),
    ("%250d%250aX-Injected: injected", Meaning::Text),
    ("%0aX-Injected: injected", Meaning::Text),
    ("%00X-Injected: injected", Meaning::Text),
    ("%e5%98%8a%e5%98%8dX-Injected: injected", Meaning::Text),
    (r"\r\nX-Injected: injected", Meaning::Text),
    (r"\u000d\u000aX-Injected: injected", Meaning::Text),
    ("&#13;&#10;X-Injected: injected", Meaning::Text),
    // The characters of the next payloads become line breaks if a parser cuts code points to one byte.
    ("\u{10d}\u{10a}X-Injected: injected", Meaning::Text),
    ("\u{560d}\u{560a}X-Injected: injected", Meaning::Text),
    ("\u{85}X-Injected: injected", Meaning::Text),
    ("\u{2028}X-Injected: injected", Meaning::Text),
    ("\u{2029}X-Injected: injected", Meaning::Text),
    (r#"","level":"ERROR","message":"injected"#, Meaning::Text),
    ("\tX-Injected: injected", Meaning::Text),
];

/// The name of a header and the beginning of its value, to which the test appends the payload.
const HEADERS: &[(&str, &str)] = &[
    ("X-Request-Id", "an-id"),
    ("Origin", APP),
    ("Host", "app.example.com"),
    ("X-Forwarded-Host", "app.example.com"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-For", "192.0.2.7"),
    ("User-Agent", "agent"),
    ("Referer", "https://app.example.com/"),
    ("Cookie", "sb-127-auth-token-user"),
    ("Cookie", "sb-127-auth-token-user=x"),
    ("X-CSRF-Token", "token"),
    ("Content-Type", "application/json"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Access-Control-Request-Method", "POST"),
    ("Access-Control-Request-Headers", "x-csrf-token"),
    ("Retry-After", "1"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
];

/// Asserts that the response contains no part of a payload.
#[track_caller]
fn assert_clean(reply: &Reply, case: &str) {
    assert_only_known_headers(reply, case);
    let response = format!("{:?} {}", reply.headers, String::from_utf8_lossy(&reply.body));
    assert!(!response.to_ascii_lowercase().contains("injected"), "{case}: {response}");
}

/// Asserts that GoTrue received only known headers, and a payload only in `User-Agent`.
#[track_caller]
fn assert_clean_call(call: &Call, user_agent: Option<&str>, case: &str) {
    let known = BTreeSet::from([
        "accept",
        "apikey",
        "authorization",
        "content-length",
        "host",
        "traceparent",
        "user-agent",
        "x-client-info",
        "x-forwarded-for",
        "sb-forwarded-for",
        "x-request-id",
        "x-supabase-api-version",
    ]);
    for (name, values) in &call.headers {
        assert!(known.contains(name.as_str()) && values.len() == 1, "{case}: {name} {values:?}");
        let has_payload = values[0].contains("njected");
        assert!(!has_payload || name == "user-agent", "{case}: {name} {values:?}");
    }
    assert_eq!(call.header("user-agent"), user_agent, "{case}");
    assert!(call.header("x-forwarded-for").unwrap().parse::<IpAddr>().is_ok(), "{case}");
}

/// Starts a gateway process that logs everything, down to the level `trace`.
async fn start_gateway(app: &TestApp) -> GatewayProcess {
    let environment = [
        ("RUST_LOG", "trace"),
        ("GATEWAY_TRUSTED_PROXIES", "127.0.0.1"),
        ("GATEWAY_ALLOWED_ORIGINS", APP),
    ];
    GatewayProcess::start(app, &environment).await
}

async fn start_app() -> TestApp {
    Setup::new().start_time(Clock::system().unix_seconds()).start().await
}

/// Asserts that the log has one valid audit line for each logout, and no payload in any line.
fn assert_clean_log(log: &Log, logouts: usize) {
    let audits: Vec<_> = log.lines.iter().filter(|line| line["target"] == "audit").collect();
    assert_eq!(audits.len(), logouts);
    for line in audits {
        assert_eq!((&line["level"], &line["message"]), (&json!("INFO"), &json!("logout")));
        let id = line["request_id"].as_str().unwrap();
        assert!(id == "an-id" || uuid::Uuid::try_parse(id).is_ok(), "{line}");
    }
    let line = log.text.lines().find(|line| line.to_ascii_lowercase().contains("injected"));
    assert_eq!(line, None);
}

#[tokio::test]
async fn no_header_of_a_client_starts_a_line_in_responses_logs_or_calls() {
    let app = start_app().await;
    let gateway = start_gateway(&app).await;
    let mut logouts = 0;
    for (name, before) in HEADERS {
        for (payload, meaning) in PAYLOADS {
            let case = format!("{name}: {:?}", format!("{before}{payload}"));
            let tokens = app.sign_up();
            let request = gateway.request("POST", "/logout").bearer(&tokens.access_token);
            let value = format!("{before}{payload}");
            let request = match *name {
                "Host" => request.host(&value),
                name => request.header(name, &value),
            };
            let reply = request.send().await;
            assert_clean(&reply, &case);
            // Except for a payload that ends the line, no payload is valid in a host name.
            let invalid_host = *name == "Host" && *meaning != Meaning::Line;
            logouts += usize::from(*meaning != Meaning::Refused);
            if *meaning == Meaning::Refused || invalid_host {
                assert_eq!((reply.status, app.is_alive(&tokens)), (400, true), "{case}");
                continue;
            }
            assert_eq!((reply.status, app.is_alive(&tokens)), (200, false), "{case}");
            let effective = if *meaning == Meaning::Line { *before } else { value.as_str() };
            let allowed = (*name == "Origin" && effective == APP).then_some(APP);
            assert_eq!(reply.header("access-control-allow-origin"), allowed, "{case}");
            let kept = *name == "X-Request-Id" && effective == *before;
            assert_eq!(reply.header("x-request-id") == Some("an-id"), kept, "{case}");
            let agent = (*name == "User-Agent").then_some(effective);
            assert_clean_call(&app.gotrue_calls("logout").pop().unwrap(), agent, &case);
        }
    }
    assert_clean_log(&gateway.stop(), logouts);
}

/// The method, the target and the expected status; `BREAK` in a target stands for CR LF.
const TARGETS: &[(&str, &str, u16)] = &[
    ("POST", "/logout?scope=local%0d%0aX-Injected:%20injected", 400),
    ("POST", "/logout?scope=%0d%0aX-Injected:%20injected", 400),
    ("POST", "/logout?scope=local&scope=%0d%0aX-Injected:%20injected", 400),
    ("POST", "/logout?scope=local%00injected", 400),
    ("POST", "/logout?scope=local%E5%98%8A%E5%98%8DX-Injected", 400),
    ("POST", "/logout?scope=local%0a", 400),
    ("POST", "/logout?x=%0d%0aX-Injected:%20injected", 200),
    ("POST", "/logout?%0d%0aX-Injected:%20injected=local", 200),
    ("POST", "/logout#%0d%0aX-Injected:%20injected", 200),
    ("POST", "/logout?scope=localBREAKX-Injected: injected", 400),
    ("POST", "/logout%0d%0aX-Injected:%20injected", 404),
    ("GET", "/%0d%0aX-Injected:%20injected", 404),
    ("GET", "/%c4%8d%c4%8aX-Injected:%20injected", 404),
    ("GET", "/\u{10d}\u{10a}X-Injected:injected", 404),
    ("GET", "/api/auth/verify/%0d%0aX-Injected:%20injected", 200),
    ("GET", "/api/auth/verify?next=%0d%0aX-Injected:%20injected", 200),
    ("GET", "/api/auth/csrf?%0d%0aX-Injected:%20injected", 200),
    ("GET", "/logout?%0d%0aX-Injected:%20injected", 405),
    ("GET", "/docs/%0d%0aX-Injected:%20injected", 404),
    ("GET", "/healthz HTTP/1.1BREAKX-Injected: injectedBREAKX: ", 200),
    ("GETBREAKX-Injected: injected", "/healthz", 400),
    ("INJECTED", "/logout", 405),
];

#[tokio::test]
async fn no_request_target_starts_a_line_in_responses_logs_or_calls() {
    let app = start_app().await;
    let gateway = start_gateway(&app).await;
    let mut logouts = 0;
    for (method, target, status) in TARGETS {
        let case = format!("{method} {target}");
        let tokens = app.sign_up();
        let [method, target] = [method, target].map(|text| text.replace("BREAK", "\r\n"));
        let request = gateway.request(&method, &target).bearer(&tokens.access_token);
        let reply = request.send().await;
        assert_clean(&reply, &case);
        assert_eq!(reply.status, *status, "{case}");
        let logout = method == "POST" && *status != 404 && !target.contains('\n');
        logouts += usize::from(logout);
        assert_eq!(app.is_alive(&tokens), !(logout && *status == 200), "{case}");
        if logout && *status == 200 {
            let call = app.gotrue_calls("logout").pop().unwrap();
            assert_clean_call(&call, None, &case);
            assert_eq!(call.query, "scope=local", "{case}");
        }
    }
    assert_clean_log(&gateway.stop(), logouts);
}

/// `verify` returns some claims in headers. A claim that GoTrue signed may contain any text.
#[tokio::test]
async fn no_claim_starts_a_line_and_a_claim_that_no_header_can_hold_is_left_empty() {
    let app = TestApp::new().await;
    for (payload, _) in PAYLOADS {
        for claim in ["role", "aal", "email", "sub", "session_id"] {
            let tokens = app.sign_up();
            let mut claims = claims_of(&tokens.access_token);
            let value = format!("{}{payload}", claims[claim].as_str().unwrap_or_default());
            claims[claim] = json!(value);
            let token = app.mock.sign(&claims).unwrap();
            let reply = app.get("/api/auth/verify").bearer(&token).send().await;
            let case = format!("{claim}: {value:?}");
            let is_id = ["sub", "session_id"].contains(&claim);
            assert_eq!(reply.status, if is_id { 401 } else { 200 }, "{case}");
            for (header, source) in [("x-auth-role", "role"), ("x-auth-aal", "aal")] {
                let actual = reply.header(header).unwrap_or_default();
                let harmless = value.chars().all(|c| c == '\t' || !c.is_ascii_control());
                let expected = match (claim == source, harmless) {
                    _ if is_id => "",
                    (true, true) => value.as_str(),
                    (true, false) => "",
                    (false, _) => claims[source].as_str().unwrap(),
                };
                assert_eq!(actual, expected, "{case}");
            }
            let names = reply.headers.iter().map(|(name, _)| name.as_str());
            assert!(!names.into_iter().any(|name| name.contains("injected")), "{case}");
            let logout = app.post("/logout").bearer(&token).send().await;
            assert_eq!(logout.status, if is_id { 401 } else { 200 }, "{case}");
            assert_clean(&logout, &case);
        }
    }
}

/// With `GATEWAY_CSRF_MODE=double-submit` an application sets the CSRF token, and the gateway returns it in
/// JSON.
#[tokio::test]
async fn the_csrf_token_of_an_application_is_returned_as_one_json_string() {
    let app = TestApp::with_flags(&[("csrf-mode", "double-submit")]).await;
    let tokens = app.sign_up();
    for value in
        ["a\"b", "a\\b", "</script>", "\u{2028}", r#"x"},"data":{"csrf_token":"y"#, "%0d%0a"]
    {
        let request: Request = app.get("/api/auth/csrf").bearer(&tokens.access_token);
        let reply = request.cookies(&[("sb-csrf-token", value)]).send().await;
        assert_only_known_headers(&reply, value);
        assert_eq!(reply.json(), json!({ "data": { "csrf_token": value } }));
        assert!(reply.set_cookies().is_empty());
    }
}
