//! Claims that a project's key has signed, and that nobody may believe all the same.

use logout_gateway::internals::session::token::TokenError::{
    Audience, Future, Issuer, Malformed, NoSession,
};
use serde_json::json;

use super::{
    court::Why::{self, Breaks, Expired},
    mint::{Mint, Row, with_member, with_members, without},
};
use crate::harness::START;

/// Claims of the wrong type or value: as they are written, and why they are refused.
fn values(mint: &Mint) -> Vec<(&'static str, Why, Vec<String>)> {
    let issuer = mint.claims["iss"].as_str().unwrap();
    let session = mint.claims["session_id"].as_str().unwrap();
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
    let no_times = [
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
    let no_uuids = [
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
    let passed = ["0", "-1", "1", "-9223372036854775808"];
    let ahead = [i64::MAX.to_string()];
    vec![
        ("iss", Breaks(Issuer), texts(&foreign)),
        ("iss", Breaks(Issuer), raw(&["null"])),
        ("iss", Breaks(Malformed), raw(&["1", "true", "{}", "[]", &json!([issuer]).to_string()])),
        ("aud", Breaks(Audience), texts(&["anon", "", "Authenticated", "authenticated ", "*"])),
        ("aud", Breaks(Audience), texts(&["authenticated,anon", "\u{430}uthenticated"])),
        ("aud", Breaks(Audience), raw(&["null", "[]", "[\"\"]", "[\"anon\",\"service_role\"]"])),
        ("aud", Breaks(Malformed), raw(&["1", "true", "{\"authenticated\":true}"])),
        ("aud", Breaks(Malformed), raw(&["[[\"authenticated\"]]", "[\"authenticated\",1]"])),
        ("aud", Breaks(Malformed), raw(&["[null,\"authenticated\"]", "[{},\"authenticated\"]"])),
        ("exp", Breaks(Malformed), raw(&no_times)),
        ("exp", Breaks(Malformed), raw(&["null"])),
        ("exp", Expired, raw(&passed)),
        ("nbf", Breaks(Malformed), raw(&no_times)),
        ("nbf", Breaks(Future), ahead.to_vec()),
        ("iat", Breaks(Malformed), raw(&no_times)),
        ("iat", Breaks(Future), ahead.to_vec()),
        ("sub", Breaks(Malformed), raw(&no_uuids)),
        ("sub", Breaks(NoSession), raw(&["null"])),
        ("session_id", Breaks(Malformed), raw(&no_uuids)),
        ("session_id", Breaks(NoSession), raw(&["null"])),
        ("session_id", Breaks(NoSession), nils.map(|nil| json!(nil).to_string()).to_vec()),
        ("session_id", Breaks(NoSession), versions_of_facts(session).to_vec()),
        ("role", Breaks(Malformed), raw(&["1", "[\"authenticated\"]", "{}"])),
        ("aal", Breaks(Malformed), raw(&["2", "[]", "true"])),
    ]
}

/// Why a token without the claim is refused.
const NEEDED: [(&str, Why); 5] = [
    ("iss", Breaks(Issuer)),
    ("aud", Breaks(Audience)),
    ("exp", Breaks(Malformed)),
    ("sub", Breaks(NoSession)),
    ("session_id", Breaks(NoSession)),
];

/// The last second that is refused, and the first that is believed.
const LAST_SECONDS: [(&str, Why, i64, i64); 3] = [
    ("exp", Expired, START, START + 1),
    ("nbf", Breaks(Future), START + 31, START + 30),
    ("iat", Breaks(Future), START + 31, START + 30),
];

/// The list keeps its facts about a session under these versions (RFC 9562 defines neither).
fn versions_of_facts(session: &str) -> [String; 3] {
    let of_version = |version| format!("{}{version}{}", &session[..14], &session[15..]);
    let max = uuid::Uuid::max().to_string();
    [of_version('e'), of_version('F'), max].map(|id| json!(id).to_string())
}

pub(super) fn rows(mint: &Mint) -> Vec<Row> {
    let mut rows = Vec::new();
    for (claim, why, values) in values(mint) {
        for value in values {
            let token = mint.claiming(with_member(&mint.claims, claim, &value));
            rows.push(mint.row(format!("{claim} is {value}"), token, why));
        }
    }
    for (claim, why) in NEEDED {
        let missing = without(&mint.claims, claim);
        let token = mint.claiming(missing.to_string());
        rows.push(mint.row(format!("no {claim}"), token, why));
        // A claim is meant by its own name alone.
        for other in [claim.to_uppercase(), format!("{claim} "), format!("{claim}\0")] {
            let written = mint.claims[claim].to_string();
            let token = mint.claiming(with_member(&missing, &other, &written));
            rows.push(mint.row(format!("{other:?} for {claim}"), token, why));
        }
    }
    for (claim, why, refused, believed) in LAST_SECONDS {
        let at = |second: i64| mint.claiming(with_member(&mint.claims, claim, &second.to_string()));
        let row = mint.row(format!("{claim} is {refused}"), at(refused), why);
        rows.push(row.beside(at(believed)));
    }
    rows.extend(twice(mint));
    rows.extend(api_keys(mint));
    rows
}

/// Two members of one name, of which one reader takes the first and another the last; beside them the
/// same two in `user_metadata`, which users fill as they like and nobody here reads.
fn twice(mint: &Mint) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut twice = |name: String, members: &str| {
        let token = mint.claiming(with_members(&mint.claims, members));
        let metadata = format!("{{{members},{members}}}");
        let twin = mint.claiming(with_member(&mint.claims, "user_metadata", &metadata));
        rows.push(mint.row(name, token, Malformed).beside(twin));
    };
    for claim in ["iss", "aud", "exp", "iat", "sub", "session_id", "role", "user_metadata"] {
        let same = mint.claims[claim].to_string();
        let escaped = format!("\\u{:04x}{}", claim.as_bytes()[0], &claim[1..]);
        for (how, members) in [
            ("the same", format!("\"{claim}\":{same}")),
            ("null", format!("\"{claim}\":null")),
            ("escaped", format!("\"{escaped}\":{same}")),
        ] {
            twice(format!("{claim} twice, once {how}"), &members);
        }
    }
    let other = uuid::Uuid::from_u128(7);
    for claim in ["sub", "session_id"] {
        twice(format!("two of {claim}"), &format!("\"{claim}\":\"{other}\""));
        // GoTrue's parser takes names in any case (Go, encoding/json), and the last one counts.
        let mut cased =
            vec![claim.to_uppercase(), format!("{}{}", &claim[..1].to_uppercase(), &claim[1..])];
        cased.push(claim.replacen('s', "\u{17f}", 1));
        for name in cased {
            twice(format!("{claim} and {name}"), &format!("\"{name}\":\"{other}\""));
        }
    }
    twice("a claim of nobody twice".to_owned(), "\"x\":1,\"x\":1");
    rows
}

/// What a project's own key signs beside session tokens.
fn api_keys(mint: &Mint) -> Vec<Row> {
    let mut rows = Vec::new();
    for role in ["anon", "service_role"] {
        let key = json!({"iss": "supabase", "ref": "abcdefghijklmnopqrst", "role": role,
            "iat": 1_600_000_000, "exp": 2_000_000_000});
        rows.push(mint.row(format!("the {role} key"), mint.claiming(key.to_string()), Issuer));
        let key = json!({"iss": mint.claims["iss"], "aud": "authenticated", "role": role,
            "sub": mint.claims["sub"], "exp": 2_000_000_000});
        let name = format!("a {role} token without a session");
        rows.push(mint.row(name, mint.claiming(key.to_string()), NoSession));
    }
    rows
}
