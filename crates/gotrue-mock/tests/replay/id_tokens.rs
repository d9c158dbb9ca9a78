//! The ID tokens of the recordings, which have only placeholders for them.

use serde_json::{Value, json};

/// The SHA-256 hashes of `a-nonce` and `abc` in hexadecimal.
const HASH_OF_A_NONCE: &str = "5d5e82cb3d37099f069ba293d3159ae89978bf4c4522013a82e8e0b439bc8715";
const HASH_OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// The claims of a scenario's ID tokens, in the order of their numbers. `now` is in seconds since the Unix epoch.
pub(crate) fn claims(scenario: &str, issuer: &str, now: u64) -> Vec<Value> {
    // The recording shows only the subject of `id-token`, and that no other scenario had it.
    let subject =
        if scenario == "id-token" { "kc-id".to_owned() } else { format!("kc-{scenario}") };
    let token = |changed: Value| {
        let mut claims = json!({
            "iss": issuer,
            "sub": subject,
            "aud": "the-client",
            "iat": now,
            "exp": now + 3600,
            "email": "id@idtoken.example.com",
            "email_verified": true,
            "name": "Id",
        });
        let members = claims.as_object_mut().unwrap();
        members.extend(changed.as_object().unwrap().clone());
        members.retain(|_, value| !value.is_null());
        claims
    };
    match scenario {
        "id-token" => vec![token(json!({ "nonce": HASH_OF_A_NONCE }))],
        "id-token-link" => vec![token(json!({}))],
        "id-token-refused" => vec![
            token(json!({ "exp": now - 60 })),
            token(json!({ "aud": "another" })),
            token(json!({ "iss": "https://evil.example.com" })),
            token(json!({ "nonce": HASH_OF_ABC })),
            token(json!({ "sub": null })),
            token(json!({ "email": null })),
            token(json!({})),
        ],
        _ => Vec::new(),
    }
}
