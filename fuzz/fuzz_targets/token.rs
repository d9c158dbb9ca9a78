//! Access tokens, as they come or composed of any header and claims and signed by somebody.
//!
//! 1. A token whose claims are accepted has three canonical parts, a bounded number of members, no two
//!    members of one name, and claims in order.
//! 2. Only a token that a key of the project signed, for its own `alg` and `kid`, is ever verified.
//! 3. A gateway whose `GATEWAY_JWT_ALGORITHMS` leaves algorithms out refuses their tokens, and accepts the
//!    others as a gateway with the default does.
#![no_main]

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use libfuzzer_sys::{Corpus, fuzz_target};
use logout_gateway::internals::session::{jwks::Jwks, token::{Claims, Rules, TokenError, UnverifiedToken, session_of}, verifier::{SignatureStatus, Verifier}};
use logout_gateway_fuzz::{
    configuration,
    members::members,
    signers::{ProjectKey, Signers},
};
use seeds::recorded::{ISSUER, JWT_SECRET, RECORDED_AT, access_tokens, key_set};
use serde_json::{Value, value::RawValue};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

/// The longest header, in characters of base64url.
const MOST_HEADER_LENGTH: usize = 8 * 1024;
const MOST_MEMBERS: usize = 1024;
const SOME_ALGORITHMS: [Algorithm; 2] = [Algorithm::ES256, Algorithm::EdDSA];

struct World {
    runtime: Runtime,
    rules: Rules,
    jwks: Arc<Jwks>,
    verifier: Verifier,
    /// The same, but that it accepts the algorithms of [`SOME_ALGORITHMS`] alone.
    strict: Verifier,
    signers: Signers,
    /// Header and claims of every token that the project is known to have signed.
    signed: HashSet<String>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let supabase = configuration::of(&[("supabase-jwt-secret", JWT_SECRET)]).supabase;
    let secret = ("supabase-jwt-secret", JWT_SECRET);
    let strict = configuration::of(&[secret, ("jwt-algorithms", "ES256,EdDSA")]).supabase;
    // The budget of a refetch is used up at once.
    let jwks = Arc::new(Jwks::new(Duration::ZERO, Arc::default()));
    let message = |token: String| Some(token.rsplit_once('.')?.0.to_owned());
    World {
        runtime: Builder::new_current_thread().enable_time().build().expect("a runtime"),
        rules: Rules::new(&supabase),
        verifier: Verifier::new(&supabase, jwks.clone()),
        strict: Verifier::new(&strict, jwks.clone()),
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
    let parsed = UnverifiedToken::parse(&token);
    let read = parsed.and_then(|parsed| Ok((parsed.claims(&world.rules)?, parsed)));
    if let Ok((claims, unverified)) = &read {
        assert_in_order(&token, unverified, claims);
    }
    let judged = world.runtime.block_on(world.verifier.verify_or_refetch(&token, RECORDED_AT));
    if let Ok(judged) = &judged {
        let (claims, unverified) = read.as_ref().expect("a verified token can be read");
        assert_eq!(*judged.claims, *claims);
        assert_eq!(
            judged.signature,
            SignatureStatus::Verified,
            "there is a key for every algorithm"
        );
        let begins = claims.iat.into_iter().chain(claims.nbf).max();
        assert!(begins.is_none_or(|begin| begin <= RECORDED_AT + 30));
        assert_eq!(judged.expired, claims.exp <= RECORDED_AT);
        let known = world.signed.contains(unverified.message);
        let signed = key.is_some_and(|key| key.is_of(unverified));
        assert!(known || signed, "the project did not sign {token}");
    } else if let (Ok((claims, unverified)), Some(key)) = (&read, key) {
        let begun = claims.begun(RECORDED_AT).is_ok();
        assert!(!(begun && key.is_of(unverified)), "the project signed {token}");
    }
    let strictly = world.runtime.block_on(world.strict.verify_or_refetch(&token, RECORDED_AT));
    match read.as_ref().map(|(_, unverified)| unverified.algorithm) {
        Ok(algorithm) if !SOME_ALGORITHMS.contains(&algorithm) => {
            assert_eq!(strictly.err(), Some(TokenError::Algorithm), "{token}");
        }
        _ => assert_eq!(strictly.is_ok(), judged.is_ok(), "{token}"),
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
fn assert_in_order(token: &str, unverified: &UnverifiedToken<'_>, read: &Claims) {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("not three parts: {token}") };
    assert!(header.len() <= MOST_HEADER_LENGTH, "{token}");
    assert_eq!(
        (unverified.message, unverified.signature),
        (&token[..=header.len() + claims.len()], signature)
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
        assert!(names.len() <= MOST_MEMBERS, "{token}");
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
    assert_eq!(of_header("alg"), format!("{:?}", unverified.algorithm));
    assert_eq!(of_header("kid").as_str(), unverified.kid.as_deref());
    assert_eq!(claim("iss"), ISSUER);
    let for_us = |aud: &Value| aud == "authenticated";
    assert!(for_us(&claim("aud")) || claim("aud").as_array().is_some_and(|a| a.iter().any(for_us)));
    let uuid = |name| Uuid::parse_str(claim(name).as_str().expect("text")).expect("a UUID");
    assert_eq!((read.sub, read.session_id), (uuid("sub"), uuid("session_id")));
    assert!(!read.session_id.is_nil());
    assert_eq!(claim("exp").as_i64(), Some(read.exp));
    assert_eq!((claim("iat").as_i64(), claim("nbf").as_i64()), (read.iat, read.nbf));
    assert_eq!(
        (claim("role").as_str(), claim("aal").as_str()),
        (read.role.as_deref(), read.aal.as_deref())
    );
}
