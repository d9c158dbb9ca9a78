//! Key sets that GoTrue, or another server in its place, may publish. The tests check which tokens the
//! gateway then accepts, and which sessions can be ended.
//!
//! GoTrue has two keys and accepts the tokens of both. The gateway fetched key A at its start and verified a
//! token with it. Key B is new.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gotrue_mock::{TEST_SECRET, Tokens};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::KEY_SET;
use crate::harness::{
    Request, Setup, Signer, TestApp, assert_error, assert_success, claims_of, eventually,
    hs256_token, recording, run_concurrently,
};

/// Makes a key set from the keys A and B, in this order.
type MakeKeySet = fn(&Value, &Value) -> Value;

/// Well-formed key sets: a name, the key set, and whether the gateway then accepts tokens of A and of B.
const SETS: &[(&str, MakeKeySet, [bool; 2])] = &[
    ("a key is added", |a, b| set([a, b]), [true, true]),
    ("a key is added before the old one", |a, b| set([b, a]), [true, true]),
    ("only a new key", |_, b| set([b]), [false, true]),
    ("no key: the project signs with a secret", |_, _| set([]), [false, false]),
    ("keys of unknown kinds alone", |a, _| set([&with_member(a, "kty", "XY")]), [false, false]),
    ("an unknown kind", |a, b| set([&with_member(a, "kty", "AKP"), a, b]), [true, true]),
    ("an unknown curve", |a, b| set([&with_member(a, "crv", "P-999"), a, b]), [true, true]),
    (
        "a curve of another algorithm",
        |a, b| set([&with_member(a, "crv", "P-521"), a, b]),
        [true, true],
    ),
    ("an unknown algorithm", |a, b| set([&with_member(a, "alg", "XY256"), a, b]), [true, true]),
    ("another key's algorithm", |a, b| set([&with_member(a, "alg", "RS256"), a, b]), [true, true]),
    ("a key to encrypt with", |a, b| set([&with_member(a, "use", "enc"), a, b]), [true, true]),
    ("a use that is a number", |a, b| set([&with_member(a, "use", 7), a, b]), [true, true]),
    (
        "elements that are no keys",
        |a, b| set([&json!("a"), &json!(null), a, &json!([]), b]),
        [true, true],
    ),
    (
        "a shared secret of the same kid",
        |a, b| set([&secret_with_kid(&a["kid"]), a, b]),
        [true, true],
    ),
    ("unknown members", |a, b| set([&with_member(a, "ext", json!({"a": [1]})), b]), [true, true]),
    ("no kid", |a, b| set([&with_member(a, "kid", Value::Null), b]), [false, true]),
    ("an empty kid", |a, b| set([&with_member(a, "kid", ""), b]), [false, true]),
    ("a kid that is a number", |a, b| set([&with_member(a, "kid", 7), b]), [false, true]),
    (
        "a kid that is an object",
        |a, b| set([&with_member(a, "kid", json!({"kid": "a"})), b]),
        [false, true],
    ),
    (
        "a kid of 50 KB",
        |a, b| set([&with_member(a, "kid", "k".repeat(50_000)), a, b]),
        [true, true],
    ),
    ("a kid in another case", |a, b| set([&with_member(a, "kid", upper_kid(a)), b]), [false, true]),
    ("one key twice", |a, b| set([a, a, b]), [true, true]),
    (
        "one kid for two keys: the first is used",
        |a, b| set([a, &with_kid_of(b, a), b]),
        [true, true],
    ),
    (
        "one kid for two keys, in the other order",
        |a, b| set([&with_kid_of(b, a), a, b]),
        [false, true],
    ),
    (
        "one kid for keys of several kinds",
        |a, b| set([&with_kid_of(&recorded("rs256"), a), a, b]),
        [true, true],
    ),
    (
        "a point that is not on the curve",
        |a, b| set([&with_member(a, "x", octets(32)), b]),
        [false, true],
    ),
    ("half a point", |a, b| set([&with_member(a, "y", octets(16)), b]), [false, true]),
    ("a point that is not base64url", |a, b| set([&with_member(a, "x", "%%%"), b]), [false, true]),
    ("a private key", |a, b| set([&with_member(a, "d", octets(32)), b]), [false, true]),
    (
        "150 keys of an unknown kind",
        |a, b| set([&with_member(a, "kty", "XY"); 150].into_iter().chain([a, b])),
        [true, true],
    ),
];

/// Responses that are no key set, although most contain A and B: a name, the status, and the body.
const INVALID_SETS: &[(&str, u16, MakeKeySet)] = &[
    ("nothing", 200, |_, _| json!("")),
    ("a page", 200, |_, _| json!("<!doctype html><title>Sign in to the hotel's network</title>")),
    ("half a key set", 200, |a, b| json!(half(&set([a, b]).to_string()))),
    ("more than a key set", 200, |a, b| json!(format!("{}{}", set([a, b]), set([])))),
    ("null", 200, |_, _| json!("null")),
    ("a list of keys", 200, |a, b| json!([a, b])),
    ("an object without keys", 200, |_, _| json!({})),
    ("keys that are null", 200, |_, _| json!({"keys": null})),
    ("keys that are an object", 200, |a, b| json!({"keys": {"a": a, "b": b}})),
    ("keys that are an empty object", 200, |_, _| json!({"keys": {}})),
    ("keys that are a text", 200, |a, b| json!({"keys": json!([a, b]).to_string()})),
    ("keys twice", 200, |a, b| json!(format!(r#"{{"keys":[{a},{b}],"keys":[{b}]}}"#))),
    ("deep nesting", 200, |a, b| json!(nested(&set([a, b])))),
    ("10 MB", 200, |a, b| json!(padded(&set([a, b]), 10 << 20))),
    ("a kid of 100 KB", 200, |a, b| set([a, b, &with_member(a, "kid", "k".repeat(100_000))])),
    ("another status", 203, |a, b| set([a, b])),
    ("an error", 500, |a, b| set([a, b])),
];

fn set<'k>(keys: impl IntoIterator<Item = &'k Value>) -> Value {
    json!({"keys": keys.into_iter().collect::<Vec<_>>()})
}

/// A copy of `key` in which `member` has another value.
fn with_member(key: &Value, member: &str, value: impl Into<Value>) -> Value {
    let mut key = key.clone();
    key[member] = value.into();
    key
}

/// A copy of the key `other` with the `kid` of `key`.
fn with_kid_of(other: &Value, key: &Value) -> Value {
    with_member(other, "kid", key["kid"].clone())
}

fn upper_kid(key: &Value) -> String {
    key["kid"].as_str().unwrap().to_uppercase()
}

fn octets(count: usize) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(vec![7; count])
}

fn half(text: &str) -> Value {
    json!(text[..text.len() / 2])
}

/// A key set with an unknown member of `octets` bytes.
fn padded(set: &Value, octets: usize) -> String {
    let (padding, rest) = ("x".repeat(octets), &set.to_string()[1..]);
    format!(r#"{{"padding":"{padding}",{rest}"#)
}

/// A key set with an element that is nested more deeply than a parser should follow.
fn nested(keys: &Value) -> String {
    let deep = "[".repeat(1000) + &"]".repeat(1000);
    keys.to_string().replace("]}", &format!(",{deep}]}}"))
}

/// The public key of this algorithm from the recordings.
fn recorded(algorithm: &str) -> Value {
    recording(&format!("jwks-{algorithm}")).response.body["keys"][0].clone()
}

const PUBLISHED_SECRET: &str = "a-secret-that-everybody-reads-0123456789";

fn secret_with_kid(kid: &Value) -> Value {
    let k = BASE64_URL_SAFE_NO_PAD.encode(PUBLISHED_SECRET);
    json!({"kty": "oct", "alg": "HS256", "use": "sig", "key_ops": ["verify"], "kid": kid, "k": k})
}

/// A gateway that has verified a token with key A, together with tokens of both keys.
struct KeySetCase {
    app: TestApp,
    a: Value,
    b: Value,
    tokens_a: [Tokens; 2],
    tokens_b: [Tokens; 2],
}

impl KeySetCase {
    /// Lets the gateway fetch key A and verify the first token of `tokens_a`, and adds key B to GoTrue.
    async fn prepare(app: TestApp) -> Self {
        eventually("ready", || async { app.get("/readyz").send().await.status == 200 }).await;
        let tokens_a = [app.sign_up(), app.sign_up()];
        assert_eq!(app.verify(&tokens_a[0]).await, 200);
        let mock = app.mock.url().strip_prefix("http://").unwrap().parse().unwrap();
        let rotate = Request::new(mock, "POST", "/mock/keys/rotate").body(r#"{"keep_old":true}"#);
        let keys = rotate.send().await.json()["keys"].take();
        let tokens_b = [app.sign_up(), app.sign_up()];
        Self { app, a: keys[1].clone(), b: keys[0].clone(), tokens_a, tokens_b }
    }

    /// Publishes `published` and makes the gateway fetch it with a token of B. Asserts whether the gateway
    /// then accepts tokens of A and of B.
    async fn assert_verification(&self, published: &Value, status: u16, [a, b]: [bool; 2]) {
        let Self { app, tokens_a, tokens_b, .. } = self;
        let before = app.gotrue_calls(KEY_SET).len();
        app.inject_fault(jwks_fault(published, status));
        for (tokens, accepted) in
            tokens_b.iter().map(|t| (t, b)).chain(tokens_a.iter().map(|t| (t, a)))
        {
            assert_eq!(app.verify(tokens).await, if accepted { 200 } else { 401 });
            let reply = app.post("/logout").bearer(&tokens.access_token).send().await;
            if accepted {
                assert_success(&reply, "/logout", tokens.user_id, "revoked");
            } else {
                assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
            }
            assert_eq!(app.is_alive(tokens), !accepted);
        }
        assert_eq!(app.gotrue_calls(KEY_SET).len(), before + 1);
        assert_eq!(app.get("/readyz").send().await.status, 200);
    }
}

/// The fault that makes GoTrue respond with this key set and this status.
fn jwks_fault(published: &Value, status: u16) -> Value {
    json!({"operation": "jwks", "kind": "status", "status": status, "body": published})
}

#[tokio::test]
async fn each_valid_key_of_a_new_key_set_is_used_and_no_other_key() {
    for (name, published, accepted) in SETS {
        println!("{name}");
        let case = KeySetCase::prepare(TestApp::new().await).await;
        let set = published(&case.a, &case.b);
        case.assert_verification(&set, 200, *accepted).await;
    }
}

/// After an invalid key set, a gateway that has just started has no keys, and a gateway that has keys keeps
/// them.
#[test]
fn an_invalid_key_set_is_none_at_the_start_and_later_keeps_the_known_keys() {
    let rows = INVALID_SETS.iter().map(|(name, status, published)| (*name, (*status, *published)));
    run_concurrently(rows, |(status, published): (u16, MakeKeySet)| async move {
        let key = recorded("es256");
        let mut at_start = jwks_fault(&published(&key, &key), status);
        at_start["times"] = json!(1);
        let case = KeySetCase::prepare(
            Setup::new().without_readiness_check().start_with_faults(&[at_start]).await,
        )
        .await;
        assert_eq!(case.app.gotrue_calls(KEY_SET).len(), 2, "the first response was no key set");
        let garbage = published(&case.a, &case.b);
        case.assert_verification(&garbage, status, [true, false]).await;
    });
}

#[tokio::test]
async fn a_published_secret_verifies_no_token() {
    for has_secret in [false, true] {
        let mut keys = recording("jwks-es256").response.body;
        let name = json!("published");
        keys["keys"].as_array_mut().unwrap().insert(0, secret_with_kid(&name));
        let setup = Setup::new();
        let setup = if has_secret { setup.flag("supabase-jwt-secret", TEST_SECRET) } else { setup };
        let app = setup.start_with_faults(&[jwks_fault(&keys, 200)]).await;
        let tokens = app.sign_up();
        let claims = claims_of(&tokens.access_token);
        let mut header = Header::new(Algorithm::HS256);
        let without_kid = hs256_token(&claims, PUBLISHED_SECRET);
        header.kid = Some("published".to_owned());
        let secret = EncodingKey::from_secret(PUBLISHED_SECRET.as_bytes());
        let with_kid = jsonwebtoken::encode(&header, &claims, &secret).unwrap();
        for token in [without_kid, with_kid] {
            let calls_before = app.gotrue_call_count();
            let verify = app.get("/api/auth/verify").bearer(&token).send().await;
            assert_error(&verify, 401, "NOT_AUTHENTICATED", Some("invalid"));
            let logout = app.post("/logout").bearer(&token).send().await;
            assert_error(&logout, 401, "NOT_AUTHENTICATED", Some("invalid"));
            // A gateway without the JWT secret must ask GoTrue about each HS256 token.
            assert_eq!(app.gotrue_call_count() - calls_before, if has_secret { 0 } else { 2 });
        }
        assert!(app.is_alive(&tokens));
        assert_eq!(app.verify(&tokens).await, 200, "the owner of the session is not locked out");
    }
}

#[tokio::test]
async fn a_key_without_a_kid_verifies_no_token_without_a_kid() {
    let mut key = recorded("es256");
    let signer = Signer::project_key(gotrue_mock::Algorithm::Es256);
    for kid in [None, Some(Value::Null), Some(json!(7))] {
        match kid {
            None => drop(key.as_object_mut().unwrap().remove("kid")),
            Some(kid) => key["kid"] = kid,
        }
        let app = Setup::new().start_with_faults(&[jwks_fault(&set([&key]), 200)]).await;
        let tokens = app.sign_up();
        let claims = claims_of(&tokens.access_token).to_string();
        for header in
            [r#"{"alg":"ES256"}"#, r#"{"alg":"ES256","kid":null}"#, r#"{"alg":"ES256","kid":7}"#]
        {
            let token = signer.token(header, &claims);
            let reply = app.post("/logout").bearer(&token).send().await;
            assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
        }
        assert!(app.is_alive(&tokens) && app.gotrue_call_count() == 0);
    }
}
