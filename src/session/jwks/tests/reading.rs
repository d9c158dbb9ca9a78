//! Tests which keys of a published key set the gateway uses.

use serde_json::{Value, json};

use super::{super::*, es256};

#[test]
fn keys_that_cannot_verify_a_supabase_token_are_left_out() {
    let symmetric = json!({"kty": "oct", "kid": "a", "alg": "HS256", "k": "c2VjcmV0"});
    let others = [
        symmetric,
        es256(&json!({"use": "enc"})),
        es256(&json!({"key_ops": ["sign"]})),
        es256(&json!({"alg": "ES384"})),
        es256(&json!({"alg": "RS256"})),
        es256(&json!({"crv": "P-384"})),
        es256(&json!({"kid": null})),
        es256(&json!({"kty": "XY"})),
        es256(&json!({"d": "c2VjcmV0"})),
        es256(&json!({"d": 7})),
        json!("a"),
        json!(null),
    ];
    for key in others {
        let body = json!({ "keys": [key, es256(&json!({"kid": "good"}))] }).to_string();
        let keys = read(body.as_bytes()).unwrap();
        assert_eq!(keys.iter().map(|key| &*key.kid).collect::<Vec<_>>(), ["good"], "{key}");
    }
    let without_alg = es256(&json!({"alg": null, "use": null, "key_ops": null, "d": null}));
    let keys = read(json!({ "keys": [without_alg] }).to_string().as_bytes()).unwrap();
    assert_eq!((&*keys[0].kid, keys[0].algorithm), ("a", Algorithm::ES256));
    for body in ["", "[]", "{}", r#"{"keys":1}"#, "<html>"] {
        assert!(read(body.as_bytes()).is_err(), "{body}");
    }
}

/// The recorded RS256 key under the name `kid`, with its modulus changed by `change`.
fn rsa(kid: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> Value {
    const KEYS: &str = include_str!("../../../../fixtures/gotrue/signing-keys.json");
    let recorded = &serde_json::from_str::<Value>(KEYS).unwrap()["RS256"];
    let modulus = URL_SAFE_NO_PAD.decode(recorded["n"].as_str().unwrap()).unwrap();
    let n = URL_SAFE_NO_PAD.encode(change(modulus));
    json!({"kty": "RSA", "alg": "RS256", "kid": kid, "n": n, "e": recorded["e"]})
}

#[test]
fn an_rsa_key_under_2048_bits_is_left_out_however_its_modulus_is_padded() {
    let keys = [
        rsa("genuine", |n| n),
        rsa("with a leading zero", |n| [vec![0], n].concat()),
        rsa("half", |n| n[..128].to_vec()),
        rsa("half, filled up with zeros", |n| [vec![0; 128], n[..128].to_vec()].concat()),
        rsa("a bit short", |n| [vec![n[0] >> 1], n[1..].to_vec()].concat()),
        rsa("nothing", |_| Vec::new()),
        rsa("zero", |_| vec![0; 256]),
    ];
    let keys = read(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
    let kids: Vec<_> = keys.iter().map(|key| &*key.kid).collect();
    assert_eq!(kids, ["genuine", "with a leading zero"]);
}

#[test]
fn keys_of_one_kid_differ_by_algorithm_and_the_first_of_each_is_used() {
    let second = es256(&json!({"x": "AAAA8Cq4RBlo5PptEYTozoUkRhs1SMObwTEZXG93M00"}));
    let body = json!({"keys": [es256(&json!({})), rsa("a", |n| n), second]}).to_string();
    let keys = read(body.as_bytes()).unwrap();
    let set = KeySet { keys, epoch: 0, fetched_at: Instant::now() };
    assert!(set.knows("a") && !set.knows("b"));
    let key = |algorithm| set.key("a", algorithm).map(std::ptr::from_ref);
    assert_eq!(key(Algorithm::ES256), Some(std::ptr::from_ref(&set.keys[0].decoding)));
    assert_eq!(key(Algorithm::RS256), Some(std::ptr::from_ref(&set.keys[1].decoding)));
    assert_eq!(key(Algorithm::EdDSA), None);
}
