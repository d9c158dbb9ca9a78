//! Tests that reading a token never panics and never accepts a token that breaks a rule.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::tests::parse;

const NOW: i64 = 1_800_000_000;

fn rules() -> Rules {
    Rules {
        algorithms: vec![Algorithm::ES256],
        issuers: AcceptedIssuers::new(&parse(&[("GATEWAY_JWT_ISSUER", "us")]).supabase),
        audiences: vec!["authenticated".to_owned()],
    }
}

fn token(header: &str, claims: impl AsRef<[u8]>) -> String {
    let [header, claims] =
        [header.as_bytes(), claims.as_ref()].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{claims}.c2ln")
}

fn valid_claims() -> Value {
    json!({
        "iss": "us", "aud": "authenticated", "exp": NOW + 1,
        "sub": Uuid::from_u128(1), "session_id": Uuid::from_u128(2),
    })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        prop::collection::vec("[a-z]{0,16}", 0..3).prop_map(Value::from),
        Just(json!({})),
    ]
}

/// Reads the header, then the claims.
fn read(token: &str) -> Result<(UnverifiedToken<'_>, Claims), TokenError> {
    let unverified = UnverifiedToken::parse(token)?;
    let claims = unverified.claims(&rules())?;
    Ok((unverified, claims))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_text_is_never_accepted_as_a_token(text in "\\PC{0,200}|[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){0,4}") {
        prop_assert!(read(&text).is_err());
        let _ = session_of(&text);
    }

    #[test]
    fn a_required_claim_with_a_wrong_value_is_refused(
        claim in prop::sample::select(vec!["iss", "aud", "exp", "sub", "session_id"]),
        value in value(),
    ) {
        let mut claims = valid_claims();
        claims[claim] = value.clone();
        let text = token(r#"{"alg":"ES256","kid":"a"}"#, claims.to_string());
        let allowed = match claim {
            "exp" => value.is_i64(),
            "aud" => value.as_array().is_some_and(|many| many.contains(&json!("authenticated"))),
            _ => false,
        };
        prop_assert_eq!(read(&text).is_ok(), allowed, "{} {}", claim, value);
    }

    #[test]
    fn times_are_checked_to_the_second(exp in NOW - 100..NOW + 100, begin in NOW - 100..NOW + 100) {
        let claims = Claims {
            sub: Uuid::nil(), session_id: Uuid::nil(), exp, iat: Some(begin), nbf: None,
            role: None, aal: None, is_anonymous: false, client_id: None,
        };
        prop_assert_eq!(claims.expired(NOW), NOW >= exp);
        prop_assert!(claims.check_not_before(NOW).is_ok(), "a token is not refused for its iat");
        prop_assert_eq!(claims.is_issued_ahead(NOW), begin > NOW + 30);
        let not_before = Claims { iat: None, nbf: Some(begin), ..claims };
        prop_assert_eq!(not_before.check_not_before(NOW).is_ok(), begin <= NOW + 30);
    }
}

#[test]
fn a_valid_token_is_accepted() {
    let text = token(r#"{"alg":"ES256","kid":"a"}"#, valid_claims().to_string());
    let (unverified, claims) = read(&text).unwrap();
    assert_eq!(claims.session_id, Uuid::from_u128(2));
    assert_eq!((unverified.algorithm, unverified.kid.as_deref()), (Algorithm::ES256, Some("a")));
    assert_eq!(session_of(&text), Some((Uuid::from_u128(1), Uuid::from_u128(2))));
}

#[test]
fn text_that_is_not_utf8_is_refused_even_in_an_unused_claim() {
    let mut claims = valid_claims();
    claims["name"] = json!("\u{141}");
    let mut claims = claims.to_string().into_bytes();
    let header = r#"{"alg":"ES256","kid":"a"}"#;
    assert!(read(&token(header, &claims)).is_ok());
    let broken = claims.iter().rposition(|byte| !byte.is_ascii()).unwrap();
    claims[broken] = b'?';
    let error = read(&token(header, &claims)).unwrap_err();
    assert_eq!(error, TokenError::Malformed);
}

#[test]
fn extreme_times_do_not_overflow() {
    let claims = Claims {
        sub: Uuid::nil(),
        session_id: Uuid::nil(),
        exp: i64::MIN,
        iat: Some(i64::MIN),
        nbf: Some(i64::MAX),
        role: None,
        aal: None,
        is_anonymous: false,
        client_id: None,
    };
    assert!(claims.expired(i64::MAX) && claims.check_not_before(i64::MAX).is_ok());
    assert!(claims.check_not_before(NOW).is_err());
}

#[test]
fn a_header_or_claims_of_very_many_members_are_refused() {
    let with = |mut object: Value, members: usize| {
        for n in 0..members {
            object[format!("m{n}")] = json!(n);
        }
        object
    };
    let header = json!({"alg": "ES256", "kid": "a", "x5c": ["x".repeat(100_000)]});
    let of_header =
        |members| token(&with(header.clone(), members).to_string(), valid_claims().to_string());
    let of_claims = |members| token(&header.to_string(), with(valid_claims(), members).to_string());
    // The header already has three members, and the claims have five.
    assert!(read(&of_header(32 - 3)).is_ok() && read(&of_claims(1024 - 5)).is_ok());
    assert_eq!(read(&of_header(33 - 3)).unwrap_err(), TokenError::Malformed);
    assert_eq!(read(&of_claims(1025 - 5)).unwrap_err(), TokenError::Malformed);
}
