//! Feeds access tokens to the verifier: any text, or any header and claims that one of several keys signs.
//!
//! 1. If the gateway accepts the claims of a token, the token has three canonical parts, a bounded number of
//!    members, no duplicate members, and valid claims.
//! 2. The gateway verifies a token only if a key of the project signed it, with the `alg` and `kid` of that
//!    key.
//! 3. A gateway with a shorter `GATEWAY_JWT_ALGORITHMS` refuses tokens of the algorithms that the setting
//!    leaves out, and treats all other tokens like a gateway with the default.
#![no_main]

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use libfuzzer_sys::{Corpus, fuzz_target};
use logout_gateway::internals::session::{
    jwks::Jwks,
    token::{Claims, Rules, TokenError, UnverifiedToken, session_of},
    verifier::{SignatureStatus, Verifier},
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

/// The longest header part of a token that the gateway accepts, in characters of base64url.
const MAX_HEADER_LENGTH: usize = 8 * 1024;
const MAX_MEMBERS: usize = 1024;
const STRICT_ALGORITHMS: [Algorithm; 2] = [Algorithm::ES256, Algorithm::EdDSA];

/// The state that all inputs of the target share.
struct Fixture {
    runtime: Runtime,
    rules: Rules,
    jwks: Arc<Jwks>,
    verifier: Verifier,
    /// Like `verifier`, but it accepts only the algorithms of [`STRICT_ALGORITHMS`].
    strict: Verifier,
    signers: Signers,
    /// The header and claims, in base64url, of every recorded token of the project.
    signed_messages: HashSet<String>,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let supabase = configuration::of(&[("supabase-jwt-secret", JWT_SECRET)]).supabase;
    let secret = ("supabase-jwt-secret", JWT_SECRET);
    let strict = configuration::of(&[secret, ("jwt-algorithms", "ES256,EdDSA")]).supabase;
    // The zero limit makes the verifier answer at once instead of waiting until the key set is fetched again.
    let jwks = Arc::new(Jwks::new(Duration::ZERO, Arc::default()));
    let message = |token: String| Some(token.rsplit_once('.')?.0.to_owned());
    Fixture {
        runtime: Builder::new_current_thread().enable_time().build().expect("a runtime"),
        rules: Rules::new(&supabase),
        verifier: Verifier::new(&supabase, jwks.clone()),
        strict: Verifier::new(&strict, jwks.clone()),
        jwks,
        signers: Signers::recorded(),
        signed_messages: access_tokens()
            .into_iter()
            .filter_map(|(_, token)| message(token))
            .collect(),
    }
});

impl Fixture {
    /// Fetches the project's keys if the cached ones have expired, so that the verifier has them.
    fn with_keys(&self) -> &Self {
        if self.jwks.current().is_none() {
            let fetched = async {
                while self.jwks.current().is_none() {
                    tokio::task::yield_now().await;
                }
            };
            self.runtime.block_on(async {
                tokio::select! {
                    () = self.jwks.keep_fetching(async || Ok::<_, Uuid>(key_set().into())) => {}
                    () = fetched => {}
                }
            });
        }
        self
    }
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((token, key)) = token(input) else { return Corpus::Reject };
    let fixture = FIXTURE.with_keys();
    let _ = session_of(&token);
    let parsed = UnverifiedToken::parse(&token);
    let read = parsed.and_then(|parsed| Ok((parsed.claims(&fixture.rules)?, parsed)));
    if let Ok((claims, unverified)) = &read {
        assert_valid_claims(&token, unverified, claims);
    }
    let result = fixture.verifier.verify(&token, RECORDED_AT);
    if let Ok(result) = &result {
        let (claims, unverified) = read.as_ref().expect("a verified token can be read");
        assert_eq!(*result.claims, *claims);
        assert_eq!(
            result.signature,
            SignatureStatus::Verified,
            "there is a key for every algorithm"
        );
        assert!(claims.nbf.is_none_or(|time| time <= RECORDED_AT + 30));
        assert_eq!(result.expired, claims.exp <= RECORDED_AT);
        let is_recorded = fixture.signed_messages.contains(unverified.message);
        let is_signed = key.is_some_and(|key| key.matches(unverified));
        assert!(is_recorded || is_signed, "the project did not sign {token}");
    } else if let (Ok((claims, unverified)), Some(key)) = (&read, key) {
        let is_valid_now = claims.check_not_before(RECORDED_AT).is_ok();
        assert!(!(is_valid_now && key.matches(unverified)), "the project signed {token}");
    }
    let strict_result = fixture.strict.verify(&token, RECORDED_AT);
    match read.as_ref().map(|(_, unverified)| unverified.algorithm) {
        Ok(algorithm) if !STRICT_ALGORITHMS.contains(&algorithm) => {
            assert_eq!(strict_result.err(), Some(TokenError::Algorithm), "{token}");
        }
        _ => assert_eq!(strict_result.is_ok(), result.is_ok(), "{token}"),
    }
    Corpus::Keep
});

/// Parses an input. The first line names the signer. After `raw` a whole token follows; after any other name
/// a line with the header and then the claims follow.
fn token(input: &[u8]) -> Option<(String, Option<ProjectKey>)> {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let (signer, first) = (lines.next()?, lines.next()?);
    if signer == b"raw" {
        return Some((String::from_utf8(first.to_vec()).ok()?, None));
    }
    let [header, claims] = [first, lines.next()?].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let message = format!("{header}.{claims}");
    let (signature, key) = FIXTURE.signers.sign(signer, &message);
    Some((format!("{message}.{signature}"), key))
}

/// Asserts the rules of section 3 of the contract for a token's claims, with an independent implementation.
fn assert_valid_claims(token: &str, unverified: &UnverifiedToken<'_>, read: &Claims) {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("not three parts: {token}") };
    assert!(header.len() <= MAX_HEADER_LENGTH, "{token}");
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
        assert!(names.len() <= MAX_MEMBERS, "{token}");
    }
    let member = |object: &[(String, Box<RawValue>)], name: &str| -> Value {
        let member = object.iter().find(|(n, _)| n == name);
        member.map_or(Value::Null, |(_, value)| serde_json::from_str(value.get()).expect("a value"))
    };
    let of_header = |name| member(&header, name);
    let claim = |name| member(&claims, name);
    let forbidden = ["crit", "b64", "enc"];
    assert!(
        !header.iter().any(|(name, _)| forbidden.contains(&name.as_str())),
        "{forbidden:?}: {token}"
    );
    for name_in_any_case in ["sub", "session_id"] {
        let named = claims.iter().filter(|(name, _)| name.eq_ignore_ascii_case(name_in_any_case));
        assert_eq!(named.count(), 1, "{name_in_any_case}: {token}");
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
