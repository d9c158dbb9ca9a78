//! Signatures that the project's key did not make for the message, or that do not have the form of RFC 7518.

use aws_lc_rs::signature::{RSA_PKCS1_SHA512, RSA_PSS_SHA256};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gotrue_mock::Algorithm;
use serde_json::json;
use uuid::Uuid;

use super::{
    arithmetic::{ED25519_ORDER, P256_ORDER, malleable_twin, minus, octets, plus},
    token_factory::{TokenCase, TokenFactory, with_member},
};
use crate::harness::Signer;

pub(super) fn cases(factory: &TokenFactory) -> Vec<TokenCase> {
    let message = factory.genuine_token();
    let (message, _) = message.rsplit_once('.').unwrap();
    let own = factory.signing_key().sign(message);
    let mut forged = for_any_algorithm(factory, message, &own);
    forged.extend(match factory.signing_key().algorithm {
        Algorithm::Es256 => es256(&own),
        Algorithm::Rs256 => rs256(factory.signing_key(), message, &own),
        Algorithm::EdDsa => ed_dsa(&own),
        Algorithm::Hs256 => hs256(message, &own),
    });
    let case = |(name, signature): (&str, Vec<u8>)| {
        let token = format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
        factory.case(
            format!("signature: {name}"),
            token,
            factory.project_keys.rejection_of_wrong_signature(),
        )
    };
    forged.into_iter().map(case).collect()
}

/// Each row says what is wrong with a signature, and has the signature's bytes.
type Forged = Vec<(&'static str, Vec<u8>)>;

fn for_any_algorithm(factory: &TokenFactory, message: &str, own: &[u8]) -> Forged {
    let other_session = factory.with_claims(with_member(
        &factory.claims,
        "session_id",
        &json!(Uuid::new_v4()).to_string(),
    ));
    let (other_message, signature) = other_session.rsplit_once('.').unwrap();
    assert_ne!(other_message, message);
    let flipped = |at: usize| {
        let mut signature = own.to_vec();
        signature[at] ^= 1;
        signature
    };
    let length = own.len();
    vec![
        ("no signature", Vec::new()),
        ("one octet", vec![0]),
        ("nothing but zeros", vec![0; length]),
        ("nothing but ones", vec![0xff; length]),
        ("a signature with a foreign key", factory.project_keys.foreign_key().sign(message)),
        ("the signature of another token", BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap()),
        ("the signature of the empty message", factory.signing_key().sign("")),
        (
            "the signature of half a message",
            factory.signing_key().sign(message.split_once('.').unwrap().1),
        ),
        ("the first bit is another", flipped(0)),
        ("a bit in the middle is another", flipped(length / 2)),
        ("the last bit is another", flipped(length - 1)),
        ("an octet is missing", own[..length - 1].to_vec()),
        ("half of the signature", own[..length / 2].to_vec()),
        ("an octet more", [own, &[0]].concat()),
        ("a zero in front", [&[0], own].concat()),
        ("twice", [own, own].concat()),
        ("backwards", own.iter().rev().copied().collect()),
    ]
}

fn es256(own: &[u8]) -> Forged {
    let (r, s) = own.split_at(32);
    let zero = [0; 32];
    let one = [&zero[..31], &[1]].concat();
    let order = octets(P256_ORDER);
    let other = malleable_twin(own);
    vec![
        ("in DER", der_signature(r, s)),
        ("its other form in DER", der_signature(&other[..32], &other[32..])),
        ("r is zero", [&zero, s].concat()),
        ("s is zero", [r, &zero].concat()),
        ("r and s are zero in DER", der_signature(&zero, &zero)),
        ("r and s are one", [one.clone(), one].concat()),
        ("r is the order", [&order, s].concat()),
        ("s is the order", [r, &order].concat()),
        ("r and s are the order", [order.clone(), order.clone()].concat()),
        ("s is the order and r is zero", [&zero[..], &order].concat()),
        ("r and s swapped", [s, r].concat()),
        ("r is the order minus r", [&minus(&order, r), s].concat()),
        ("as wide as P-384", [&zero[..16], r, &zero[..16], s].concat()),
        ("as wide as P-521", [&[0; 34], r, &[0; 34], s].concat()),
    ]
}

fn rs256(signer: &Signer, message: &str, own: &[u8]) -> Forged {
    let mut one = vec![0; own.len()];
    one[own.len() - 1] = 1;
    let modulus =
        BASE64_URL_SAFE_NO_PAD.decode(signer.public_jwk()["n"].as_str().unwrap()).unwrap();
    vec![
        ("RSA-PSS", signer.sign_rsa(&RSA_PSS_SHA256, message)),
        ("over another digest", signer.sign_rsa(&RSA_PKCS1_SHA512, message)),
        ("the number one", one),
        ("the modulus", modulus.clone()),
        ("the modulus minus the signature", minus(&modulus, own)),
    ]
}

fn ed_dsa(own: &[u8]) -> Forged {
    let (r, s) = own.split_at(32);
    let order = octets(ED25519_ORDER);
    // Under a public key of small order, this signature is valid for every message.
    let neutral = [&[1], [0; 31].as_slice()].concat();
    vec![
        ("s plus the order of the group", [r, &plus(s, &order)].concat()),
        ("s is the order of the group", [r, &order].concat()),
        ("s is zero", [r, &[0; 32]].concat()),
        ("r is the neutral element and s is zero", [neutral, vec![0; 32]].concat()),
        ("s has its high bits set", [r, &s[..31], &[s[31] | 0xe0]].concat()),
    ]
}

fn hs256(message: &str, own: &[u8]) -> Forged {
    let hex: Vec<String> = own.iter().map(|octet| format!("{octet:02x}")).collect();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, message.as_bytes());
    vec![
        ("with the empty secret", Signer::from_secret("").sign(message)),
        ("with \"secret\" as the secret", Signer::from_secret("secret").sign(message)),
        ("in hexadecimal digits", hex.concat().into_bytes()),
        ("a digest without a secret", digest.as_ref().to_vec()),
    ]
}

/// The DER form of a signature, SEQUENCE { INTEGER r, INTEGER s } (RFC 3279, section 2.2.3), which a JWS must
/// not have.
fn der_signature(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let zeros = number.iter().take_while(|octet| **octet == 0).count();
        let mut number = number[zeros.min(number.len() - 1)..].to_vec();
        if number[0] & 0x80 != 0 {
            number.insert(0, 0);
        }
        [&[2, u8::try_from(number.len()).unwrap()], number.as_slice()].concat()
    };
    let both = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(both.len()).unwrap()], both.as_slice()].concat()
}
