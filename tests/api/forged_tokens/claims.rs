//! Tokens that the project's key has signed, but that the gateway must reject because of their claims.

use logout_gateway::internals::session::token::TokenError::{
    Audience, Future, Issuer, Malformed, NoSession,
};
use serde_json::json;

use super::{
    project_keys::Rejection::{self, Expired, Invalid},
    token_factory::{TokenCase, TokenFactory, with_member, with_members, without_member},
};
use crate::harness::START_TIME;

/// Claims of a wrong type or value. Each row has the claim, the expected rejection, and the wrong values in
/// JSON.
fn values(factory: &TokenFactory) -> Vec<(&'static str, Rejection, Vec<String>)> {
    let issuer = factory.claims["iss"].as_str().unwrap();
    let session = factory.claims["session_id"].as_str().unwrap();
    let simple = session.replace('-', "");
    let octets = json!(uuid::Uuid::parse_str(session).unwrap().as_bytes()).to_string();
    let texts = |texts: &[&str]| texts.iter().map(|text| json!(text).to_string()).collect();
    let raw = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    let foreign = [
        "https://evil.example/auth/v1",
        "",
        "supabase",
        &format!("{issuer}/"),
        &format!(" {issuer}"),
        &format!("{issuer}\0"),
        &issuer.to_uppercase(),
        &issuer[..issuer.len() - 1],
        &format!("{issuer},https://evil.example/auth/v1"),
    ];
    let invalid_times = [
        "\"1900000000\"",
        "1900000000.0",
        "1.9e9",
        "19E8",
        "1e999",
        "-1e999",
        "9223372036854775808",
        "-9223372036854775809",
        "1900000000000000000000000000000",
        "-0",
        "01900000000",
        "+1900000000",
        "0x713fb300",
        "1_900_000_000",
        "NaN",
        "Infinity",
        "\"NaN\"",
        "true",
        "[1900000000]",
        "{\"seconds\":1900000000}",
    ];
    // No number in `iat` is a reason to refuse a token.
    let is_number = |text: &&&str| serde_json::from_str::<serde_json::Number>(text).is_ok();
    let no_numbers: Vec<&str> = invalid_times.iter().filter(|t| !is_number(t)).copied().collect();
    let invalid_uuids = [
        "\"\"",
        "\"not-a-uuid\"",
        "\"0\"",
        "0",
        "340282366920938463463374607431768211455",
        "true",
        "{}",
        "[]",
        &octets,
        &format!("[\"{session}\"]"),
        &format!("\" {session}\""),
        &format!("\"{session}\\n\""),
        &format!("\"{session}\\u0000\""),
        &format!("\"{session},{session}\""),
        &format!("\"{{{simple}}}\""),
        &format!("\"urn:uuid:{simple}\""),
        &format!("\"uuid:{session}\""),
        &format!("\"({session})\""),
        &format!("\"{}\"", session.replace('-', "\u{2010}")),
        &format!("\"{}\"", &session[..35]),
        "\"../00000000-0000-0000-0000-000000000001\"",
        "\"' OR '1'='1\"",
    ];
    let nil = uuid::Uuid::nil();
    let nils = [
        nil.hyphenated().to_string(),
        nil.simple().to_string(),
        nil.urn().to_string(),
        nil.braced().to_string(),
    ];
    let past = ["0", "-1", "1", "-9223372036854775808"];
    let future = [i64::MAX.to_string()];
    vec![
        ("iss", Invalid(Issuer), texts(&foreign)),
        ("iss", Invalid(Malformed), raw(&["1", "true", "{}", "[]", &json!([issuer]).to_string()])),
        ("aud", Invalid(Audience), texts(&["anon", "", "Authenticated", "authenticated ", "*"])),
        ("aud", Invalid(Audience), texts(&["authenticated,anon", "\u{430}uthenticated"])),
        ("aud", Invalid(Audience), raw(&["null", "[]", "[\"\"]", "[\"anon\",\"service_role\"]"])),
        ("aud", Invalid(Malformed), raw(&["1", "true", "{\"authenticated\":true}"])),
        ("aud", Invalid(Malformed), raw(&["[[\"authenticated\"]]", "[\"authenticated\",1]"])),
        ("aud", Invalid(Malformed), raw(&["[null,\"authenticated\"]", "[{},\"authenticated\"]"])),
        ("exp", Invalid(Malformed), raw(&invalid_times)),
        ("exp", Invalid(Malformed), raw(&["null"])),
        ("exp", Expired, raw(&past)),
        ("nbf", Invalid(Malformed), raw(&invalid_times)),
        ("nbf", Invalid(Future), future.to_vec()),
        ("iat", Invalid(Malformed), raw(&no_numbers)),
        ("sub", Invalid(Malformed), raw(&invalid_uuids)),
        ("sub", Invalid(NoSession), raw(&["null"])),
        ("session_id", Invalid(Malformed), raw(&invalid_uuids)),
        ("session_id", Invalid(NoSession), raw(&["null"])),
        ("session_id", Invalid(NoSession), nils.map(|nil| json!(nil).to_string()).to_vec()),
        ("session_id", Invalid(NoSession), versions_of_facts(session).to_vec()),
        ("role", Invalid(Malformed), raw(&["1", "[\"authenticated\"]", "{}"])),
        ("aal", Invalid(Malformed), raw(&["2", "[]", "true"])),
    ]
}

/// Each row has a claim, and the expected rejection of a token without that claim.
const REQUIRED: [(&str, Rejection); 4] = [
    ("aud", Invalid(Audience)),
    ("exp", Invalid(Malformed)),
    ("sub", Invalid(NoSession)),
    ("session_id", Invalid(NoSession)),
];

/// Each row has a time claim, the expected rejection, and the two values at its limit: that which is just
/// rejected and that which is just accepted, in seconds since the Unix epoch.
const TIME_LIMITS: [(&str, Rejection, i64, i64); 2] = [
    ("exp", Expired, START_TIME, START_TIME + 1),
    ("nbf", Invalid(Future), START_TIME + 31, START_TIME + 30),
];

/// Session ids that the gateway must reject: the revocation list stores facts about a session under UUIDs of
/// these versions, which RFC 9562 does not define.
fn versions_of_facts(session: &str) -> [String; 3] {
    let of_version = |version| format!("{}{version}{}", &session[..14], &session[15..]);
    let max = uuid::Uuid::max().to_string();
    [of_version('e'), of_version('F'), max].map(|id| json!(id).to_string())
}

pub(super) fn cases(factory: &TokenFactory) -> Vec<TokenCase> {
    let mut cases = Vec::new();
    for (claim, rejection, values) in values(factory) {
        for value in values {
            let token = factory.with_claims(with_member(&factory.claims, claim, &value));
            cases.push(factory.case(format!("{claim} is {value}"), token, rejection));
        }
    }
    for (claim, rejection) in REQUIRED {
        let missing = without_member(&factory.claims, claim);
        let token = factory.with_claims(missing.to_string());
        cases.push(factory.case(format!("no {claim}"), token, rejection));
        // A name that differs from the claim's name only in case or in added characters must not count as the
        // claim.
        for other in [claim.to_uppercase(), format!("{claim} "), format!("{claim}\0")] {
            let written = factory.claims[claim].to_string();
            let token = factory.with_claims(with_member(&missing, &other, &written));
            cases.push(factory.case(format!("{other:?} for {claim}"), token, rejection));
        }
    }
    for (claim, rejection, refused, accepted) in TIME_LIMITS {
        let at = |second: i64| {
            factory.with_claims(with_member(&factory.claims, claim, &second.to_string()))
        };
        let case = factory.case(format!("{claim} is {refused}"), at(refused), rejection);
        cases.push(case.with_valid_twin(at(accepted)));
    }
    cases.extend(duplicate_members(factory));
    cases.extend(api_keys(factory));
    cases
}

/// Tokens with two members of one name, of which some JSON parsers take the first and others the last. The
/// valid twin has both members in `user_metadata`, which users can fill as they like and which the gateway
/// does not read.
fn duplicate_members(factory: &TokenFactory) -> Vec<TokenCase> {
    let mut cases = Vec::new();
    let mut add = |name: String, members: &str| {
        let token = factory.with_claims(with_members(&factory.claims, members));
        let metadata = format!("{{{members},{members}}}");
        let valid_twin =
            factory.with_claims(with_member(&factory.claims, "user_metadata", &metadata));
        cases.push(factory.case(name, token, Malformed).with_valid_twin(valid_twin));
    };
    for claim in ["iss", "aud", "exp", "iat", "sub", "session_id", "role", "user_metadata"] {
        let same = factory.claims[claim].to_string();
        let escaped = format!("\\u{:04x}{}", claim.as_bytes()[0], &claim[1..]);
        for (how, members) in [
            ("the same", format!("\"{claim}\":{same}")),
            ("null", format!("\"{claim}\":null")),
            ("escaped", format!("\"{escaped}\":{same}")),
        ] {
            add(format!("{claim} twice, once {how}"), &members);
        }
    }
    let other = uuid::Uuid::from_u128(7);
    for claim in ["sub", "session_id"] {
        add(format!("two of {claim}"), &format!("\"{claim}\":\"{other}\""));
        // GoTrue's parser (Go's encoding/json) ignores the case of names and takes the last member, so the
        // gateway must reject names that differ only in case.
        let mut spellings =
            vec![claim.to_uppercase(), format!("{}{}", &claim[..1].to_uppercase(), &claim[1..])];
        spellings.push(claim.replacen('s', "\u{17f}", 1));
        for name in spellings {
            add(format!("{claim} and {name}"), &format!("\"{name}\":\"{other}\""));
        }
    }
    add("an unknown claim twice".to_owned(), "\"x\":1,\"x\":1");
    cases
}

/// API keys and other tokens that the project's key has signed, but that belong to no session.
fn api_keys(factory: &TokenFactory) -> Vec<TokenCase> {
    let mut cases = Vec::new();
    for role in ["anon", "service_role"] {
        let key = json!({"iss": "supabase", "ref": "abcdefghijklmnopqrst", "role": role,
            "iat": 1_600_000_000, "exp": 2_000_000_000});
        cases.push(factory.case(
            format!("the {role} key"),
            factory.with_claims(key.to_string()),
            NoSession,
        ));
        let key = json!({"iss": factory.claims["iss"], "aud": "authenticated", "role": role,
            "sub": factory.claims["sub"], "exp": 2_000_000_000});
        let name = format!("a {role} token without a session");
        cases.push(factory.case(name, factory.with_claims(key.to_string()), NoSession));
        let name = format!("a {role} token without a session and an issuer");
        let key = without_member(&key, "iss").to_string();
        cases.push(factory.case(name, factory.with_claims(key), NoSession));
    }
    cases
}
