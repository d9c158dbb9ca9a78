//! Reads the recorded exchanges, cookies and keys of `fixtures/`.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// A time in seconds since the Unix epoch: a minute after the last recorded token was issued, and before any
/// of them expires.
pub const RECORDED_AT: i64 = 1_795_254_640;
/// The `iss` claim of all recorded tokens.
pub const ISSUER: &str = "http://127.0.0.1:54321/auth/v1";
/// The URL of the Supabase project from which the recordings are.
pub const SUPABASE_URL: &str = "http://127.0.0.1:54321";
/// The shared secret that signed the recorded HS256 tokens.
pub const JWT_SECRET: &str = "super-secret-jwt-token-with-at-least-32-characters-long";
/// The private keys that signed the recorded tokens of other algorithms than HS256, as JWKs.
pub const SIGNING_KEYS: &str = include_str!("../../../fixtures/gotrue/signing-keys.json");

/// One recorded request to GoTrue with its response.
#[derive(Debug, Deserialize)]
pub struct Exchange {
    /// The name of the recording, which is unique in its file.
    pub name: String,
    /// The request that was sent to GoTrue.
    pub request: Request,
    /// The response that GoTrue sent.
    pub response: Response,
}

/// A recorded request to GoTrue.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// The path of the request with its query.
    pub path: String,
    headers: Map<String, Value>,
}

/// A recorded response of GoTrue.
#[derive(Debug, Deserialize)]
pub struct Response {
    /// The HTTP status of the response.
    pub status: u16,
    headers: Map<String, Value>,
    body: Value,
}

impl Response {
    /// The names and values of the response's headers.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
    }

    /// The response's body as the recorder received it.
    #[must_use]
    pub fn body(&self) -> String {
        match &self.body {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            json => json.to_string(),
        }
    }
}

/// The cookies that one browser has for a recorded session.
#[derive(Debug, Deserialize)]
pub struct Jar {
    /// The name of the recording, which is unique in its file.
    pub name: String,
    /// The `Cookie` header that a browser sends with the cookies of this jar.
    pub cookie_header: String,
    session: Value,
}

impl Jar {
    /// The access token of the jar's session.
    #[must_use]
    pub fn access_token(&self) -> &str {
        self.session["access_token"].as_str().expect("every jar has a session")
    }

    /// The refresh token of the jar's session.
    #[must_use]
    pub fn refresh_token(&self) -> &str {
        self.session["refresh_token"].as_str().expect("every jar has a session")
    }
}

/// All recorded exchanges with GoTrue.
#[must_use]
pub fn exchanges() -> Vec<Exchange> {
    #[derive(Deserialize)]
    struct File {
        exchanges: Vec<Exchange>,
    }
    let file = include_str!("../../../fixtures/gotrue/exchanges.json");
    serde_json::from_str::<File>(file).expect("the exchanges are JSON").exchanges
}

/// All recorded cookie jars.
#[must_use]
pub fn jars() -> Vec<Jar> {
    #[derive(Deserialize)]
    struct File {
        jars: Vec<Jar>,
    }
    let file = include_str!("../../../fixtures/gotrue/ssr-cookies.json");
    serde_json::from_str::<File>(file).expect("the jars are JSON").jars
}

/// The access tokens of all recorded requests and jars, each with the name of its recording.
#[must_use]
pub fn access_tokens() -> Vec<(String, String)> {
    let asked_with = exchanges().into_iter().filter_map(|Exchange { name, request, .. }| {
        let token = request.headers.get("Authorization")?.as_str()?.strip_prefix("Bearer ")?;
        Some((name, token.to_owned()))
    });
    let held = jars().into_iter().map(|jar| (jar.name.clone(), jar.access_token().to_owned()));
    asked_with.chain(held).collect()
}

/// The project's key set, as JSON, with the public parts of all recorded keys.
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

/// The part of a token with this index, decoded: 0 is the header, 1 the claims. `None` if it is no text.
#[must_use]
pub fn part(token: &str, index: usize) -> Option<String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(index)?).ok()?;
    String::from_utf8(bytes).ok()
}

/// The claim `session_id` of a token; `None` if the token has none.
#[must_use]
pub fn session_id(token: &str) -> Option<Uuid> {
    let claims: Value = serde_json::from_str(&part(token, 1)?).ok()?;
    claims.get("session_id")?.as_str()?.parse().ok()
}
