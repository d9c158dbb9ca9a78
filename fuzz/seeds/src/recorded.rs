//! Reads the recordings.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// A minute after the last recorded token was issued and before any expires, in seconds since the Unix epoch.
pub const RECORDED_AT: i64 = 1_795_254_640;
/// The `iss` claim of recorded tokens.
pub const ISSUER: &str = "http://127.0.0.1:54321/auth/v1";
/// The URL of the recorded project.
pub const SUPABASE_URL: &str = "http://127.0.0.1:54321";
/// The secret of recorded HS256 tokens.
pub const JWT_SECRET: &str = "super-secret-jwt-token-with-at-least-32-characters-long";
/// The private keys of the other recorded tokens, as JWKs.
pub const SIGNING_KEYS: &str = include_str!("../../../fixtures/gotrue/signing-keys.json");

/// One exchange with GoTrue.
#[derive(Debug, Deserialize)]
pub struct Exchange {
    /// The name of the recording.
    pub name: String,
    /// The request to GoTrue.
    pub request: Request,
    /// GoTrue's response.
    pub response: Response,
}

/// A recorded request.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// The path with the query.
    pub path: String,
    headers: Map<String, Value>,
}

/// A recorded response.
#[derive(Debug, Deserialize)]
pub struct Response {
    /// The status.
    pub status: u16,
    headers: Map<String, Value>,
    body: Value,
}

impl Response {
    /// Names and values.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
    }

    /// The body as it was received.
    #[must_use]
    pub fn body(&self) -> String {
        match &self.body {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            json => json.to_string(),
        }
    }
}

/// The cookies of one browser.
#[derive(Debug, Deserialize)]
pub struct Jar {
    /// The name of the recording.
    pub name: String,
    /// The `Cookie` header that a browser sends with these cookies.
    pub cookie_header: String,
    session: Value,
}

impl Jar {
    /// Its access token.
    #[must_use]
    pub fn access_token(&self) -> &str {
        self.session["access_token"].as_str().expect("every jar has a session")
    }

    /// Its refresh token.
    #[must_use]
    pub fn refresh_token(&self) -> &str {
        self.session["refresh_token"].as_str().expect("every jar has a session")
    }
}

/// Every recorded exchange.
#[must_use]
pub fn exchanges() -> Vec<Exchange> {
    #[derive(Deserialize)]
    struct File {
        exchanges: Vec<Exchange>,
    }
    let file = include_str!("../../../fixtures/gotrue/exchanges.json");
    serde_json::from_str::<File>(file).expect("the exchanges are JSON").exchanges
}

/// Every recorded jar.
#[must_use]
pub fn jars() -> Vec<Jar> {
    #[derive(Deserialize)]
    struct File {
        jars: Vec<Jar>,
    }
    let file = include_str!("../../../fixtures/gotrue/ssr-cookies.json");
    serde_json::from_str::<File>(file).expect("the jars are JSON").jars
}

/// The access tokens of all recorded requests and jars, by the name of the recording.
#[must_use]
pub fn access_tokens() -> Vec<(String, String)> {
    let asked_with = exchanges().into_iter().filter_map(|Exchange { name, request, .. }| {
        let token = request.headers.get("Authorization")?.as_str()?.strip_prefix("Bearer ")?;
        Some((name, token.to_owned()))
    });
    let held = jars().into_iter().map(|jar| (jar.name.clone(), jar.access_token().to_owned()));
    asked_with.chain(held).collect()
}

/// The key set with the public parts of all recorded keys.
#[must_use]
pub fn key_set() -> String {
    let keys: Map<String, Value> = serde_json::from_str(SIGNING_KEYS).expect("the keys are JSON");
    let public = ["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"];
    let keys: Vec<_> = keys
        .values()
        .filter_map(Value::as_object)
        .map(|key| {
            let members = key.iter().filter(|(name, _)| public.contains(&name.as_str()));
            members.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>()
        })
        .collect();
    serde_json::json!({ "keys": keys }).to_string()
}

/// One part of a token as text, such as its claims.
#[must_use]
pub fn part(token: &str, index: usize) -> Option<String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(index)?).ok()?;
    String::from_utf8(bytes).ok()
}

/// The `session_id` of a token.
#[must_use]
pub fn session_id(token: &str) -> Option<Uuid> {
    let claims: Value = serde_json::from_str(&part(token, 1)?).ok()?;
    claims.get("session_id")?.as_str()?.parse().ok()
}
