//! Keys that the token brings along, that it names and that do not exist, and that are another's.

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use gotrue_mock::Algorithm;
use logout_gateway::internals::session::token::TokenError::{Malformed, Signature, UnknownKey};
use serde_json::{Value, json};

use super::mint::{Mint, Row, with_member, without};
use crate::harness::Signer;

pub(super) fn rows(mint: &Mint) -> Vec<Row> {
    let mut rows = foreign_keys(mint);
    match mint.own().algorithm {
        Algorithm::Hs256 => rows.extend(empty_secrets(mint)),
        _ => rows.extend(kids(mint)),
    }
    rows.extend(confusion(mint));
    rows
}

/// The token brings its own key, or tells where it is.
fn foreign_keys(mint: &Mint) -> Vec<Row> {
    let stranger = mint.court.stranger();
    let address = &mint.address;
    let mut members = vec![
        ("jku", json!(address)),
        ("x5u", json!(address)),
        ("jku", json!(format!("file:///{address}"))),
        ("x5t", json!(BASE64_URL_SAFE_NO_PAD.encode([7; 20]))),
        ("x5t#S256", json!(BASE64_URL_SAFE_NO_PAD.encode([7; 32]))),
    ];
    if stranger.algorithm == Algorithm::Hs256 {
        members.push(("jwk", json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"})));
        members.push(("x5c", json!(["AAAA"])));
    } else {
        let certificate = BASE64_STANDARD.encode(stranger.public_der());
        members.push(("jwk", stranger.public_jwk()));
        members.push(("x5c", json!([certificate])));
    }
    let mut rows = Vec::new();
    for (member, value) in members {
        let with = |header: &Value| with_member(header, member, &value.to_string());
        let own = with(&mint.header());
        let twin = mint.headed(&own);
        let forged = stranger.token(&own, mint.claims.to_string());
        let shown: String = value.to_string().chars().take(30).collect();
        let name = format!("the forger's {member} under the project's name: {shown}");
        rows.push(mint.row(name, forged, mint.court.not_signed()).beside(twin.clone()));
        let forged = stranger.token(with(&stranger.header()), mint.claims.to_string());
        let why = match stranger.algorithm {
            Algorithm::Hs256 => mint.court.not_of_the_secret(),
            _ => UnknownKey.into(),
        };
        rows.push(
            mint.row(format!("the forger's {member} and name: {shown}"), forged, why).beside(twin),
        );
    }
    rows
}

/// Names of keys: as paths, as addresses, as queries, as large as a head allows.
fn kids(mint: &Mint) -> Vec<Row> {
    let kid = mint.own().kid.as_deref().unwrap();
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
    let mut rows = Vec::new();
    for name in names {
        let header = with_member(&mint.header(), "kid", &json!(name).to_string());
        // As large, and under the key's own name.
        let twin = with_member(&mint.header(), "x", &json!(name).to_string());
        let shown: String = name.chars().take(40).collect();
        let row = mint.row(format!("kid is {shown:?}"), mint.headed(header), UnknownKey);
        rows.push(row.beside(mint.headed(twin)));
    }
    for wrong in ["1", "true", "[]", "{}", &format!("[\"{kid}\"]")] {
        let header = with_member(&mint.header(), "kid", wrong);
        rows.push(mint.row(format!("kid is {wrong}"), mint.headed(header), Malformed));
    }
    let nameless = without(&mint.header(), "kid");
    rows.push(mint.row("no kid", mint.headed(nameless.to_string()), UnknownKey));
    let null = with_member(&mint.header(), "kid", "null");
    rows.push(mint.row("kid is null", mint.headed(null), UnknownKey));
    let cased = with_member(&nameless, "KID", &json!(kid).to_string());
    rows.push(mint.row("KID for kid", mint.headed(cased), UnknownKey));
    rows
}

/// `kid` names a file or a row whose content the forger knows.
fn empty_secrets(mint: &Mint) -> Vec<Row> {
    let contents = [
        ("/dev/null", ""),
        ("/proc/sys/kernel/randomize_va_space", "2\n"),
        ("x' UNION SELECT 's';--", "s"),
    ];
    let row = |(kid, content): (&str, &str)| {
        let header = with_member(&mint.header(), "kid", &json!(kid).to_string());
        let forged = Signer::of_secret(content).token(&header, mint.claims.to_string());
        let row = mint.row(format!("the secret is {kid}"), forged, mint.court.not_of_the_secret());
        // The shared secret has no name: any will do.
        row.beside(mint.headed(header))
    };
    contents.into_iter().map(row).collect()
}

/// Signed with one key under the name of another, and with a public key as if it were a secret.
fn confusion(mint: &Mint) -> Vec<Row> {
    let keys = mint.court.keys();
    let mut rows = Vec::new();
    for signer in keys {
        let claims = mint.claims.to_string();
        let twin = signer.token(signer.header().to_string(), &claims);
        for named in keys.iter().filter(|named| named.kid != signer.kid) {
            let [by, of] = [signer, named].map(|key| key.kid.as_deref().unwrap());
            let forged = signer.token(named.header().to_string(), &claims);
            let name = format!("signed with {by} under the header of {of}");
            rows.push(mint.row(name, forged, Signature).beside(twin.clone()));
            if signer.algorithm != named.algorithm {
                let header = with_member(&signer.header(), "kid", &json!(of).to_string());
                let name = format!("signed with {by} under the name of {of}");
                let forged = signer.token(header, &claims);
                rows.push(mint.row(name, forged, UnknownKey).beside(twin.clone()));
            }
        }
    }
    for key in keys.iter().step_by(2) {
        rows.extend(public_secrets(mint, key));
    }
    rows
}

/// What everybody can read, as the secret of HS256.
fn public_secrets(mint: &Mint, key: &Signer) -> Vec<Row> {
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
        ("PEM without a line's end", pem.trim_end().as_bytes().to_vec()),
        ("PEM with CRLF", pem.replace('\n', "\r\n").into_bytes()),
        ("base64 of DER", coded.into_bytes()),
        ("DER", der),
        ("JWK", jwk.to_string().into_bytes()),
        ("key set", json!({ "keys": [jwk] }).to_string().into_bytes()),
        ("coordinate or modulus", number.as_bytes().to_vec()),
        ("its octets", BASE64_URL_SAFE_NO_PAD.decode(number).unwrap()),
        ("name", kid.as_bytes().to_vec()),
    ];
    let mut rows = Vec::new();
    for (form, secret) in secrets {
        for header in [json!({"alg": "HS256", "kid": kid}), json!({"alg": "HS256", "typ": "JWT"})] {
            let forged =
                Signer::of_secret(&secret).token(header.to_string(), mint.claims.to_string());
            let name = format!("the secret is the {form} of {kid}: {header}");
            rows.push(mint.row(name, forged, mint.court.not_of_the_secret()));
        }
    }
    rows
}
