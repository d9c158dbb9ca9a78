//! Compares the mock with the recordings: the same request in the same situation must get the same response
//! and have the same effect as with the real GoTrue.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper that panics makes its test fail, as it should"
)]

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::http::Method;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gotrue_mock::{Algorithm, Options, TEST_SECRET, Tokens};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{MockResponse, PASSWORD, RunningMock};

mod likeness;

use likeness::{assert_like, part};

const RECORDINGS: &str = include_str!("../../../../fixtures/gotrue/exchanges.json");

/// The state of the mock before the recorded request is sent.
#[derive(Clone, Copy, Debug)]
enum Situation {
    /// The mock needs no preparation: the test sends the recorded request unchanged.
    Nothing,
    /// One user has this number of live sessions, and the last of them sends the request.
    Sessions(usize),
    /// The session was logged out.
    LoggedOut,
    /// The session's user was deleted.
    UserGone,
    /// The session's user is banned.
    UserBanned,
    /// The session's user is anonymous.
    Anonymous,
    /// The session's refresh token was used just now.
    RefreshedNow,
    /// The session's refresh token was used and replaced twice, over ten seconds ago.
    RefreshedLongAgo,
}
use Situation::{
    Anonymous, LoggedOut, Nothing, RefreshedLongAgo, RefreshedNow, Sessions, UserBanned, UserGone,
};

const REPLAYED: &[(&str, Situation)] = &[
    ("logout-local-hs256", Sessions(1)),
    ("logout-local-es256", Sessions(1)),
    ("logout-local-rs256", Sessions(1)),
    ("logout-local-eddsa", Sessions(1)),
    ("logout-local-of-three", Sessions(3)),
    ("logout-others-of-three", Sessions(3)),
    ("logout-global-of-three", Sessions(3)),
    ("logout-no-scope", Sessions(2)),
    ("logout-scope-unknown", Sessions(1)),
    ("logout-scope-unknown-old-api", Sessions(1)),
    ("logout-session-gone", LoggedOut),
    ("logout-session-gone-old-api", LoggedOut),
    ("logout-user-gone", UserGone),
    ("logout-user-gone-old-api", UserGone),
    ("logout-user-banned", UserBanned),
    ("logout-user-banned-old-api", UserBanned),
    ("logout-token-expired", Sessions(1)),
    ("logout-token-expired-old-api", Sessions(1)),
    ("logout-no-authorization", Nothing),
    ("logout-no-authorization-old-api", Nothing),
    ("logout-bad-signature", Sessions(1)),
    ("logout-bad-signature-old-api", Sessions(1)),
    ("logout-not-a-jwt", Nothing),
    ("logout-not-a-jwt-old-api", Nothing),
    ("logout-local-without-session-id", Sessions(2)),
    ("logout-local-nil-session-id", Sessions(2)),
    ("logout-session-id-not-uuid", Sessions(1)),
    ("logout-sub-not-uuid", Nothing),
    ("logout-sub-empty", Nothing),
    ("logout-service-role-key", Nothing),
    ("logout-anon-key", Nothing),
    ("logout-hs256-token-at-es256-server", Sessions(1)),
    ("logout-aud-and-iss-foreign", Sessions(1)),
    ("logout-get", Nothing),
    ("logout-anonymous-user", Anonymous),
    ("refresh-ok", Sessions(1)),
    ("refresh-again-at-once", RefreshedNow),
    ("refresh-already-used", RefreshedLongAgo),
    ("refresh-unknown", Nothing),
    ("refresh-unknown-old-api", Nothing),
    ("refresh-after-logout", LoggedOut),
    ("refresh-user-banned", UserBanned),
    ("refresh-user-gone", UserGone),
    ("refresh-empty", Nothing),
    ("refresh-no-json", Nothing),
    ("refresh-unknown-v2", Nothing),
    ("refresh-unknown-old-api-v2", Nothing),
    ("refresh-after-logout-v2", LoggedOut),
    ("refresh-user-banned-v2", UserBanned),
    ("refresh-user-gone-v2", UserGone),
    ("refresh-empty-v2", Nothing),
    ("refresh-no-json-v2", Nothing),
    ("expired-logout", Sessions(1)),
    ("expired-refresh", Sessions(1)),
    ("expired-refresh-logout", Sessions(1)),
    ("jwks-hs256", Nothing),
    ("jwks-es256", Nothing),
    ("jwks-rs256", Nothing),
    ("jwks-eddsa", Nothing),
    ("health", Nothing),
    ("not-found", Nothing),
    ("user", Sessions(1)),
    ("user-after-logout", LoggedOut),
    ("health-database-down", Nothing),
    ("logout-after-database-came-back", Sessions(1)),
];

/// Recordings that the test does not replay, each with the reason.
const SKIPPED: &[(&str, &str)] = &[
    ("refresh-ok-v2", NO_COUNTER),
    ("refresh-again-at-once-v2", NO_COUNTER),
    ("refresh-already-used-v2", NO_COUNTER),
    ("logout-local-database-down", NO_DATABASE),
    ("logout-global-database-down", NO_DATABASE),
    ("refresh-database-down", NO_DATABASE),
];
const NO_COUNTER: &str =
    "the mock issues refresh tokens without a counter, which stop working sooner";
const NO_DATABASE: &str = "the mock has no database; a fault of kind `status` replaces it";

#[tokio::test]
async fn every_recorded_exchange_is_answered_as_recorded() {
    let recordings: Value = serde_json::from_str(RECORDINGS).unwrap();
    let time = replay_time(&recordings);
    for exchange in recordings["exchanges"].as_array().unwrap() {
        let name = exchange["name"].as_str().unwrap();
        if SKIPPED.iter().any(|(skipped, _)| *skipped == name) {
            continue;
        }
        let situation = REPLAYED.iter().find(|(replayed, _)| *replayed == name);
        let (_, situation) =
            situation.unwrap_or_else(|| panic!("{name} is in neither REPLAYED nor SKIPPED"));
        replay(exchange, *situation, time).await;
    }
}

#[test]
fn every_name_in_the_tables_is_that_of_a_recording() {
    let recordings: Value = serde_json::from_str(RECORDINGS).unwrap();
    let recorded: BTreeSet<_> = recordings["exchanges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|exchange| exchange["name"].as_str().unwrap())
        .collect();
    let replayed = REPLAYED.iter().map(|(name, _)| *name);
    let named: BTreeSet<_> = replayed.chain(SKIPPED.iter().map(|(name, _)| *name)).collect();
    assert_eq!(named, recorded);
    assert_eq!(named.len(), REPLAYED.len() + SKIPPED.len(), "a name is listed twice");
}

#[test]
fn the_mocks_shared_secret_is_that_of_the_recordings() {
    let recordings: Value = serde_json::from_str(RECORDINGS).unwrap();
    assert_eq!(recordings["hs256_secret"], TEST_SECRET);
}

/// The time when the short-lived token of the recording `expired-refresh` was issued. At this time every
/// recorded token is as valid or expired as when the recorder sent it.
fn replay_time(recordings: &Value) -> SystemTime {
    let mut exchanges = recordings["exchanges"].as_array().unwrap().iter();
    let refreshed = exchanges.find(|exchange| exchange["name"] == "expired-refresh").unwrap();
    let body = &refreshed["response"]["body"];
    let issued = body["expires_at"].as_u64().unwrap() - body["expires_in"].as_u64().unwrap();
    UNIX_EPOCH + Duration::from_secs(issued)
}

async fn replay(exchange: &Value, situation: Situation, time: SystemTime) {
    let name = exchange["name"].as_str().unwrap();
    let algorithm = match exchange["signing"].as_str().unwrap() {
        "HS256" => Algorithm::Hs256,
        "ES256" => Algorithm::Es256,
        "RS256" => Algorithm::Rs256,
        _ => Algorithm::EdDsa,
    };
    // The mock must have no version, because the recorded GoTrue was built without one.
    let options = Options { algorithm, version: String::new(), ..Options::default() };
    let mock = RunningMock::start_at(options, time).await;
    let session = prepare(&mock, situation).await;
    let before = session.as_ref().map(|session| rows(&mock, session));
    let response = send(&mock, &exchange["request"], session.as_ref(), name).await;
    assert_like(&response, &exchange["response"], name);
    if let Some(recorded) = exchange.get("before") {
        assert_eq!(before.as_ref(), Some(recorded), "{name}: before");
        let after = session.as_ref().map(|session| rows(&mock, session));
        assert_eq!(after.as_ref(), exchange.get("after"), "{name}: after");
    }
}

fn rows(mock: &RunningMock, session: &Tokens) -> Value {
    json!({
        "this_session_rows": u8::from(mock.mock.session_alive(session.session_id)),
        "sessions_of_user": mock.mock.sessions_of(session.user_id),
        "user_rows": u8::from(mock.mock.user_exists(session.user_id)),
    })
}

async fn prepare(mock: &RunningMock, situation: Situation) -> Option<Tokens> {
    if matches!(situation, Nothing) {
        return None;
    }
    if matches!(situation, Anonymous) {
        let body = mock.post("/auth/v1/signup", json!({})).await.json();
        return Some(Tokens {
            user_id: body["user"]["id"].as_str().unwrap().parse().unwrap(),
            session_id: claim(&body, "session_id").as_str().unwrap().parse().unwrap(),
            access_token: body["access_token"].as_str().unwrap().to_owned(),
            refresh_token: body["refresh_token"].as_str().unwrap().to_owned(),
        });
    }
    let user = mock.mock.create_user("someone@example.com", PASSWORD);
    let count = if let Sessions(count) = situation { count } else { 1 };
    let mut sessions: Vec<_> = (0..count).filter_map(|_| mock.mock.sign_in(user)).collect();
    let session = sessions.pop().unwrap();
    match situation {
        LoggedOut => assert!(mock.mock.delete_session(session.session_id)),
        UserGone => assert!(mock.mock.delete_user(user)),
        UserBanned => assert!(mock.mock.ban_user(user)),
        RefreshedNow => drop(mock.refresh(&session.refresh_token).await),
        RefreshedLongAgo => {
            let second = mock.refresh(&session.refresh_token).await.json();
            mock.refresh(second["refresh_token"].as_str().unwrap()).await;
            mock.advance_time(Duration::from_secs(11));
        }
        Nothing | Sessions(_) | Anonymous => {}
    }
    Some(session)
}

async fn send(
    mock: &RunningMock,
    request: &Value,
    session: Option<&Tokens>,
    name: &str,
) -> MockResponse {
    let mut headers = Vec::new();
    for (header, value) in request["headers"].as_object().unwrap() {
        let value = value.as_str().unwrap();
        let value = match (value.strip_prefix("Bearer "), session) {
            (Some(token), Some(session)) => {
                format!("Bearer {}", token_for_session(mock, session, token, name))
            }
            _ => value.to_owned(),
        };
        headers.push((header.as_str(), value));
    }
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let body = match (&request["body"], session) {
        (Value::Null, _) => None,
        (Value::String(text), _) => Some(text.clone()),
        (_, Some(session)) => Some(json!({ "refresh_token": session.refresh_token }).to_string()),
        (body, None) => Some(body.to_string()),
    };
    let method: Method = request["method"].as_str().unwrap().parse().unwrap();
    let path = format!("/auth/v1{}", request["path"].as_str().unwrap());
    mock.send(method, &path, &headers, body).await
}

/// The recorded token with the ids of a session of the mock instead of the recorded ids. All other claims
/// stay as they were recorded.
fn token_for_session(mock: &RunningMock, session: &Tokens, recorded: &str, name: &str) -> String {
    let mut claims = part(recorded, 1);
    for (claim, id) in [("sub", session.user_id), ("session_id", session.session_id)] {
        let is_id = claims[claim].as_str().and_then(|id| id.parse::<Uuid>().ok());
        if is_id.is_some_and(|id| !id.is_nil()) {
            claims[claim] = json!(id);
        }
    }
    let token = if part(recorded, 0)["alg"] == "HS256" {
        let secret = EncodingKey::from_secret(TEST_SECRET.as_bytes());
        jsonwebtoken::encode(&Header::default(), &claims, &secret).unwrap()
    } else {
        mock.mock.sign(&claims).unwrap()
    };
    if !name.starts_with("logout-bad-signature") {
        return token;
    }
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    *signature.last_mut().unwrap() ^= 1;
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn claim(tokens: &Value, name: &str) -> Value {
    part(tokens["access_token"].as_str().unwrap(), 1)[name].clone()
}
