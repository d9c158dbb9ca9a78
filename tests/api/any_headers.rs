//! Whatever random headers a request has, the response must be 2xx or 4xx, never 5xx.

use std::cell::{Cell, RefCell};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::harness::{Connection, Reply, TestApp};

const NAMES: [&str; 14] = [
    "Authorization",
    "Cookie",
    "X-CSRF-Token",
    "Origin",
    "Referer",
    "Sec-Fetch-Site",
    "Content-Type",
    "Host",
    "X-Request-Id",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "User-Agent",
    "Access-Control-Request-Method",
];

/// Header values: random bytes that RFC 9110, section 5.5, allows, and texts that mean something to the
/// gateway.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![0x20_u8..=0x7e, 0x80_u8..=0xff, Just(b'\t')];
    prop_oneof![
        prop::collection::vec(byte, 0..60),
        "Bearer [A-Za-z0-9_.-]{0,60}".prop_map(String::into_bytes),
        "(sb-127-auth-token(\\.[0-9]|-user)?|sb-csrf-token)=(base64-)?[ -~]{0,40}(; [ -~]{0,20})?"
            .prop_map(String::into_bytes),
        "(https?://)?[a-z.:\\[\\]@0-9]{0,20}".prop_map(String::into_bytes),
        "(same-origin|none|cross-site|same-site|null)".prop_map(String::into_bytes),
    ]
}

type Lines = Vec<(&'static str, Vec<u8>)>;

fn requests() -> impl Strategy<Value = (&'static str, &'static str, Lines)> {
    let targets = vec![
        ("POST", "/api/auth/logout"),
        ("POST", "/api/v1/auth/logout?scope=others"),
        ("POST", "/logout/"),
        ("GET", "/api/auth/csrf"),
        ("GET", "/api/auth/verify/x"),
        ("OPTIONS", "/logout"),
        ("GET", "/nothing"),
    ];
    let line = (prop::sample::select(NAMES.to_vec()), value());
    (prop::sample::select(targets), prop::collection::vec(line, 0..6))
        .prop_map(|((method, target), lines)| (method, target, lines))
}

#[test]
fn no_request_header_causes_a_server_error() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let flags = [("trusted-proxies", "127.0.0.1"), ("allowed-origins", "https://app.example.com")];
    let app = runtime.block_on(TestApp::with_flags(&flags));
    let connection = RefCell::new(runtime.block_on(Connection::open(app.address)));
    let reused = Cell::new(0);
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&requests(), |(method, target, lines)| {
        let mut connection = connection.borrow_mut();
        let reply = runtime.block_on(async {
            let mut request = app.request(method, target);
            for (name, value) in &lines {
                request = request.header(name, value);
            }
            connection.write(&request.bytes(false)).await;
            if let Some(reply) = connection.reply(false).await {
                reused.set(reused.get() + 1);
                return reply;
            }
            *connection = Connection::open(app.address).await;
            connection.write(&request.bytes(false)).await;
            connection.reply(false).await.unwrap()
        });
        check(&reply)
    });
    assert!(outcome.is_ok(), "{outcome:?}");
    assert!(reused.get() > 300, "the gateway keeps most connections open: {reused:?}");
    assert_eq!(app.gotrue_call_count(), 0);
}

fn check(reply: &Reply) -> Result<(), TestCaseError> {
    prop_assert!(
        (200..300).contains(&reply.status) || (400..500).contains(&reply.status),
        "{reply:?}"
    );
    if reply.status >= 400 {
        let code = reply.json()["error"]["code"].as_str().map(str::to_owned);
        prop_assert!(code.is_some(), "{reply:?}");
        prop_assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    Ok(())
}
