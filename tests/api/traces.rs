//! Traces: the W3C Trace Context of requests and of calls to GoTrue, and the spans that a collector gets by
//! OTLP.

mod collectors;

use gotrue_mock::Tokens;
use logout_gateway::Clock;
use serde_json::json;

use crate::harness::{
    Browser, CookieFormat, GatewayProcess, Reply, Request, Setup, Span, TestApp, TraceCollector,
    claims_of, eventually,
};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER_SPAN_ID: &str = "00f067aa0ba902b7";
/// The numbers of the span kinds in OTLP.
const SERVER: i32 = 2;
const CLIENT: i32 = 3;

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE_ID}-{CALLER_SPAN_ID}-{flags}")
}

async fn start_app() -> TestApp {
    Setup::new().start_time(Clock::system().unix_seconds()).start().await
}

/// Signs up a user; returns the session's tokens with an access token that has expired.
fn sign_up_with_expired_token(app: &TestApp) -> Tokens {
    let mut tokens = app.sign_up();
    let mut claims = claims_of(&tokens.access_token);
    claims["exp"] = json!(app.clock.now() - 10);
    tokens.access_token = app.mock.sign(&claims).unwrap();
    tokens
}

/// Sends a logout by cookie with the trace context of a caller, whose trace flags are `flags`.
async fn log_out_with_trace(gateway: &GatewayProcess, tokens: &Tokens, flags: &str) -> Reply {
    let mut browser = Browser::signed_in_at(gateway.address, tokens, CookieFormat::Base64);
    browser.fetch_csrf().await;
    let request = browser.logout_request("/logout").header("X-Request-Id", "the-traced-one");
    let request = request.header("traceparent", traceparent(flags));
    let reply = request.header("tracestate", "vendor=1").send().await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply
}

/// The span with this name; the test fails unless there is exactly one.
#[track_caller]
fn single_span<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    let named: Vec<&Span> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(named.len(), 1, "{name}: {spans:#?}");
    named[0]
}

#[tokio::test]
async fn a_logout_continues_the_callers_trace_to_gotrue_and_the_store() {
    let (app, collector) = (start_app().await, TraceCollector::start().await);
    let gateway = GatewayProcess::start(&app, &[collector.endpoint_variable()]).await;
    let tokens = sign_up_with_expired_token(&app);
    log_out_with_trace(&gateway, &tokens, "01").await;
    assert!(!app.is_alive(&tokens));
    let log = gateway.stop();
    assert_eq!(log.audit_line("the-traced-one")["outcome"], "revoked");

    let mut spans = collector.spans();
    spans.retain(|span| span.trace_id == TRACE_ID);
    let request = single_span(&spans, "POST /logout");
    assert_eq!(
        (request.parent_span_id.as_str(), request.kind, request.is_error),
        (CALLER_SPAN_ID, SERVER, false)
    );
    for (attribute, value) in [
        ("request_id", "the-traced-one"),
        ("http.request.method", "POST"),
        ("http.route", "/logout"),
        ("http.response.status_code", "200"),
        ("outcome", "revoked"),
    ] {
        assert_eq!(request.attributes[attribute], value, "{attribute}");
    }
    for (name, kind) in [("token check", 1), ("refresh", CLIENT), ("revoke", CLIENT), ("store", 1)]
    {
        let span = single_span(&spans, name);
        assert_eq!(
            (&span.parent_span_id, span.kind, span.is_error),
            (&request.span_id, kind, false),
            "{name}"
        );
    }
    assert_eq!(spans.len(), 5, "{spans:#?}");
    assert_eq!(single_span(&spans, "store").attributes["operation"], "revoke");
    let revoke = single_span(&spans, "revoke");
    assert_eq!(revoke.attributes["http.response.status_code"], "204");
    assert_eq!(revoke.attributes["server.address"], "127.0.0.1");
    assert_eq!(revoke.attributes["result"], "ok");

    for (operation, name) in [("token", "refresh"), ("logout", "revoke")] {
        let call = app.gotrue_calls(operation).pop().unwrap();
        let expected = format!("00-{TRACE_ID}-{}-01", single_span(&spans, name).span_id);
        assert_eq!(call.header("traceparent"), Some(&*expected), "{operation}");
        assert_eq!(call.header("tracestate"), Some("vendor=1"), "{operation}");
        assert_eq!(call.header("x-request-id"), Some("the-traced-one"), "{operation}");
    }
    for resource in collector.resource_attributes() {
        assert_eq!(resource["service.name"], "logout-gateway");
        assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    }
}

#[tokio::test]
async fn no_span_has_a_secret() {
    let (app, collector) = (start_app().await, TraceCollector::start().await);
    let gateway = GatewayProcess::start(&app, &[collector.endpoint_variable()]).await;
    let tokens = sign_up_with_expired_token(&app);
    log_out_with_trace(&gateway, &tokens, "01").await;
    let request = gateway.request("POST", "/logout?scope=x9tell-tale9x").bearer("x9tell-tale9x");
    request.header("Cookie", "sb-127-auth-token=x9tell-tale9x").send().await;
    let _log = gateway.stop();
    let exported: Vec<u8> = collector.exports().into_iter().flat_map(|(_, body)| body).collect();
    let exported = String::from_utf8_lossy(&exported);
    assert!(exported.contains("the-traced-one"));
    let claims = claims_of(&tokens.access_token);
    let email = claims["email"].as_str().unwrap();
    let parts = tokens.access_token.split('.');
    for secret in parts.chain([&*tokens.refresh_token, email, "x9tell-tale9x"]) {
        assert!(!exported.contains(secret), "{secret}");
    }
    for id in [tokens.user_id, tokens.session_id] {
        assert!(!exported.contains(&id.to_string()), "only the audit log names users and sessions");
    }
}

#[tokio::test]
async fn each_failed_try_is_an_error_in_its_span() {
    let (app, collector) = (start_app().await, TraceCollector::start().await);
    let gateway = GatewayProcess::start(&app, &[collector.endpoint_variable()]).await;
    let token = app.sign_up().access_token;
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 503, "times": 2}));
    let request = gateway.request("POST", "/logout").bearer(&token);
    assert_eq!(request.send().await.status, 500);
    let _log = gateway.stop();
    let spans = collector.spans();
    let request = single_span(&spans, "POST /logout");
    assert!(request.is_error && request.parent_span_id.is_empty());
    assert_eq!(request.attributes["http.response.status_code"], "500");
    assert_eq!(request.attributes["outcome"], "failed");
    assert_eq!(request.attributes["reason"], "auth_service_unavailable");
    let tries: Vec<&Span> = spans.iter().filter(|span| span.name == "revoke").collect();
    assert_eq!(tries.len(), 2);
    for span in tries {
        assert!(span.is_error && span.parent_span_id == request.span_id, "{span:?}");
        assert_eq!(span.attributes["result"], "unavailable");
    }
}

#[tokio::test]
async fn a_trace_that_its_caller_does_not_sample_is_passed_on_and_not_exported() {
    let (app, collector) = (start_app().await, TraceCollector::start().await);
    let gateway = GatewayProcess::start(&app, &[collector.endpoint_variable()]).await;
    log_out_with_trace(&gateway, &app.sign_up(), "00").await;
    let call = app.gotrue_calls("logout").pop().unwrap();
    let sent = call.header("traceparent").unwrap();
    assert!(sent.starts_with(&format!("00-{TRACE_ID}-")) && sent.ends_with("-00"), "{sent}");
    assert!(!sent.contains(CALLER_SPAN_ID), "the parent is the gateway's own span: {sent}");
    let _log = gateway.stop();
    assert!(collector.spans().iter().all(|span| span.trace_id != TRACE_ID));
}

#[tokio::test]
async fn health_checks_and_background_work_have_no_traces_but_retries_have() {
    let (app, collector) = (start_app().await, TraceCollector::start().await);
    let directory = tempfile::tempdir().unwrap();
    let store = format!("file:{}", directory.path().join("store").display());
    let environment = [
        collector.endpoint_variable(),
        ("GATEWAY_STORE", &*store),
        ("GATEWAY_ADMIN_BIND", "127.0.0.1:0"),
    ];
    let gateway = GatewayProcess::start(&app, &environment).await;
    let tokens = app.sign_up();
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 503, "times": 2}));
    let request = gateway.request("POST", "/logout").bearer(&tokens.access_token);
    let request = request.header("X-Request-Id", "the-queued-one");
    assert_eq!(request.send().await.status, 202);
    eventually("the queued logout is done", async || !app.is_alive(&tokens)).await;
    for target in ["/healthz", "/readyz", "/nowhere"] {
        gateway.request("GET", target).send().await;
    }
    let admin = gateway.admin_address.unwrap();
    for target in ["/", "/metrics", "/queue"] {
        Request::new(admin, "GET", target).send().await;
    }
    let _log = gateway.stop();
    let spans = collector.spans();
    let retry = single_span(&spans, "retry");
    assert_eq!(retry.attributes["request_id"], "the-queued-one");
    assert!(spans.iter().any(|span| span.name == "revoke" && span.parent_span_id == retry.span_id));
    assert!(spans.iter().any(|span| span.name == "store" && span.parent_span_id == retry.span_id));
    let roots = spans.iter().filter(|span| span.parent_span_id.is_empty());
    let roots: std::collections::BTreeSet<&str> = roots.map(|span| span.name.as_str()).collect();
    let own = ["ask for the health", "ask for the issuer", "fetch the key set", "retry"];
    assert_eq!(roots, own.into_iter().chain(["POST /logout"]).collect());
}

#[tokio::test]
async fn without_a_collector_the_callers_trace_is_passed_on_unchanged() {
    let app = TestApp::new().await;
    let trace_headers_sent = async |headers: &[(&str, &str)]| {
        let token = app.sign_up().access_token;
        let request = app.post("/logout").bearer(&token);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(name, *value));
        assert_eq!(request.send().await.status, 200);
        let call = app.gotrue_calls("logout").pop().unwrap();
        ["traceparent", "tracestate"].map(|name| call.header(name).map(str::to_owned))
    };
    let parent = traceparent("01");
    let own = Some(parent.clone());
    assert_eq!(trace_headers_sent(&[]).await, [None, None]);
    assert_eq!(trace_headers_sent(&[("traceparent", &parent)]).await, [own.clone(), None]);
    let with_state = [("traceparent", &*parent), ("tracestate", "a=1,b=2")];
    assert_eq!(trace_headers_sent(&with_state).await, [own.clone(), Some("a=1,b=2".to_owned())]);
    let long = format!("a={}", "x".repeat(600));
    assert_eq!(
        trace_headers_sent(&[("traceparent", &parent), ("tracestate", &long)]).await,
        [own.clone(), None]
    );
    for malformed in [
        "x",
        "00-0-0-00",
        "00-1-2-1",
        &parent.to_uppercase(),
        &parent.replacen('4', "+", 1),
        &parent.replacen("00-", "0-", 1),
        &parent.replacen("00-", "+0-", 1),
        &parent.replacen("00-", "ff-", 1),
        &format!("{parent}-"),
        &format!("{parent}-x"),
        &parent.replace(CALLER_SPAN_ID, "0000000000000000"),
        &parent.replace(TRACE_ID, "00000000000000000000000000000000"),
    ] {
        assert_eq!(
            trace_headers_sent(&[("traceparent", malformed)]).await,
            [None, None],
            "{malformed}"
        );
    }
    for later in [traceparent("03"), parent.replacen("00-", "01-", 1) + "-more"] {
        let unchanged = [Some(later.clone()), None];
        assert_eq!(trace_headers_sent(&[("traceparent", &later)]).await, unchanged, "{later}");
    }
    assert_eq!(
        trace_headers_sent(&[("traceparent", &parent), ("traceparent", &parent)]).await,
        [None, None]
    );
    let lines = [("traceparent", &*parent), ("tracestate", "a=1"), ("tracestate", "b=2")];
    assert_eq!(trace_headers_sent(&lines).await, [own, Some("a=1,b=2".to_owned())]);
    assert_eq!(trace_headers_sent(&[("tracestate", "a=1")]).await, [None, None]);
}

#[tokio::test]
async fn no_text_of_a_client_names_a_span() {
    let (app, collector) = (start_app().await, TraceCollector::start().await);
    let gateway = GatewayProcess::start(&app, &[collector.endpoint_variable()]).await;
    let token = app.sign_up().access_token;
    let request = gateway.request("TELLTALE", "/api/auth/verify/telltale").bearer(&token);
    assert_eq!(request.send().await.status, 200, "verify accepts any method");
    let _log = gateway.stop();
    let spans = collector.spans();
    let span = single_span(&spans, "_OTHER /api/auth/verify/{*path}");
    assert_eq!(span.attributes["http.request.method"], "_OTHER");
    assert!(!format!("{spans:?}").to_lowercase().contains("telltale"), "{spans:#?}");
}

#[tokio::test]
async fn the_request_id_is_in_the_reply_the_log_gotrues_request_the_trace_and_the_failure_log() {
    const ID: &str = "the-one-id";
    let (app, collector) = (start_app().await, TraceCollector::start().await);
    let environment = [collector.endpoint_variable(), ("GATEWAY_ADMIN_BIND", "127.0.0.1:0")];
    let gateway = GatewayProcess::start(&app, &environment).await;
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500, "times": 1}));
    let token = app.sign_up().access_token;
    let request = gateway.request("POST", "/logout").bearer(&token).header("X-Request-Id", ID);
    let reply = request.send().await;
    assert_eq!((reply.status, reply.header("x-request-id")), (500, Some(ID)));
    assert_eq!(reply.json()["error"]["request_id"], ID);
    assert_eq!(app.gotrue_calls("logout").pop().unwrap().header("x-request-id"), Some(ID));
    let admin = gateway.admin_address.unwrap();
    let is_logged = async || {
        let report = Request::new(admin, "GET", "/failures").send().await.json();
        report["failures"][0]["request_id"] == ID
    };
    eventually("the failure log has it", is_logged).await;
    let log = gateway.stop();
    assert_eq!(log.audit_line(ID)["outcome"], "failed");
    assert_eq!(single_span(&collector.spans(), "POST /logout").attributes["request_id"], ID);
}
