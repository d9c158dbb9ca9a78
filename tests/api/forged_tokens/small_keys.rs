//! RSA keys with fewer than 2048 bits, which RFC 7518, section 3.3, forbids. `rsa_1024.json` has such a key
//! and a token, because aws-lc-rs cannot sign with such a key.

use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RsaPublicKeyComponents,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gotrue_mock::Algorithm;
use logout_gateway::internals::session::token::TokenError::UnknownKey;
use serde_json::{Value, json};

use super::project_keys::{Rejection, TestVerifier};
use crate::harness::{RECORDED_AT, RECORDED_ISSUER, Setup, assert_error, recording};

#[tokio::test]
async fn a_token_under_an_rsa_key_of_1024_bits_is_refused_though_it_is_well_signed() {
    let file: Value = serde_json::from_str(include_str!("rsa_1024.json")).unwrap();
    let (key, token) = (&file["key"], file["token"].as_str().unwrap());
    assert!(has_valid_signature(key, token));

    let genuine = recording("logout-local-rs256");
    let mut key_set = recording("jwks-rs256").response.body;
    key_set["keys"].as_array_mut().unwrap().push(key.clone());
    let setup = || {
        let setup = Setup::new().start_time(RECORDED_AT).algorithm(Algorithm::Rs256);
        setup.flag("jwt-issuer", RECORDED_ISSUER)
    };
    let keys = json!({"operation": "jwks", "kind": "status", "status": 200, "body": key_set});
    let app = setup().start_with_faults(&[keys]).await;
    let verifier = TestVerifier::new(setup(), &app, &key_set).await;
    // The gateway drops the small key when it loads the key set, so the token's key id must be unknown.
    assert_eq!(verifier.rejection(token), Some(Rejection::Invalid(UnknownKey)));
    assert!(verifier.accepts(genuine.token()));

    let verify = app.get("/api/auth/verify").bearer(genuine.token()).send().await;
    assert_eq!(verify.status, 200, "a token under the project's key is accepted");
    for request in [
        app.get("/api/auth/verify"),
        app.get("/api/auth/csrf"),
        app.post("/logout"),
        app.post("/logout?scope=global"),
    ] {
        let reply = request.bearer(token).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    }
    assert_eq!(app.gotrue_call_count(), 0);
    let verify = app.get("/api/auth/verify").bearer(genuine.token()).send().await;
    assert_eq!(verify.status, 200, "the genuine token is still accepted");
}

/// Whether the token's signature is valid under this RSA key, whatever the size of the key.
fn has_valid_signature(key: &Value, token: &str) -> bool {
    let octets = |text: &Value| BASE64_URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let key = RsaPublicKeyComponents { n: octets(&key["n"]), e: octets(&key["e"]) };
    assert_eq!(key.n.len() * 8, 1024);
    let legacy = &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
    key.verify(legacy, message.as_bytes(), &octets(&json!(signature))).is_ok()
}
