//! Sessions as GoTrue makes them, signed with a key of the benchmark's own, and their cookies as
//! `@supabase/ssr` writes them.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use uuid::Uuid;

use super::clock::unix_seconds;

/// A jar that the real `@supabase/ssr` wrote for a session of a real GoTrue.
const RECORDED_JARS: &str = include_str!("../../../fixtures/gotrue/ssr-cookies.json");
const COOKIE: &str = "sb-127-auth-token";
const KID: &str = "bench-key";
/// Longer than the benchmark runs.
const LIFETIME_SECONDS: u64 = 3600;

/// Signs in users.
pub(crate) struct Issuer {
    key: EcdsaKeyPair,
    random: SystemRandom,
    /// The claims of the recorded session's token, with the issuer of the stub.
    claims: Value,
    /// The session of the recorded cookie.
    session: Value,
}

/// A session that has just begun.
pub(crate) struct Session {
    pub(crate) user_id: String,
    pub(crate) access_token: String,
}

impl Issuer {
    /// An issuer with a new key. `url` is the address of GoTrue.
    pub(crate) fn new(url: &str) -> Self {
        let recorded: Value = serde_json::from_str(RECORDED_JARS).unwrap();
        let cookies = recorded["jars"][0]["cookie_header"].as_str().unwrap();
        let prefix = format!("{COOKIE}=base64-");
        let cookie = cookies.split("; ").find_map(|cookie| cookie.strip_prefix(&prefix)).unwrap();
        let session = decode(cookie);
        let mut claims =
            decode(session["access_token"].as_str().unwrap().split('.').nth(1).unwrap());
        claims["iss"] = json!(format!("{url}/auth/v1"));
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { key, random: SystemRandom::new(), claims, session }
    }

    /// The key set with the public key, as GoTrue publishes it.
    pub(crate) fn jwks(&self) -> String {
        // An uncompressed point: 0x04, 32 bytes of x, 32 bytes of y.
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        let [x, y] = [x, y].map(|octets| BASE64_URL_SAFE_NO_PAD.encode(octets));
        let key = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KID,
            "key_ops": ["verify"], "x": x, "y": y});
        json!({ "keys": [key] }).to_string()
    }

    /// Makes a session of a new user.
    pub(crate) fn sign_in(&self) -> Session {
        let user_id = Uuid::new_v4().to_string();
        let now = unix_seconds();
        let mut claims = self.claims.clone();
        claims["sub"] = json!(user_id);
        claims["user_metadata"]["sub"] = json!(user_id);
        claims["session_id"] = json!(Uuid::new_v4().to_string());
        claims["iat"] = json!(now);
        claims["exp"] = json!(now + LIFETIME_SECONDS);
        Session { access_token: self.sign(&claims), user_id }
    }

    /// The header line `Cookie` of a browser that has this session, without the line's end.
    fn cookie(&self, session: &Session) -> String {
        let mut value = self.session.clone();
        value["access_token"] = json!(session.access_token);
        value["expires_at"] = json!(unix_seconds() + LIFETIME_SECONDS);
        value["user"]["id"] = json!(session.user_id);
        format!("Cookie: {COOKIE}=base64-{}", BASE64_URL_SAFE_NO_PAD.encode(value.to_string()))
    }

    /// The header lines of a browser's request, with the lines' ends.
    pub(crate) fn browser(&self, session: &Session) -> String {
        format!("{}\r\nSec-Fetch-Site: same-origin\r\n", self.cookie(session))
    }

    /// The header lines of a browser's request with its CSRF token, in a cookie and in a header.
    pub(crate) fn browser_with_csrf(&self, session: &Session, token: &str) -> String {
        let cookie = self.cookie(session);
        format!(
            "{cookie}; sb-csrf-token={token}\r\nSec-Fetch-Site: same-origin\r\nX-CSRF-Token: {token}\r\n"
        )
    }

    pub(crate) fn sign_in_many(&self, sessions: usize) -> Vec<Session> {
        (0..sessions).map(|_| self.sign_in()).collect()
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "kid": KID, "typ": "JWT"});
        let [header, claims] =
            [&header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = format!("{header}.{claims}");
        let signature = self.key.sign(&self.random, message.as_bytes()).unwrap();
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

impl Session {
    /// The header line of an app's request, with the line's end.
    pub(crate) fn bearer(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.access_token)
    }
}

fn decode(base64: &str) -> Value {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(base64).unwrap()).unwrap()
}
