//! Section 8 of the contract: a key set that changes, for better or worse, behind a gateway that has
//! the one before. What only time brings about is tested beside the code, on a paused clock.

use std::slice::from_ref;

use logout_gateway::mock::{Algorithm, TEST_SECRET, Tokens};
use serde_json::{Value, json};

use crate::harness::{
    Browser, Connection, Form, Request, Setup, Signer, Stage, assert_error, assert_success,
    claims_of, eventually, forged,
};

const KEY_SET: &str = ".well-known/jwks.json";
/// What the gateway reads of an answer, far exceeded.
const TEN_MEGABYTES: usize = 10 << 20;

/// GoTrue's answer to whoever asks for its keys.
fn answers(body: &Value) -> Value {
    json!({"operation": "jwks", "kind": "status", "status": 200, "body": body})
}

fn published(keys: &[Value]) -> Value {
    answers(&json!({ "keys": keys }))
}

/// A key with other members.
fn with(mut key: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        key[name] = value.clone();
    }
    key
}

/// Has the keys fetched once more, as a stranger's token does.
async fn fetch_again(stage: &Stage) {
    let before = stage.calls(KEY_SET).len();
    let claims = claims_of(&stage.sign_up().access_token).to_string();
    let unknown = forged(r#"{"alg":"ES256","kid":"nobody's"}"#, &claims);
    let reply = stage.get("/api/auth/verify").bearer(&unknown).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    assert_eq!(stage.calls(KEY_SET).len(), before + 1);
}

/// A session, and an access token of it by that key.
fn session(stage: &Stage, signer: &Signer) -> (Tokens, String) {
    let tokens = stage.sign_up();
    let claims = claims_of(&tokens.access_token).to_string();
    let token = signer.token(signer.header().to_string(), claims);
    (tokens, token)
}

struct Row {
    name: &'static str,
    /// The key set before, and GoTrue's answer to the next fetch.
    before: Vec<Value>,
    after: Value,
    /// Whether tokens of the project's own key and of the other one are let in afterwards.
    own: bool,
    other: bool,
}

fn rows(own: &Signer, other: &Signer) -> Vec<Row> {
    let (a, b) = (own.public_jwk(), other.public_jwk());
    let kid = json!(own.kid);
    let rsa = Signer::another(Algorithm::Rs256, own.kid.as_deref().unwrap()).public_jwk();
    let row = |name, after, own, other| Row { name, before: vec![a.clone()], after, own, other };
    let keeps = |name, after| row(name, after, true, false);
    let strange = |name, key: Value| keeps(name, published(&[key, a.clone()]));
    let padded = json!({"keys": [a, b], "padding": "x".repeat(TEN_MEGABYTES)});
    vec![
        row("grows", published(&[a.clone(), b.clone()]), true, true),
        row("grows at its beginning", published(&[b.clone(), a.clone()]), true, true),
        Row {
            before: vec![a.clone(), b.clone()],
            ..row("shrinks", published(from_ref(&a)), true, false)
        },
        row("is replaced", published(from_ref(&b)), false, true),
        row("is emptied", published(&[]), false, false),
        row(
            "has another key of the same name",
            published(&[with(b.clone(), &json!({"kid": kid}))]),
            false,
            false,
        ),
        keeps("is an error", json!({"operation": "jwks", "kind": "status", "status": 500})),
        keeps("is not there", json!({"operation": "jwks", "kind": "status", "status": 404})),
        keeps("is garbage", json!({"operation": "jwks", "kind": "garbage"})),
        keeps("is truncated", json!({"operation": "jwks", "kind": "truncate"})),
        keeps("is never told", json!({"operation": "jwks", "kind": "reset"})),
        keeps("is of 10 MB", answers(&padded)),
        keeps("is a text", answers(&json!("<html></html>"))),
        keeps("is a list", answers(&json!([b]))),
        keeps("has no keys", answers(&json!({}))),
        keeps("has null for keys", answers(&json!({"keys": null}))),
        keeps("has an object for keys", answers(&json!({"keys": {"0": b}}))),
        strange("holds a text", json!("key")),
        strange("holds null", Value::Null),
        strange("holds a key of unknown type", json!({"kty": "XYZ", "kid": "z"})),
        strange(
            "holds a post-quantum key",
            json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "z", "pub": "AAAA"}),
        ),
        strange(
            "holds a key on another curve",
            json!({"kty": "EC", "crv": "P-384", "kid": "z", "x": "AAAA", "y": "AAAA"}),
        ),
        strange(
            "holds a key for agreement",
            json!({"kty": "OKP", "crv": "X25519", "kid": "z", "x": b["x"]}),
        ),
        strange("holds a secret", json!({"kty": "oct", "alg": "HS256", "kid": "z", "k": "AAAA"})),
        strange("holds a key without a name", with(b.clone(), &json!({"kid": null}))),
        strange("holds a key with a number for a name", with(b.clone(), &json!({"kid": 1}))),
        strange("holds a key for encryption", with(b.clone(), &json!({"use": "enc"}))),
        strange("holds a key for signing only", with(b.clone(), &json!({"key_ops": ["sign"]}))),
        strange("holds a key for another algorithm", with(b.clone(), &json!({"alg": "ES384"}))),
        strange("holds a point that is on no curve", with(b.clone(), &json!({"y": b["x"]}))),
        strange("holds half a point", with(b.clone(), &json!({"y": "AAAA"}))),
        strange("holds coordinates that are no base64url", with(b.clone(), &json!({"x": "+/=="}))),
        strange("holds an RSA key of the same name", rsa.clone()),
        strange("holds a name of 50 KB", with(rsa, &json!({"kid": "k".repeat(50_000)}))),
        keeps(
            "has the name twice, the own key first",
            published(&[a.clone(), with(b.clone(), &json!({"kid": kid}))]),
        ),
        row(
            "has the name twice, the own key second",
            published(&[with(b.clone(), &json!({"kid": kid})), a.clone()]),
            false,
            false,
        ),
        row(
            "publishes a private key",
            published(&[with(a.clone(), &json!({"d": "AAAA"})), b.clone()]),
            true,
            true,
        ),
    ]
}

#[tokio::test]
async fn whatever_becomes_of_the_key_set_its_own_keys_count_and_no_others() {
    let own = Signer::of_the_project(Algorithm::Es256);
    let other = Signer::another(Algorithm::Es256, "the-other-key");
    for row in rows(&own, &other) {
        let name = row.name;
        println!("the key set {name}");
        let first = with(published(&row.before), &json!({"times": 1}));
        let stage = Setup::new().start_with(&[first, row.after]).await;
        let (mine, token) = session(&stage, &own);
        let (others, other_token) = session(&stage, &other);
        assert_eq!(verify(&stage, &token).await, 200, "before: {name}");
        fetch_again(&stage).await;
        for (token, believed) in [(&token, row.own), (&other_token, row.other)] {
            let status = if believed { 200 } else { 401 };
            assert_eq!(verify(&stage, token).await, status, "{name}");
        }
        let reply = stage.post("/logout").bearer(&token).send().await;
        assert_eq!(reply.status, if row.own { 200 } else { 401 }, "{name}");
        assert_eq!(stage.alive(&mine), !row.own, "{name}");
        assert!(stage.alive(&others), "{name}");
        assert_eq!(stage.get("/readyz").send().await.status, 200, "{name}");
        assert_eq!(stage.calls(KEY_SET).len(), 2, "{name}: at the start, and once more");
    }
}

async fn verify(stage: &Stage, token: &str) -> u16 {
    stage.get("/api/auth/verify").bearer(token).send().await.status
}

#[tokio::test]
async fn a_published_secret_judges_no_token() {
    let secret = Signer::of_secret("a-secret-that-everybody-can-read-0123456789");
    let jwk = json!({"kty": "oct", "alg": "HS256", "kid": "shared", "use": "sig",
        "k": "YS1zZWNyZXQtdGhhdC1ldmVyeWJvZHktY2FuLXJlYWQtMDEyMzQ1Njc4OQ"});
    for flags in [&[][..], &[("supabase-jwt-secret", TEST_SECRET)]] {
        let setup = Setup::new().algorithm(Algorithm::Hs256).flags(flags);
        let stage = setup.start_with(&[published(from_ref(&jwk))]).await;
        let tokens = stage.sign_up();
        let claims = claims_of(&tokens.access_token).to_string();
        let token = secret.token(r#"{"alg":"HS256","kid":"shared"}"#, claims);
        for scope in ["local", "global"] {
            let target = format!("/logout?scope={scope}");
            let reply = stage.post(&target).bearer(&token).send().await;
            assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
        }
        assert_eq!(verify(&stage, &token).await, 401);
        assert!(stage.alive(&tokens));
    }
}

#[tokio::test]
async fn a_thousand_made_up_keys_at_once_cause_one_fetch_and_keep_nobody_waiting() {
    const STRANGERS: usize = 1000;
    let stage = Setup::new().flag("upstream-timeout", "20s").start().await;
    let known = stage.sign_up();
    assert_eq!(stage.verify(&known).await, 200);
    stage.fault(json!({"operation": "jwks", "kind": "delay", "seconds": 1}));
    let claims = claims_of(&known.access_token).to_string();
    let mut strangers = tokio::task::JoinSet::new();
    for n in 0..STRANGERS {
        let token = forged(&format!(r#"{{"alg":"ES256","kid":"made-up-{n}"}}"#), &claims);
        let request = match n % 3 {
            0 => stage.get("/api/auth/verify").bearer(&token),
            1 => stage.post("/api/auth/logout?scope=global").bearer(&token),
            _ => {
                let cookies = [("sb-127-auth-token", json!([token, "refresh"]).to_string())];
                let cookies = cookies
                    .map(|(name, text)| (name, text.replace('"', "%22").replace(',', "%2C")));
                stage.post("/logout").header("Sec-Fetch-Site", "same-origin").cookies(&cookies)
            }
        };
        strangers.spawn(request.send());
    }
    let fetching = || async { stage.calls(KEY_SET).len() == 2 };
    eventually("the one fetch", fetching).await;
    // All of them wait for it, and nobody else does.
    assert_eq!(stage.verify(&known).await, 200);
    let browser = Browser::signed_in(&stage, &known, Form::Base64).await;
    let reply = browser.logout_request("/logout").send().await;
    assert_success(&reply, "/logout", known.user_id, "revoked");
    for reply in strangers.join_all().await {
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    }
    assert_eq!(stage.calls(KEY_SET).len(), 2);
}

#[tokio::test]
async fn after_a_rotation_old_tokens_are_good_as_long_as_their_key_is_published() {
    let stage = Stage::new().await;
    let before = stage.sign_up();
    let browser = Browser::signed_in(&stage, &before, Form::Base64).await;
    stage.mock.rotate_keys().unwrap();
    let after = stage.sign_up();
    let old = Signer::of_the_project(Algorithm::Es256).public_jwk();
    let gotrue = stage.mock.url().strip_prefix("http://").unwrap().parse().unwrap();
    let new = Request::new(gotrue, "GET", "/auth/v1/.well-known/jwks.json").send().await;
    stage.fault(published(&[new.json()["keys"][0].clone(), old]));
    assert_eq!(stage.verify(&before).await, 200);
    assert_eq!(stage.verify(&after).await, 200, "the first of the new key has it fetched");
    assert_eq!(stage.verify(&before).await, 200);
    let reply = stage.post("/logout").bearer(&after.access_token).send().await;
    assert_eq!(reply.status, 200);
    // GoTrue itself takes the old key no longer: what helps is the refresh token.
    let reply = browser.logout_request("/logout").send().await;
    assert_success(&reply, "/logout", before.user_id, "revoked");
    assert!(!stage.alive(&before) && !stage.alive(&after));
}

#[tokio::test]
async fn a_gotrue_that_comes_up_late_with_other_keys_is_believed_without_a_restart() {
    let setup = Setup::new().flag("upstream-timeout", "500ms").unready();
    let down = json!({"operation": "jwks", "kind": "reset"});
    let stage = setup.start_with(&[down]).await;
    let early = stage.sign_up();
    let mut waiting = Connection::open(stage.address).await;
    waiting.write(&stage.post("/logout").bearer(&early.access_token).bytes(false)).await;
    let reply = waiting.reply(false).await.unwrap();
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_unavailable"));
    assert_error(&stage.get("/readyz").send().await, 503, "NOT_READY", Some("key_set"));
    assert_eq!(stage.verify(&early).await, 503);
    assert!(stage.alive(&early));
    stage.mock.rotate_keys().unwrap();
    let late = stage.sign_up();
    stage.mock.clear_faults();
    eventually("ready", || async { stage.get("/readyz").send().await.status == 200 }).await;
    assert_eq!((stage.verify(&late).await, stage.verify(&early).await), (200, 401));
    assert_eq!(stage.post("/logout").bearer(&late.access_token).send().await.status, 200);
    assert!(!stage.alive(&late) && stage.alive(&early));
}
