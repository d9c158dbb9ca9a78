//! JWS headers with another algorithm than the key's, or with parameters that the gateway must not accept.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gotrue_mock::Algorithm;
use logout_gateway::internals::session::token::TokenError::{
    Header, KeyAlgorithm, Malformed, NoKeyId,
};
use serde_json::json;

use super::{
    project_keys::Rejection,
    token_factory::{TokenCase, TokenFactory, with_member, with_members, without_member},
};

/// Values of `alg`: names of algorithms from RFC 7518 and later RFCs, and names that no RFC defines.
const ALGORITHMS: [&str; 33] = [
    "HS384",
    "HS512",
    "HS1",
    "RS384",
    "RS512",
    "RS1",
    "PS256",
    "PS384",
    "PS512",
    "ES384",
    "ES512",
    "ES256K",
    "Ed25519",
    "Ed448",
    "ML-DSA-44",
    "dir",
    "A256KW",
    "A256GCMKW",
    "RSA1_5",
    "RSA-OAEP",
    "RSA-OAEP-256",
    "ECDH-ES",
    "ECDH-ES+A256KW",
    "PBES2-HS256+A128KW",
    "",
    "null",
    "*",
    "ES256,none",
    "non\u{435}",
    "no ne",
    "n\u{2060}one",
    " none",
    "none\0",
];

/// Names that look like `alg` in other scripts, or that a careless comparison takes for `alg`.
fn lookalikes(alg: &str) -> [String; 8] {
    [
        alg.to_lowercase(),
        format!("{alg} "),
        format!("{alg}\n"),
        format!("{alg}\0"),
        format!("\u{200b}{alg}"),
        alg.replace('S', "\u{405}").replace('d', "\u{501}"),
        alg.replace('E', "\u{415}").replace('R', "\u{1d411}").replace('H', "\u{41d}"),
        alg.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect(),
    ]
}

pub(super) fn cases(factory: &TokenFactory) -> Vec<TokenCase> {
    let mut cases = none(factory);
    cases.extend(algorithms(factory));
    cases.extend(members(factory));
    cases
}

/// Tokens whose algorithm is `none`, in all sixteen combinations of upper and lower case: without a
/// signature, with an invalid signature, and with the project's signature.
fn none(factory: &TokenFactory) -> Vec<TokenCase> {
    let claims = BASE64_URL_SAFE_NO_PAD.encode(factory.claims.to_string());
    let mut cases = Vec::new();
    for spelling in 0..16_u8 {
        let letters = "none".chars().enumerate();
        let upper = |i: usize| spelling >> i & 1 == 1;
        let none: String =
            letters.map(|(i, c)| if upper(i) { c.to_ascii_uppercase() } else { c }).collect();
        let header = with_member(&factory.header(), "alg", &json!(none).to_string());
        let message = format!("{}.{claims}", BASE64_URL_SAFE_NO_PAD.encode(&header));
        cases.push(factory.case(format!("{none}, not signed"), format!("{message}."), Header));
        if matches!(spelling, 0 | 1 | 15) {
            let token = format!("{message}.AAAA");
            cases.push(factory.case(format!("{none}, with an invalid signature"), token, Header));
            let token = factory.signing_key().sign_compact(&message);
            cases.push(factory.case(format!("{none}, signed by the project"), token, Header));
        }
    }
    cases
}

fn algorithms(factory: &TokenFactory) -> Vec<TokenCase> {
    let own = factory.signing_key().algorithm.to_string();
    let case = |alg: &str, rejection: Rejection| {
        let header = with_member(&factory.header(), "alg", alg);
        factory.case(format!("alg is {alg}"), factory.with_header(header), rejection)
    };
    let text = |alg: &str| json!(alg).to_string();
    let mut cases: Vec<TokenCase> =
        ALGORITHMS.iter().map(|alg| case(&text(alg), Header.into())).collect();
    cases.extend(lookalikes(&own).iter().map(|alg| case(&text(alg), Header.into())));
    for alg in ["null", "256", "true", "{}", "[]", &format!("[\"{own}\"]")] {
        cases.push(case(alg, Malformed.into()));
    }
    let others = [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Hs256];
    for other in others.into_iter().filter(|other| *other != factory.signing_key().algorithm) {
        let rejection = match other {
            Algorithm::Hs256 => factory.project_keys.rejection_of_wrong_secret(),
            _ if factory.signing_key().kid.is_some() => KeyAlgorithm.into(),
            _ => NoKeyId.into(),
        };
        cases.push(case(&text(&other.to_string()), rejection));
    }
    cases.push(factory.case(
        "no alg",
        factory.with_header(without_member(&factory.header(), "alg").to_string()),
        Malformed,
    ));
    cases
}

/// Headers with parameters that change how a token must be read, and headers with duplicate members.
fn members(factory: &TokenFactory) -> Vec<TokenCase> {
    let own = factory.signing_key().algorithm.to_string();
    let mut cases = Vec::new();
    for member in [
        r#""crit":["exp"],"exp":1"#,
        r#""crit":["b64"],"b64":false"#,
        r#""crit":["b64"],"b64":true"#,
        r#""crit":["http://example.com/UNDEFINED"],"http://example.com/UNDEFINED":true"#,
        r#""crit":[]"#,
        r#""crit":null"#,
        r#""crit":"exp""#,
        r#""\u0063rit":["exp"]"#,
        r#""b64":false"#,
        r#""b64":true"#,
        r#""b64":null"#,
        r#""enc":"A256GCM""#,
        r#""enc":null"#,
    ] {
        // The valid twin has the same parameters under names that have no meaning.
        let renamed =
            ["crit", "\\u0063rit", "b64", "enc"].iter().fold(member.to_owned(), |m, name| {
                m.replace(&format!("\"{name}\":"), &format!("\"x{name}\":"))
            });
        let valid_twin = factory.with_header(with_members(&factory.header(), &renamed));
        let token = factory.with_header(with_members(&factory.header(), member));
        cases.push(factory.case(member, token, Header).with_valid_twin(valid_twin));
    }
    for member in [
        format!(r#""alg":"{own}""#),
        r#""alg":"none""#.to_owned(),
        format!(r#""\u0061lg":"{own}""#),
        r#""typ":"JWT""#.to_owned(),
        r#""x":1,"x":2"#.to_owned(),
        r#""kid":"x","kid":"x""#.to_owned(),
        r#""kid":"x","\u006bid":"x""#.to_owned(),
    ] {
        let token = factory.with_header(with_members(&factory.header(), &member));
        cases.push(factory.case(format!("twice: {member}"), token, Malformed));
    }
    cases
}
