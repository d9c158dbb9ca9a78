//! Compares the mock with whole recorded scenarios: the same requests in the same order must get the same
//! responses and leave the same sessions as with the real GoTrue.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper that panics makes its test fail, as it should"
)]

use std::{collections::BTreeMap, time::Duration};

use gotrue_mock::{Options, SessionExpiry};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    harness::claims_of,
    mock_harness::{MockResponse, RunningMock},
};

const RECORDINGS: &str = include_str!("../../fixtures/gotrue/exchanges-more.json");

/// Sessions that the recorded server expired because of its settings. The mock has no such settings, so a
/// control route expires the session before the exchange: then GoTrue refuses every refresh of it. Each row
/// has the name of the exchange, the placeholder of the session's id, and why the session expired.
const EXPIRED_SESSIONS: &[(&str, &str, SessionExpiry)] = &[
    ("session-inactive-refresh", "<session:1>", SessionExpiry::Inactivity),
    ("session-timebox-refresh", "<session:1>", SessionExpiry::Timebox),
    ("session-single-old-refresh", "<session:1>", SessionExpiry::NewerLogin),
    ("session-low-aal-refresh", "<session:2>", SessionExpiry::LowAal),
];

/// The response headers that the test compares. A header that the recording does not have must be absent.
const HEADERS: &[&str] = &[
    "content-type",
    "sb-auth-refresh-token-prefix",
    "sb-auth-refresh-token-reuse",
    "sb-auth-session-id",
    "sb-auth-user-id",
    "set-cookie",
    "vary",
    "x-sb-error-code",
    "x-supabase-api-version",
];

#[rstest]
#[case::admin("admin-users")]
#[case::anonymous("anonymous")]
#[case::bodies("bodies")]
#[case::no_session_id("ending-no-session-token")]
#[case::inactivity("session-inactivity")]
#[case::newer_login("session-single")]
#[case::second_factor("session-low-aal")]
#[case::timebox("session-timebox")]
#[case::update("user-update")]
#[case::password("user-password")]
#[tokio::test]
async fn the_mock_replays_a_recorded_scenario(#[case] scenario: &str) {
    let recordings: Value = serde_json::from_str(RECORDINGS).unwrap();
    let exchanges = recordings["exchanges"].as_array().unwrap().iter();
    let exchanges: Vec<_> = exchanges.filter(|it| it["scenario"] == scenario).collect();
    assert!(!exchanges.is_empty());
    let mut replay = Replay::start().await;
    if scenario == "session-low-aal" {
        replay.sign_in_with_a_second_factor();
    }
    for exchange in exchanges {
        replay.play(exchange).await;
    }
}

#[test]
fn every_recorded_scenario_is_replayed() {
    let recordings: Value = serde_json::from_str(RECORDINGS).unwrap();
    let exchanges = recordings["exchanges"].as_array().unwrap().iter();
    let scenarios: std::collections::BTreeSet<_> =
        exchanges.map(|exchange| exchange["scenario"].as_str().unwrap()).collect();
    let source = include_str!("mock_scenarios.rs");
    for scenario in scenarios {
        assert!(source.contains(&format!("(\"{scenario}\")]")), "{scenario} is not replayed");
    }
}

/// A mock during a scenario, and the mock's values for the placeholders in the recording.
struct Replay {
    mock: RunningMock,
    placeholders: BTreeMap<String, String>,
}

impl Replay {
    async fn start() -> Self {
        let mock = RunningMock::start(Options::default()).await;
        let claims = json!({"role": "service_role", "aud": "authenticated"});
        let key = mock.mock.sign(&claims).unwrap();
        let placeholders = BTreeMap::from([("<service-role-key>".to_owned(), key)]);
        Self { mock, placeholders }
    }

    /// Creates the session of `session-low-aal-refresh`. The recorded steps before that exchange need an
    /// authenticator app, which the mock does not have.
    fn sign_in_with_a_second_factor(&mut self) {
        let session = self.mock.sign_up();
        let bindings = [
            ("<user:1>", session.user_id.to_string()),
            ("<session:2>", session.session_id.to_string()),
            ("<refresh-token:3>", session.refresh_token),
        ];
        self.placeholders.extend(bindings.map(|(name, value)| (name.to_owned(), value)));
    }

    async fn play(&mut self, exchange: &Value) {
        let name = exchange["name"].as_str().unwrap();
        for step in exchange["prepared"].as_array().into_iter().flatten() {
            assert_eq!(step["do"], "wait", "{name}");
            self.mock.advance_time(Duration::from_secs_f64(step["seconds"].as_f64().unwrap()));
        }
        if let Some((_, session, expiry)) = EXPIRED_SESSIONS.iter().find(|(at, ..)| *at == name) {
            let session = self.placeholders[*session].parse().unwrap();
            assert!(self.mock.mock.expire_session(session, *expiry), "{name}");
        }
        let response = self.send(&exchange["request"]).await;
        if exchange["setup"] == true {
            assert_eq!(response.status.as_u16(), exchange["response"]["status"], "{name}");
            self.bind(&exchange["response"]["body"], &response.json());
            self.bind_headers(&exchange["response"]["headers"], &response);
        } else {
            self.assert_like(&response, &exchange["response"], name);
        }
        if let Some(after) = exchange.get("after") {
            self.assert_sessions(exchange, after, name).await;
        }
    }

    async fn send(&mut self, request: &Value) -> MockResponse {
        let mut headers = Vec::new();
        for (header, value) in request["headers"].as_object().unwrap() {
            headers.push((header.clone(), self.fill_in(value.as_str().unwrap())));
        }
        let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let body = match &request["body"] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            body => Some(self.fill_in(&body.to_string())),
        };
        let method = request["method"].as_str().unwrap().parse().unwrap();
        let path = format!("/auth/v1{}", self.fill_in(request["path"].as_str().unwrap()));
        self.mock.send(method, &path, &headers, body).await
    }

    /// Replaces the placeholders in a recorded text by the values of this run.
    fn fill_in(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (placeholder, value) in &self.placeholders {
            text = text.replace(placeholder, value);
        }
        if text.contains("<access-token without session_id>") {
            let claims = json!({"sub": self.placeholders["<user:1>"], "exp": 1_795_258_000});
            let token = self.mock.mock.sign(&claims).unwrap();
            text = text.replace("<access-token without session_id>", &token);
        }
        assert!(!text.contains('<'), "a placeholder without a value: {text}");
        text
    }

    /// Takes the values of placeholders from a response of which only a part was recorded.
    fn bind(&mut self, recorded: &Value, actual: &Value) {
        match recorded {
            Value::String(text) if text.starts_with('<') => {
                self.placeholders
                    .entry(text.clone())
                    .or_insert(actual.as_str().unwrap().to_owned());
            }
            Value::Object(members) => {
                members.iter().for_each(|(name, value)| self.bind(value, &actual[name]));
            }
            _ => {}
        }
    }

    fn bind_headers(&mut self, recorded: &Value, response: &MockResponse) {
        for (header, value) in recorded.as_object().unwrap() {
            self.bind(value, &json!(response.header(header)));
        }
    }

    fn assert_like(&mut self, response: &MockResponse, recorded: &Value, name: &str) {
        assert_eq!(response.status.as_u16(), recorded["status"], "{name}: {}", response.body);
        for header in HEADERS {
            match response.header(header) {
                None => assert!(recorded["headers"].get(header).is_none(), "{name}: no {header}"),
                Some(value) => {
                    let place = format!("{name}: {header}");
                    self.assert_equal(&recorded["headers"][header], &json!(value), &place);
                }
            }
        }
        match &recorded["body"] {
            Value::Null => assert_eq!(response.body, "", "{name}"),
            body => self.assert_equal(body, &response.json(), name),
        }
    }

    /// Asserts that two values are equal. A placeholder in the recording must always stand for the same
    /// value.
    fn assert_equal(&mut self, recorded: &Value, actual: &Value, place: &str) {
        match (recorded, actual) {
            (Value::Object(expected), Value::Object(members)) => {
                let names = |object: &serde_json::Map<String, Value>| {
                    object.keys().cloned().collect::<std::collections::BTreeSet<_>>()
                };
                assert_eq!(names(members), names(expected), "{place}");
                for (name, value) in expected {
                    self.assert_equal(value, &members[name], &format!("{place}.{name}"));
                }
            }
            (Value::Array(expected), Value::Array(items)) => {
                assert_eq!(items.len(), expected.len(), "{place}");
                for (value, item) in expected.iter().zip(items) {
                    self.assert_equal(value, item, place);
                }
            }
            (Value::String(text), _) if text == "<unix-time>" => {
                assert!(actual.is_u64(), "{place}: {actual}");
            }
            (Value::String(text), Value::String(value)) if text == "<time>" => {
                humantime::parse_rfc3339(value).unwrap();
            }
            (Value::String(text), Value::String(value)) if text.starts_with('<') => {
                let bound = self.placeholders.entry(text.clone()).or_insert(value.clone());
                assert_eq!(bound, value, "{place}: {text}");
            }
            _ => assert_eq!(actual, recorded, "{place}"),
        }
    }

    /// Asserts that the user has as many sessions as recorded, among them the sender's session if that was
    /// recorded.
    async fn assert_sessions(&self, exchange: &Value, after: &Value, name: &str) {
        let who = exchange["who"].as_str().unwrap();
        let user = self.placeholders.get(who);
        let sessions = self.mock.get("/mock/sessions").await.json();
        let of_user = sessions.as_array().unwrap().iter().filter(|session| {
            session["email"] == who || user.is_some_and(|user| session["user_id"] == **user)
        });
        if scenario_is_whole(exchange) {
            assert_eq!(of_user.count(), after["sessions_of_user"], "{name}: sessions of the user");
        }
        let authorization = exchange["request"]["headers"]["Authorization"].as_str();
        let bearer = authorization.and_then(|value| value.strip_prefix("Bearer "));
        if let (Some(token), Some(rows)) = (bearer, after.get("this_session_rows")) {
            let claims = claims_of(&self.fill_in(token));
            let id = claims["session_id"].as_str().unwrap().parse().unwrap();
            assert_eq!(json!(u8::from(self.mock.mock.session_alive(id))), *rows, "{name}");
        }
    }
}

/// Returns whether the file has all steps of the exchange's scenario.
fn scenario_is_whole(exchange: &Value) -> bool {
    !["admin-users", "session-low-aal"].iter().any(|part| exchange["scenario"] == *part)
}
