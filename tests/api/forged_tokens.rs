//! Section 3 of the contract: tokens that a forger makes, and odd ones that no GoTrue would issue.
//!
//! Each row of the table is a token, what is wrong with it, and why it is refused. It is tried at a
//! project of each kind, on every way in, with the owner's own CSRF token beside it: it must be refused
//! for that reason, GoTrue asked nothing, and the session that it names left alone. Beside each stands a
//! twin that differs in this alone and is believed: so no row passes by accident.

mod arithmetic;
mod claims;
mod court;
mod encodings;
mod genuine;
mod headers;
mod keys;
mod mint;
mod signatures;
mod small_keys;
mod trial;

use std::collections::HashSet;

use gotrue_mock::{Algorithm, TEST_SECRET};
use logout_gateway::{Clock, internals::session::token::TokenError};
use rstest::rstest;
use serde_json::json;

use self::{
    court::Court,
    mint::{Mint, Row},
    trial::Trial,
};
use crate::harness::{Serving, Setup, Signer, assert_error, claims_of, hs256};

/// The table at one project.
fn table(mint: &Mint) -> Vec<Row> {
    let families = [headers::rows, keys::rows, claims::rows, encodings::rows, signatures::rows];
    families.iter().flat_map(|rows| rows(mint)).collect()
}

#[rstest]
#[case::where_an_es256_key_signs(Court::OneKey(Algorithm::Es256))]
#[case::where_an_rs256_key_signs(Court::OneKey(Algorithm::Rs256))]
#[case::where_an_ed_dsa_key_signs(Court::OneKey(Algorithm::EdDsa))]
#[case::where_there_are_two_keys_of_each_kind_and_the_secret(Court::EveryKey)]
#[case::where_the_secret_signs(Court::Secret)]
#[case::where_only_gotrue_knows_the_secret(Court::GoTrue)]
#[tokio::test]
async fn every_forged_or_odd_token_is_refused_for_its_reason_and_ends_nothing(
    #[case] court: Court,
) {
    let mut trial = Trial::new(court).await;
    let mint = Mint::new(court, &trial.stage, &trial.owner.access_token);
    let rows = table(&mint);
    let mut names = HashSet::new();
    let mut wrong = Vec::new();
    for row in &rows {
        assert!(names.insert(&row.name), "two rows are called {}", row.name);
        let against = trial.judge.against(&row.token).await;
        if against != Some(row.why) {
            wrong.push((&row.name, against, row.why));
        }
        assert!(trial.judge.believes(&row.twin).await, "the twin of {}", row.name);
    }
    assert!(wrong.is_empty(), "name, told and true: {wrong:#?}");
    assert!(rows.len() >= 60, "{}", rows.len());

    // What is refused by its text alone is refused alike at every project.
    let everything = court == Court::OneKey(Algorithm::Es256);
    let tried = rows.iter().filter(|row| everything || row.why.is_of_its_signature());
    let mut believed = HashSet::new();
    for row in tried {
        trial.is_refused(row).await;
        if believed.insert(&row.twin) {
            assert_eq!(trial.verify(&row.twin).await, 200, "the twin of {}", row.name);
        }
    }
    trial.nobody_was_asked_for_keys();
}

#[tokio::test]
async fn the_key_id_of_a_forged_token_appears_nowhere_even_if_it_has_100_kb() {
    let stage = Setup::new().at(Clock::system().unix_seconds()).start().await;
    let head = [("RUST_LOG", "trace"), ("GATEWAY_MAX_HEADER_BYTES", "262144")];
    let serving = Serving::start(&stage, &head).await;
    let owner = stage.sign_up();
    let claims = claims_of(&owner.access_token).to_string();
    let names = [
        "the-word-of-a-forger",
        "\r\nX-Evil: the-word-of-a-forger",
        "\u{1b}[31mthe-word-of-a-forger",
    ];
    let names = names.map(str::to_owned).into_iter().chain(["the-word-of-a-forger".repeat(5_120)]);
    for (n, name) in names.enumerate() {
        let header = json!({"alg": "ES256", "kid": name}).to_string();
        let token = Signer::another(Algorithm::Es256, &name).token(header, &claims);
        for (way, request) in [
            ("logout", serving.request("POST", "/logout?scope=global")),
            ("verify", serving.request("GET", "/api/auth/verify")),
            ("csrf", serving.request("GET", "/api/auth/csrf")),
        ] {
            let request = request.bearer(&token).header("X-Request-Id", format!("{way}-{n}"));
            let reply = request.send().await;
            assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
            let told = format!("{reply:?}");
            assert!(!told.contains("the-word-of-a-forger"), "{told}");
        }
    }
    assert!(stage.alive(&owner) && stage.asked() == 0);
    let log = serving.ended();
    for n in 0..4 {
        let cause = log.audit(&format!("logout-{n}"))["cause"].as_str().map(str::to_owned);
        let unknown = TokenError::UnknownKey.to_string();
        assert_eq!(cause, Some(unknown));
    }
    log.assert_without(&["the-word-of-a-forger".to_owned()]);
}

#[tokio::test]
async fn hs256_beside_keys_that_sign_is_unused_after_a_time_without_such_tokens() {
    let court = Court::EveryKey;
    let stage = court.stage().await;
    let judge = court.judge(&stage).await;
    let claims = claims_of(&stage.sign_up().access_token);
    assert!(judge.hs256_is_unused());
    assert!(judge.believes(&hs256(&claims, TEST_SECRET)).await);
    assert!(!judge.hs256_is_unused(), "one came since");
    judge.believes(&hs256(&claims, "a-secret-of-someone-else-0123456789")).await;
    assert!(judge.hs256_is_unused(), "a forged one does not count where the secret is known");
    let secret_alone = Court::Secret.judge(&stage).await;
    assert!(!secret_alone.hs256_is_unused(), "no key signs there");
}
