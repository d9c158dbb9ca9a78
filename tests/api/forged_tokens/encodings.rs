//! Tokens that the project signed, but that the gateway must reject because they are not, character by
//! character, a compact JWS of two JSON objects.

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};
use logout_gateway::internals::session::token::TokenError::Malformed;
use serde_json::{Value, json};

use super::token_factory::{TokenCase, TokenFactory, with_member};

/// A depth of nesting at which a recursive parser would overflow its stack.
const DEEP: usize = 10_000;

pub(super) fn cases(factory: &TokenFactory) -> Vec<TokenCase> {
    let mut cases = shapes(factory);
    cases.extend(inserted_characters(factory));
    cases.extend(lenient_encodings(factory));
    cases.extend(signature_parts(factory));
    cases.extend(documents(factory));
    cases
}

/// Tokens with too many, too few or empty parts, and tokens in other serializations than the compact one.
fn shapes(factory: &TokenFactory) -> Vec<TokenCase> {
    let genuine = factory.genuine_token();
    let [header, claims, signature] = parts_of(&genuine);
    let encrypted = r#"{"alg":"RSA-OAEP","enc":"A256GCM","kid":"es256-test-key"}"#;
    let encrypted = BASE64_URL_SAFE_NO_PAD.encode(encrypted);
    let flattened = json!({"protected": header, "payload": claims, "signature": signature});
    let general = json!({"payload": claims,
        "signatures": [{"protected": header, "signature": signature}]});
    [
        ("nothing", String::new()),
        ("one dot", ".".to_owned()),
        ("two dots", "..".to_owned()),
        ("three dots", "...".to_owned()),
        ("one part", "garbage".to_owned()),
        ("two parts", format!("{header}.{claims}")),
        ("four parts", format!("{header}.{claims}.{signature}.{signature}")),
        ("a JWE of five parts", format!("{encrypted}.AAAA.AAAA.{claims}.{signature}")),
        ("a JWE with its key agreed", format!("{encrypted}..AAAA.{claims}.{signature}")),
        ("a JWS with the parts of a JWE", format!("{header}.AAAA.AAAA.{claims}.{signature}")),
        ("a dot in front", format!(".{genuine}")),
        ("a dot behind", format!("{genuine}.")),
        ("two dots between", format!("{header}..{claims}.{signature}")),
        ("no header", format!(".{claims}.{signature}")),
        ("detached claims", format!("{header}..{signature}")),
        ("the JSON serialization, flattened", flattened.to_string()),
        ("the JSON serialization, general", general.to_string()),
        ("the SD-JWT form", format!("{genuine}~")),
    ]
    .map(|(name, token)| {
        let rejection = match name {
            "detached claims" => factory.project_keys.rejection_of_changed_claims(),
            _ => Malformed.into(),
        };
        factory.case(name, token, rejection)
    })
    .into()
}

/// The genuine token with characters that are inserted, added or replaced.
fn inserted_characters(factory: &TokenFactory) -> Vec<TokenCase> {
    let genuine = factory.genuine_token();
    let [header, claims, signature] = parts_of(&genuine);
    let mut cases = Vec::new();
    for (name, c) in [
        ("space", ' '),
        ("tab", '\t'),
        ("line feed", '\n'),
        ("carriage return", '\r'),
        ("NUL", '\0'),
        ("no-break space", '\u{a0}'),
        ("byte order mark", '\u{feff}'),
        ("zero-width space", '\u{200b}'),
        ("padding", '='),
        ("comma", ','),
    ] {
        let (half, other_half) = claims.split_at(claims.len() / 2);
        for (place, token) in [
            ("in front", format!("{c}{genuine}")),
            ("behind", format!("{genuine}{c}")),
            ("behind the header", format!("{header}{c}.{claims}.{signature}")),
            ("before the claims", format!("{header}.{c}{claims}.{signature}")),
            ("in the claims", format!("{header}.{half}{c}{other_half}.{signature}")),
            ("before the signature", format!("{header}.{claims}.{c}{signature}")),
        ] {
            let rejection = match place {
                "before the claims" | "in the claims" => {
                    factory.project_keys.rejection_of_changed_claims()
                }
                _ => Malformed.into(),
            };
            cases.push(factory.case(format!("a {name} {place}"), token, rejection));
        }
    }
    for (name, token) in [
        ("in quotes", format!("\"{genuine}\"")),
        ("with its scheme", format!("Bearer {genuine}")),
        ("twice", format!("{genuine},{genuine}")),
        ("percent-coded dots", genuine.replace('.', "%2E")),
        ("ideographic dots", genuine.replace('.', "\u{3002}")),
        ("full-width dots", genuine.replace('.', "\u{ff0e}")),
    ] {
        cases.push(factory.case(name, token, Malformed));
    }
    cases
}

/// Tokens whose header or claims have an encoding that only lenient decoders accept. The project has signed
/// the encoded text.
fn lenient_encodings(factory: &TokenFactory) -> Vec<TokenCase> {
    let header = with_distinct_encodings(&factory.header());
    let claims = with_distinct_encodings(&factory.claims);
    let plain = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let valid_twin =
        factory.signing_key().sign_compact(&format!("{}.{}", plain(&header), plain(&claims)));
    let mut cases = Vec::new();
    for (name, encode) in ENCODINGS {
        for (place, message) in [
            ("header", format!("{}.{}", encode(&header), plain(&claims))),
            ("claims", format!("{}.{}", plain(&header), encode(&claims))),
        ] {
            let token = factory.signing_key().sign_compact(&message);
            cases.push(
                factory
                    .case(format!("{name} in the {place}"), token, Malformed)
                    .with_valid_twin(valid_twin.clone()),
            );
        }
    }
    cases
}

type Encode = fn(&str) -> String;

const ENCODINGS: [(&str, Encode); 8] = [
    ("padding", |text| BASE64_URL_SAFE.encode(text)),
    ("half of the padding", |text| BASE64_URL_SAFE_NO_PAD.encode(text) + "="),
    ("the standard alphabet", |text| BASE64_STANDARD_NO_PAD.encode(text)),
    ("the standard alphabet and padding", |text| BASE64_STANDARD.encode(text)),
    ("non-zero padding bits", |text| with_padding_bits(&BASE64_URL_SAFE_NO_PAD.encode(text))),
    ("a character too many", |text| with_invalid_length(&BASE64_URL_SAFE_NO_PAD.encode(text))),
    ("no encoding", |text| text.replace('.', "")),
    ("base64 of base64", |text| BASE64_URL_SAFE_NO_PAD.encode(BASE64_URL_SAFE_NO_PAD.encode(text))),
];

/// Tokens whose signature has an encoding that only lenient decoders accept.
fn signature_parts(factory: &TokenFactory) -> Vec<TokenCase> {
    // Find a token whose signature has a character that differs between base64url and the standard alphabet.
    let genuine = (0..1000)
        .map(|n| factory.with_claims(with_member(&factory.claims, "x", &n.to_string())))
        .find(|token| parts_of(token)[2].contains(['-', '_']))
        .unwrap();
    let [header, claims, signature] = parts_of(&genuine);
    let octets = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    [
        ("padding", BASE64_URL_SAFE.encode(&octets)),
        ("the standard alphabet", BASE64_STANDARD_NO_PAD.encode(&octets)),
        ("non-zero padding bits", with_padding_bits(signature)),
        ("a character too many", with_invalid_length(signature)),
        ("a percent sign", format!("%{signature}")),
    ]
    .map(|(name, signature)| {
        let token = format!("{header}.{claims}.{signature}");
        factory
            .case(format!("{name} in the signature"), token, Malformed)
            .with_valid_twin(genuine.clone())
    })
    .into()
}

/// Tokens whose header or claims are not a JSON object.
fn documents(factory: &TokenFactory) -> Vec<TokenCase> {
    let nested = factory.genuine_token();
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let mut cases = Vec::new();
    for (place, object) in [("header", factory.header()), ("claims", factory.claims.clone())] {
        let text = object.to_string();
        let inner = &text[..text.len() - 1];
        let mut documents: Vec<(&str, Vec<u8>)> = [
            ("a list", "[]".to_owned()),
            ("a list with the object", format!("[{text}]")),
            ("text", "\"text\"".to_owned()),
            ("the object as text", json!(text).to_string()),
            ("a number", "1".to_owned()),
            ("null", "null".to_owned()),
            ("true", "true".to_owned()),
            ("not JSON", "not json".to_owned()),
            ("white space alone", " ".to_owned()),
            ("a token", nested.clone()),
            ("a token as text", json!(nested).to_string()),
            ("two documents", format!("{text}{text}")),
            ("a document and more", format!("{text},")),
            ("a NUL behind", format!("{text}\0")),
            ("a NUL in front", format!("\0{text}")),
            ("a byte order mark", format!("\u{feff}{text}")),
            ("a no-break space in front", format!("\u{a0}{text}")),
            ("a comma before the end", format!("{inner},}}")),
            ("no end", inner.to_owned()),
            ("a comment", format!("{inner}/**/}}")),
            ("quotes of another kind", text.replace('"', "'")),
            ("a name without quotes", format!("{inner},x:1}}")),
            ("NaN as a number", format!("{inner},\"x\":NaN}}")),
            ("a number with a leading zero", format!("{inner},\"x\":01}}")),
            ("a name with half a surrogate pair", format!("{inner},\"\\ud800\":1}}")),
            ("a line break in a text", format!("{inner},\"x\":\"\n\"}}")),
            ("a prefix against JSON hijacking", format!(")]}}'\n{text}")),
            ("lists too deep", "[".repeat(DEEP)),
            ("objects too deep", "{\"a\":".repeat(DEEP)),
            ("lists deep and closed", "[".repeat(DEEP) + &"]".repeat(DEEP)),
        ]
        .map(|(name, document)| (name, document.into_bytes()))
        .into();
        documents.push(("not UTF-8", [inner.as_bytes(), b",\"x\":\"\xff\"}"].concat()));
        documents.push(("UTF-16", utf16(&text)));
        documents.push(("deflated", [b"\x78\x9c".as_slice(), text.as_bytes()].concat()));
        for (name, document) in documents {
            let token = match place {
                "header" => factory.with_header(document),
                _ => factory.with_claims(document),
            };
            cases.push(factory.case(format!("{name} in place of the {place}"), token, Malformed));
        }
    }
    cases.extend(depths(factory));
    cases
}

/// Tokens with deep nesting in a member that the gateway reads. The valid twin has the same nesting in a
/// member that the gateway ignores.
fn depths(factory: &TokenFactory) -> Vec<TokenCase> {
    let deep = "[".repeat(DEEP) + &"]".repeat(DEEP);
    let of_header = |name| factory.with_header(with_member(&factory.header(), name, &deep));
    let of_claims = |name| factory.with_claims(with_member(&factory.claims, name, &deep));
    let header = ["alg", "kid"].map(|name| (name, of_header(name), of_header("x")));
    let claims = ["iss", "aud", "exp", "nbf", "sub", "session_id", "role"];
    let claims = claims.map(|name| (name, of_claims(name), of_claims("x")));
    let case = |(name, token, valid_twin)| {
        factory.case(format!("{name} is too deep"), token, Malformed).with_valid_twin(valid_twin)
    };
    header.into_iter().chain(claims).map(case).collect()
}

fn parts_of(token: &str) -> [&str; 3] {
    let parts: Vec<&str> = token.split('.').collect();
    parts.try_into().unwrap()
}

/// The JSON of the object, extended so that its encoding in base64url differs from standard base64, and has
/// padding and padding bits.
fn with_distinct_encodings(object: &Value) -> String {
    let text = with_member(object, "x", "\"???>>>???>>>\"");
    let spaced = (0..3).map(|n| text.clone() + &" ".repeat(n));
    let has_padding_bits = |text: &String| text.len() % 3 == 1;
    let text = spaced.into_iter().find(has_padding_bits).unwrap();
    assert!(BASE64_URL_SAFE_NO_PAD.encode(&text).contains(['-', '_']), "{text}");
    text
}

/// Replaces the last base64url character by another one that decodes to the same bytes.
fn with_padding_bits(coded: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    assert_ne!(coded.len() % 4, 0, "the last character has no padding bits");
    let (rest, last) = coded.split_at(coded.len() - 1);
    let other = ALPHABET.find(last).unwrap() | 1;
    format!("{rest}{}", &ALPHABET[other..=other])
}

/// Appends characters until the length modulo 4 is 1, which no base64 text can have.
fn with_invalid_length(coded: &str) -> String {
    coded.to_owned() + &"A".repeat((5 - coded.len() % 4) % 4)
}
