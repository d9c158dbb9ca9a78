//! Line breaks and what becomes one, at every place that a response, a log line or a call to GoTrue could
//! echo: nothing that a client sends starts a line there.

use std::{collections::BTreeSet, net::IpAddr};

use gotrue_mock::Call;
use logout_gateway::Clock;
use serde_json::json;

use crate::harness::{
    GatewayProcess, Log, Reply, Request, Setup, TestApp, assert_only_known_headers, claims_of,
};

const APP: &str = "https://app.example.com";

/// What HTTP makes of a payload within a header.
#[derive(Clone, Copy, PartialEq, Eq)]
enum As {
    /// The end of the line: what follows is a header of the client's own.
    Line,
    /// Nothing that may stand there: 400.
    Refused,
    /// Text like any other.
    Text,
}

const PAYLOADS: &[(&str, As)] = &[
    ("\r\nX-Injected: injected", As::Line),
    ("\nX-Injected: injected", As::Line),
    ("\rX-Injected: injected", As::Refused),
    ("\r\r\nX-Injected: injected", As::Refused),
    ("\r\n X-Injected: injected", As::Refused),
    ("\r\n\tX-Injected: injected", As::Refused),
    ("\n X-Injected: injected", As::Refused),
    ("\0X-Injected: injected", As::Refused),
    ("\u{b}X-Injected: injected", As::Refused),
    ("\u{c}X-Injected: injected", As::Refused),
    ("\u{1b}[31mX-Injected: injected", As::Refused),
    ("\u{7f}X-Injected: injected", As::Refused),
    ("%0d%0aX-Injected:%20injected", As::Text),
    ("%250d%250aX-Injected: injected", As::Text),
    ("%0aX-Injected: injected", As::Text),
    ("%00X-Injected: injected", As::Text),
    ("%e5%98%8a%e5%98%8dX-Injected: injected", As::Text),
    (r"\r\nX-Injected: injected", As::Text),
    (r"\u000d\u000aX-Injected: injected", As::Text),
    ("&#13;&#10;X-Injected: injected", As::Text),
    // Where a reader cuts code points down to octets, these become line breaks.
    ("\u{10d}\u{10a}X-Injected: injected", As::Text),
    ("\u{560d}\u{560a}X-Injected: injected", As::Text),
    ("\u{85}X-Injected: injected", As::Text),
    ("\u{2028}X-Injected: injected", As::Text),
    ("\u{2029}X-Injected: injected", As::Text),
    (r#"","level":"ERROR","message":"injected"#, As::Text),
    ("\tX-Injected: injected", As::Text),
];

/// A header, and what stands there before the payload.
const PLACES: &[(&str, &str)] = &[
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

/// No byte of a payload in what the client reads.
#[track_caller]
fn assert_clean(reply: &Reply, case: &str) {
    assert_only_known_headers(reply, case);
    let told = format!("{:?} {}", reply.headers, String::from_utf8_lossy(&reply.body));
    assert!(!told.to_ascii_lowercase().contains("injected"), "{case}: {told}");
}

/// What GoTrue may be told of a client.
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
        let told = values[0].contains("njected");
        assert!(!told || name == "user-agent", "{case}: {name} {values:?}");
    }
    assert_eq!(call.header("user-agent"), user_agent, "{case}");
    assert!(call.header("x-forwarded-for").unwrap().parse::<IpAddr>().is_ok(), "{case}");
}

/// A gateway as a process, which writes down what it is asked.
async fn gateway(app: &TestApp) -> GatewayProcess {
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

/// As many audit lines as logouts, each of what such a line has; and no payload in any line.
fn assert_clean_log(log: &Log, logouts: usize) {
    let audits: Vec<_> = log.lines.iter().filter(|line| line["target"] == "audit").collect();
    assert_eq!(audits.len(), logouts);
    for line in audits {
        assert_eq!((&line["level"], &line["message"]), (&json!("INFO"), &json!("logout")));
        let id = line["request_id"].as_str().unwrap();
        assert!(id == "an-id" || uuid::Uuid::try_parse(id).is_ok(), "{line}");
    }
    let told = log.text.lines().find(|line| line.to_ascii_lowercase().contains("injected"));
    assert_eq!(told, None);
}

#[tokio::test]
async fn no_header_of_a_client_starts_a_line_anywhere() {
    let app = start_app().await;
    let gateway = gateway(&app).await;
    let mut logouts = 0;
    for (name, before) in PLACES {
        for (payload, read_as) in PAYLOADS {
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
            // What may stand in most headers is no name of a host.
            let no_host = *name == "Host" && *read_as != As::Line;
            logouts += usize::from(*read_as != As::Refused);
            if *read_as == As::Refused || no_host {
                assert_eq!((reply.status, app.is_alive(&tokens)), (400, true), "{case}");
                continue;
            }
            assert_eq!((reply.status, app.is_alive(&tokens)), (200, false), "{case}");
            let read = if *read_as == As::Line { *before } else { value.as_str() };
            let allowed = (*name == "Origin" && read == APP).then_some(APP);
            assert_eq!(reply.header("access-control-allow-origin"), allowed, "{case}");
            let kept = *name == "X-Request-Id" && read == *before;
            assert_eq!(reply.header("x-request-id") == Some("an-id"), kept, "{case}");
            let agent = (*name == "User-Agent").then_some(read);
            assert_clean_call(&app.gotrue_calls("logout").pop().unwrap(), agent, &case);
        }
    }
    assert_clean_log(&gateway.stop(), logouts);
}

/// Method, target and status; `BREAK` is a real line break.
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
async fn no_target_of_a_client_starts_a_line_anywhere() {
    let app = start_app().await;
    let gateway = gateway(&app).await;
    let mut judged = 0;
    for (method, target, status) in TARGETS {
        let case = format!("{method} {target}");
        let tokens = app.sign_up();
        let [method, target] = [method, target].map(|text| text.replace("BREAK", "\r\n"));
        let request = gateway.request(&method, &target).bearer(&tokens.access_token);
        let reply = request.send().await;
        assert_clean(&reply, &case);
        assert_eq!(reply.status, *status, "{case}");
        let logout = method == "POST" && *status != 404 && !target.contains('\n');
        judged += usize::from(logout);
        assert_eq!(app.is_alive(&tokens), !(logout && *status == 200), "{case}");
        if logout && *status == 200 {
            let call = app.gotrue_calls("logout").pop().unwrap();
            assert_clean_call(&call, None, &case);
            assert_eq!(call.query, "scope=local", "{case}");
        }
    }
    assert_clean_log(&gateway.stop(), judged);
}

/// Every text that somebody signed, told by `verify` in a header or kept to itself.
#[tokio::test]
async fn no_claim_starts_a_line_and_one_that_is_no_header_value_is_left_empty() {
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
            let id = ["sub", "session_id"].contains(&claim);
            assert_eq!(reply.status, if id { 401 } else { 200 }, "{case}");
            for (header, of) in [("x-auth-role", "role"), ("x-auth-aal", "aal")] {
                let told = reply.header(header).unwrap_or_default();
                let harmless = value.chars().all(|c| c == '\t' || !c.is_ascii_control());
                let expected = match (claim == of, harmless) {
                    _ if id => "",
                    (true, true) => value.as_str(),
                    (true, false) => "",
                    (false, _) => claims[of].as_str().unwrap(),
                };
                assert_eq!(told, expected, "{case}");
            }
            let names = reply.headers.iter().map(|(name, _)| name.as_str());
            assert!(!names.into_iter().any(|name| name.contains("injected")), "{case}");
            let logout = app.post("/logout").bearer(&token).send().await;
            assert_eq!(logout.status, if id { 401 } else { 200 }, "{case}");
            assert_clean(&logout, &case);
        }
    }
}

/// In the JSON of its body, where an app that mints its own token reads it again.
#[tokio::test]
async fn an_apps_own_csrf_token_is_answered_as_one_json_string() {
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
