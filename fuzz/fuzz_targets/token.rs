//! Access tokens, as they come or composed of any header and claims and signed by somebody.
//!
//! 1. What is believed has three canonical parts, no two members of one name, and claims in order.
//! 2. Only what a key of the project signed, for its own `alg` and `kid`, is ever verified.
#![no_main]

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use libfuzzer_sys::{Corpus, fuzz_target};
use logout_gateway::session::{
    jwks::Jwks,
    token::{Rules, Unsigned, session_of},
    verifier::{Standing, Verifier},
};
use logout_gateway_fuzz::{
    configuration,
    members::members,
    signers::{ProjectKey, Signers},
};
use seeds::recorded::{ISSUER, JWT_SECRET, RECORDED_AT, access_tokens, key_set};
use serde_json::{Value, value::RawValue};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

struct World {
    runtime: Runtime,
    rules: Rules,
    jwks: Arc<Jwks>,
    verifier: Verifier,
    signers: Signers,
    /// Header and claims of every token that the project is known to have signed.
    signed: HashSet<String>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let supabase = configuration::of(&[("supabase-jwt-secret", JWT_SECRET)]).supabase;
    // Nobody waits for a refetch.
    let jwks = Arc::new(Jwks::new(Duration::ZERO, Arc::default()));
    let message = |token: String| Some(token.rsplit_once('.')?.0.to_owned());
    World {
        runtime: Builder::new_current_thread().enable_time().build().expect("a runtime"),
        rules: Rules::new(&supabase),
        verifier: Verifier::new(&supabase, jwks.clone()),
        jwks,
        signers: Signers::recorded(),
        signed: access_tokens().into_iter().filter_map(|(_, token)| message(token)).collect(),
    }
});

impl World {
    /// The project's keys are known; they count for an hour only.
    fn with_keys(&self) -> &Self {
        if self.jwks.current().is_none() {
            let known = async {
                while self.jwks.current().is_none() {
                    tokio::task::yield_now().await;
                }
            };
            self.runtime.block_on(async {
                tokio::select! {
                    () = self.jwks.keep_fetching(async || Ok::<_, Uuid>(key_set().into())) => {}
                    () = known => {}
                }
            });
        }
        self
    }
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((token, key)) = token(input) else { return Corpus::Reject };
    let world = WORLD.with_keys();
    let _ = session_of(&token);
    let read = Unsigned::read(&token, &world.rules);
    if let Ok(unsigned) = &read {
        assert_in_order(&token, unsigned);
    }
    let judged = world.runtime.block_on(world.verifier.judge(&token, RECORDED_AT));
    if let Ok(judged) = &judged {
        let unsigned = read.as_ref().expect("what is judged can be read");
        assert_eq!(*judged.claims, unsigned.claims);
        assert_eq!(judged.standing, Standing::Verified, "there is a key for every algorithm");
        let begins = unsigned.claims.iat.into_iter().chain(unsigned.claims.nbf).max();
        assert!(begins.is_none_or(|begin| begin <= RECORDED_AT + 30));
        assert_eq!(judged.expired, unsigned.claims.exp <= RECORDED_AT);
        let known = world.signed.contains(unsigned.message);
        assert!(known || key.is_some_and(|key| key.is_of(unsigned)), "nobody signed {token}");
    } else if let (Ok(unsigned), Some(key)) = (&read, key) {
        let begun = unsigned.claims.begun(RECORDED_AT).is_ok();
        assert!(!(begun && key.is_of(unsigned)), "the project signed {token}");
    }
    Corpus::Keep
});

/// After a line that says who signs: a token, or a line of header and the claims.
fn token(input: &[u8]) -> Option<(String, Option<ProjectKey>)> {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let (who, first) = (lines.next()?, lines.next()?);
    if who == b"raw" {
        return Some((String::from_utf8(first.to_vec()).ok()?, None));
    }
    let [header, claims] = [first, lines.next()?].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let message = format!("{header}.{claims}");
    let (signature, key) = WORLD.signers.sign(who, &message);
    Some((format!("{message}.{signature}"), key))
}

/// The rules of section 3 of the contract, once more and by other means.
fn assert_in_order(token: &str, unsigned: &Unsigned<'_>) {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("not three parts: {token}") };
    assert_eq!(
        (unsigned.message, unsigned.signature),
        (&token[..header.len() + claims.len() + 1], signature)
    );
    let [header, claims, _] = [header, claims, signature].map(|part| {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64url");
        assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(&bytes), part, "not canonical");
        bytes
    });
    let [header, claims] = [header, claims].map(|part| members(&part).expect("an object"));
    for object in [&header, &claims] {
        let names: HashSet<&str> = object.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), object.len(), "two members of one name: {token}");
    }
    let member = |object: &[(String, Box<RawValue>)], name: &str| -> Value {
        let member = object.iter().find(|(n, _)| n == name);
        member.map_or(Value::Null, |(_, value)| serde_json::from_str(value.get()).expect("a value"))
    };
    let of_header = |name| member(&header, name);
    let claim = |name| member(&claims, name);
    let more = ["crit", "b64", "enc"];
    assert!(!header.iter().any(|(name, _)| more.contains(&name.as_str())), "{more:?}: {token}");
    for read_in_any_case in ["sub", "session_id"] {
        let named = claims.iter().filter(|(name, _)| name.eq_ignore_ascii_case(read_in_any_case));
        assert_eq!(named.count(), 1, "{read_in_any_case}: {token}");
    }
    assert_eq!(of_header("alg"), format!("{:?}", unsigned.algorithm));
    assert_eq!(of_header("kid").as_str(), unsigned.kid.as_deref());
    assert_eq!(claim("iss"), ISSUER);
    let for_us = |aud: &Value| aud == "authenticated";
    assert!(for_us(&claim("aud")) || claim("aud").as_array().is_some_and(|a| a.iter().any(for_us)));
    let uuid = |name| Uuid::parse_str(claim(name).as_str().expect("text")).expect("a UUID");
    let read = &unsigned.claims;
    assert_eq!((read.sub, read.session_id), (uuid("sub"), uuid("session_id")));
    assert!(!read.session_id.is_nil());
    assert_eq!(claim("exp").as_i64(), Some(read.exp));
    assert_eq!((claim("iat").as_i64(), claim("nbf").as_i64()), (read.iat, read.nbf));
    assert_eq!(
        (claim("role").as_str(), claim("aal").as_str()),
        (read.role.as_deref(), read.aal.as_deref())
    );
}
