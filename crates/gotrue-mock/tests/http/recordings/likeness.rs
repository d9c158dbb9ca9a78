//! Compares responses of the mock with recorded responses of the real GoTrue.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::harness::MockResponse;

/// Asserts that a response is like the recorded one: it must have the same status, headers, codes and
/// messages. If the values in a body differ from session to session, only the names and types of its members
/// are compared.
pub(super) fn assert_like(response: &MockResponse, recorded: &Value, name: &str) {
    assert_eq!(response.status.as_u16(), recorded["status"], "{name}: {}", response.body);
    assert_headers_like(response, &recorded["headers"], name);
    match &recorded["body"] {
        Value::Null => assert_eq!(response.body, "", "{name}"),
        Value::String(text) => assert_eq!(&response.body, text, "{name}"),
        // The whole body must be equal for errors, key sets and health.
        body if body.get("access_token").is_none() && body.get("id").is_none() => {
            assert_eq!(&response.json(), body, "{name}");
        }
        body => {
            assert_eq!(shape(&response.json()), shape(body), "{name}");
            assert_tokens_like(&response.json(), body, name);
        }
    }
}

fn assert_tokens_like(tokens: &Value, recorded: &Value, name: &str) {
    let token = |body: &Value| body["access_token"].as_str().map(ToOwned::to_owned);
    if let (Some(token), Some(recorded)) = (token(tokens), token(recorded)) {
        assert_eq!(part(&token, 0), part(&recorded, 0), "{name}: header of the access token");
        assert_eq!(shape(&part(&token, 1)), shape(&part(&recorded, 1)), "{name}: claims");
    }
}

fn assert_headers_like(response: &MockResponse, recorded: &Value, name: &str) {
    // Headers whose values differ from session to session: the test compares only whether a response has
    // them.
    const IDS: &[&str] = &["sb-auth-user-id", "sb-auth-session-id", "sb-auth-refresh-token-prefix"];
    const SAME: &[&str] = &[
        "allow",
        "cache-control",
        "content-type",
        "sb-auth-refresh-token-reuse",
        "vary",
        "x-content-type-options",
        "x-sb-error-code",
        "x-supabase-api-version",
    ];
    for header in recorded.as_object().unwrap().keys() {
        let compared = IDS.contains(&header.as_str()) || SAME.contains(&header.as_str());
        assert!(compared || header == "transfer-encoding", "{name}: {header} is in neither list");
    }
    for header in SAME {
        assert_eq!(response.header(header), recorded[header].as_str(), "{name}: {header}");
    }
    for header in IDS {
        let (is, was) = (response.header(header).is_some(), recorded.get(header).is_some());
        assert_eq!(is, was, "{name}: {header}");
    }
}

/// A copy of the value in which each value is replaced by the name of its type.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("a boolean"),
        Value::Number(_) => json!("a number"),
        Value::String(_) => json!("a string"),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), shape(value))).collect()
        }
    }
}

/// The part of a JWT with this index, decoded: 0 is the header, 1 the claims.
pub(super) fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
