//! Tokens that contain or link to their own key, that name a key that does not exist, or that another key has
//! signed than the one that they name.

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use gotrue_mock::Algorithm;
use logout_gateway::internals::session::token::TokenError::{
    KeyAlgorithm, Malformed, NoKeyId, Signature, UnknownKey,
};
use serde_json::{Value, json};

use super::token_factory::{TokenCase, TokenFactory, with_member, without_member};
use crate::harness::Signer;

pub(super) fn cases(factory: &TokenFactory) -> Vec<TokenCase> {
    let mut cases = foreign_keys(factory);
    match factory.signing_key().algorithm {
        Algorithm::Hs256 => cases.extend(known_secrets(factory)),
        _ => cases.extend(unknown_key_ids(factory)),
    }
    cases.extend(confused_keys(factory));
    cases
}

/// Tokens with the attacker's public key in their header, or with a URL from which it can be fetched.
fn foreign_keys(factory: &TokenFactory) -> Vec<TokenCase> {
    let foreign_key = factory.project_keys.foreign_key();
    let address = &factory.address;
    let mut members = vec![
        ("jku", json!(address)),
        ("x5u", json!(address)),
        ("jku", json!(format!("file:///{address}"))),
        ("x5t", json!(BASE64_URL_SAFE_NO_PAD.encode([7; 20]))),
        ("x5t#S256", json!(BASE64_URL_SAFE_NO_PAD.encode([7; 32]))),
    ];
    if foreign_key.algorithm == Algorithm::Hs256 {
        members.push(("jwk", json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"})));
        members.push(("x5c", json!(["AAAA"])));
    } else {
        let certificate = BASE64_STANDARD.encode(foreign_key.public_der());
        members.push(("jwk", foreign_key.public_jwk()));
        members.push(("x5c", json!([certificate])));
    }
    let mut cases = Vec::new();
    for (member, value) in members {
        let with = |header: &Value| with_member(header, member, &value.to_string());
        let own = with(&factory.header());
        let valid_twin = factory.with_header(&own);
        let forged = foreign_key.token(&own, factory.claims.to_string());
        let shown: String = value.to_string().chars().take(30).collect();
        let name = format!("the attacker's {member} under the project's key id: {shown}");
        cases.push(
            factory
                .case(name, forged, factory.project_keys.rejection_of_wrong_signature())
                .with_valid_twin(valid_twin.clone()),
        );
        let forged = foreign_key.token(with(&foreign_key.header()), factory.claims.to_string());
        let rejection = match foreign_key.algorithm {
            Algorithm::Hs256 => factory.project_keys.rejection_of_wrong_secret(),
            _ => UnknownKey.into(),
        };
        cases.push(
            factory
                .case(format!("the attacker's {member} and key id: {shown}"), forged, rejection)
                .with_valid_twin(valid_twin),
        );
    }
    cases
}

/// Tokens with key ids that do not exist: paths, URLs, queries, and one as long as a request head allows.
fn unknown_key_ids(factory: &TokenFactory) -> Vec<TokenCase> {
    let kid = factory.signing_key().kid.as_deref().unwrap();
    let large = "k".repeat(90_000);
    let names = [
        "",
        "x",
        "0",
        "../../../../../../dev/null",
        "/dev/null",
        "/proc/sys/kernel/randomize_va_space",
        "file:///dev/null",
        "http://127.0.0.1/keys",
        "C:\\Windows\\win.ini",
        "x' UNION SELECT 'secret';--",
        "' OR '1'='1",
        "{\"$ne\":null}",
        "${jndi:ldap://127.0.0.1/x}",
        "$(id)",
        "x\r\nX-Evil: 1",
        "\u{202e}yek-tset",
        &large,
        &kid.to_uppercase(),
        &kid[..kid.len() - 1],
        &format!("{kid} "),
        &format!(" {kid}"),
        &format!("{kid}\0"),
        &format!("{kid}/../{kid}"),
        &format!("{kid},{kid}"),
        &kid.replace('e', "\u{435}"),
    ];
    let mut cases = Vec::new();
    for name in names {
        let header = with_member(&factory.header(), "kid", &json!(name).to_string());
        // The valid twin has the correct `kid`, and the same text in a parameter that the gateway ignores.
        let valid_twin = with_member(&factory.header(), "x", &json!(name).to_string());
        let shown: String = name.chars().take(40).collect();
        let case =
            factory.case(format!("kid is {shown:?}"), factory.with_header(header), UnknownKey);
        cases.push(case.with_valid_twin(factory.with_header(valid_twin)));
    }
    for wrong in ["1", "true", "[]", "{}", &format!("[\"{kid}\"]")] {
        let header = with_member(&factory.header(), "kid", wrong);
        cases.push(factory.case(format!("kid is {wrong}"), factory.with_header(header), Malformed));
    }
    let nameless = without_member(&factory.header(), "kid");
    cases.push(factory.case("no kid", factory.with_header(nameless.to_string()), NoKeyId));
    let null = with_member(&factory.header(), "kid", "null");
    cases.push(factory.case("kid is null", factory.with_header(null), NoKeyId));
    let wrong_case = with_member(&nameless, "KID", &json!(kid).to_string());
    cases.push(factory.case("KID for kid", factory.with_header(wrong_case), NoKeyId));
    cases
}

/// Tokens whose `kid` names a file or a database row: the attacker knows its content and signs with that
/// content as the secret.
fn known_secrets(factory: &TokenFactory) -> Vec<TokenCase> {
    let contents = [
        ("/dev/null", ""),
        ("/proc/sys/kernel/randomize_va_space", "2\n"),
        ("x' UNION SELECT 's';--", "s"),
    ];
    let case = |(kid, content): (&str, &str)| {
        let header = with_member(&factory.header(), "kid", &json!(kid).to_string());
        let forged = Signer::from_secret(content).token(&header, factory.claims.to_string());
        let case = factory.case(
            format!("the secret is {kid}"),
            forged,
            factory.project_keys.rejection_of_wrong_secret(),
        );
        // The valid twin may have any `kid`, because the shared secret has no key id.
        case.with_valid_twin(factory.with_header(header))
    };
    contents.into_iter().map(case).collect()
}

/// Tokens that one key has signed under the key id of another, and tokens that HMAC has signed with a public
/// key as the secret.
fn confused_keys(factory: &TokenFactory) -> Vec<TokenCase> {
    let keys = factory.project_keys.published_keys();
    let mut cases = Vec::new();
    for signer in keys {
        let claims = factory.claims.to_string();
        let valid_twin = signer.token(signer.header().to_string(), &claims);
        for named in keys.iter().filter(|named| named.kid != signer.kid) {
            let [by, of] = [signer, named].map(|key| key.kid.as_deref().unwrap());
            let forged = signer.token(named.header().to_string(), &claims);
            let name = format!("signed with {by} under the header of {of}");
            cases.push(factory.case(name, forged, Signature).with_valid_twin(valid_twin.clone()));
            if signer.algorithm != named.algorithm {
                let header = with_member(&signer.header(), "kid", &json!(of).to_string());
                let name = format!("signed with {by} under the key id of {of}");
                let forged = signer.token(header, &claims);
                cases.push(
                    factory.case(name, forged, KeyAlgorithm).with_valid_twin(valid_twin.clone()),
                );
            }
        }
    }
    for key in keys.iter().step_by(2) {
        cases.extend(public_secrets(factory, key));
    }
    cases
}

/// HS256 tokens whose secret is the public key in one of its usual encodings.
fn public_secrets(factory: &TokenFactory, key: &Signer) -> Vec<TokenCase> {
    let (der, jwk) = (key.public_der(), key.public_jwk());
    let coded = BASE64_STANDARD.encode(&der);
    let lines: Vec<&str> =
        coded.as_bytes().chunks(64).map(|c| std::str::from_utf8(c).unwrap()).collect();
    let pem =
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
    let kid = key.kid.as_deref().unwrap();
    let number = jwk["x"].as_str().or(jwk["n"].as_str()).unwrap();
    let secrets = [
        ("PEM", pem.clone().into_bytes()),
        ("PEM without the last line break", pem.trim_end().as_bytes().to_vec()),
        ("PEM with CRLF", pem.replace('\n', "\r\n").into_bytes()),
        ("base64 of DER", coded.into_bytes()),
        ("DER", der),
        ("JWK", jwk.to_string().into_bytes()),
        ("key set", json!({ "keys": [jwk] }).to_string().into_bytes()),
        ("coordinate or modulus", number.as_bytes().to_vec()),
        ("coordinate or modulus in bytes", BASE64_URL_SAFE_NO_PAD.decode(number).unwrap()),
        ("key id", kid.as_bytes().to_vec()),
    ];
    let mut cases = Vec::new();
    for (form, secret) in secrets {
        for header in [json!({"alg": "HS256", "kid": kid}), json!({"alg": "HS256", "typ": "JWT"})] {
            let forged =
                Signer::from_secret(&secret).token(header.to_string(), factory.claims.to_string());
            let name = format!("the secret is the {form} of {kid}: {header}");
            cases.push(factory.case(
                name,
                forged,
                factory.project_keys.rejection_of_wrong_secret(),
            ));
        }
    }
    cases
}
