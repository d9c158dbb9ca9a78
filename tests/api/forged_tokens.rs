//! Section 3 of the contract: tokens that a forger makes, and odd ones that no GoTrue would issue.
//!
//! Each row of the table is a token, what is wrong with it, and why it is refused. It is tried at a
//! project of each kind, on every way in, with the owner's own CSRF token beside it: it must be refused
//! for that reason, GoTrue asked nothing, and the session that it names left alone. Beside each stands a
//! twin that differs in this alone and is believed: so no row passes by accident.

mod arithmetic;
mod claims;
mod encodings;
mod genuine;
mod headers;
mod keys;
mod project_keys;
mod refusal_test;
mod signatures;
mod small_keys;
mod token_factory;

use std::collections::HashSet;

use gotrue_mock::{Algorithm, TEST_SECRET};
use logout_gateway::{Clock, internals::session::token::TokenError};
use rstest::rstest;
use serde_json::json;

use self::{
    project_keys::ProjectKeys,
    refusal_test::RefusalTest,
    token_factory::{TokenCase, TokenFactory},
};
use crate::harness::{GatewayProcess, Setup, Signer, assert_error, claims_of, hs256_token};

/// The table at one project.
fn table(factory: &TokenFactory) -> Vec<TokenCase> {
    let families =
        [headers::cases, keys::cases, claims::cases, encodings::cases, signatures::cases];
    families.iter().flat_map(|cases| cases(factory)).collect()
}

#[rstest]
#[case::where_an_es256_key_signs(ProjectKeys::OneKey(Algorithm::Es256))]
#[case::where_an_rs256_key_signs(ProjectKeys::OneKey(Algorithm::Rs256))]
#[case::where_an_ed_dsa_key_signs(ProjectKeys::OneKey(Algorithm::EdDsa))]
#[case::where_there_are_two_keys_of_each_kind_and_the_secret(ProjectKeys::EveryKey)]
#[case::where_the_secret_signs(ProjectKeys::SharedSecret)]
#[case::where_only_gotrue_knows_the_secret(ProjectKeys::SecretUnknownToGateway)]
#[tokio::test]
async fn every_forged_or_odd_token_is_refused_for_its_reason_and_ends_nothing(
    #[case] project_keys: ProjectKeys,
) {
    let mut test = RefusalTest::new(project_keys).await;
    let factory = TokenFactory::new(project_keys, &test.app, &test.owner.access_token);
    let cases = table(&factory);
    let mut names = HashSet::new();
    let mut wrong = Vec::new();
    for case in &cases {
        assert!(names.insert(&case.name), "two rows are called {}", case.name);
        let actual = test.verifier.rejection(&case.token).await;
        if actual != Some(case.rejection) {
            wrong.push((&case.name, actual, case.rejection));
        }
        assert!(test.verifier.accepts(&case.valid_twin).await, "the twin of {}", case.name);
    }
    assert!(wrong.is_empty(), "name, told and true: {wrong:#?}");
    assert!(cases.len() >= 60, "{}", cases.len());

    // What is refused by its text alone is refused alike at every project.
    let everything = project_keys == ProjectKeys::OneKey(Algorithm::Es256);
    let tried = cases.iter().filter(|case| everything || case.rejection.depends_on_keys());
    let mut accepted = HashSet::new();
    for case in tried {
        test.assert_refused(case).await;
        if accepted.insert(&case.valid_twin) {
            assert_eq!(test.verify(&case.valid_twin).await, 200, "the twin of {}", case.name);
        }
    }
    test.assert_no_other_key_fetches();
}

#[tokio::test]
async fn the_key_id_of_a_forged_token_appears_nowhere_even_if_it_has_100_kb() {
    let app = Setup::new().start_time(Clock::system().unix_seconds()).start().await;
    let head = [("RUST_LOG", "trace"), ("GATEWAY_MAX_HEADER_BYTES", "262144")];
    let gateway = GatewayProcess::start(&app, &head).await;
    let owner = app.sign_up();
    let claims = claims_of(&owner.access_token).to_string();
    let names = [
        "the-word-of-a-forger",
        "\r\nX-Evil: the-word-of-a-forger",
        "\u{1b}[31mthe-word-of-a-forger",
    ];
    let names = names.map(str::to_owned).into_iter().chain(["the-word-of-a-forger".repeat(5_120)]);
    for (n, name) in names.enumerate() {
        let header = json!({"alg": "ES256", "kid": name}).to_string();
        let token = Signer::generate(Algorithm::Es256, &name).token(header, &claims);
        for (way, request) in [
            ("logout", gateway.request("POST", "/logout?scope=global")),
            ("verify", gateway.request("GET", "/api/auth/verify")),
            ("csrf", gateway.request("GET", "/api/auth/csrf")),
        ] {
            let request = request.bearer(&token).header("X-Request-Id", format!("{way}-{n}"));
            let reply = request.send().await;
            assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
            let told = format!("{reply:?}");
            assert!(!told.contains("the-word-of-a-forger"), "{told}");
        }
    }
    assert!(app.is_alive(&owner) && app.gotrue_call_count() == 0);
    let log = gateway.stop();
    for n in 0..4 {
        let cause = log.audit_line(&format!("logout-{n}"))["cause"].as_str().map(str::to_owned);
        let unknown = TokenError::UnknownKey.to_string();
        assert_eq!(cause, Some(unknown));
    }
    log.assert_contains_none_of(&["the-word-of-a-forger".to_owned()]);
}

#[tokio::test]
async fn hs256_beside_keys_that_sign_is_unused_after_a_time_without_such_tokens() {
    let project_keys = ProjectKeys::EveryKey;
    let app = project_keys.start_app().await;
    let verifier = project_keys.verifier(&app).await;
    let claims = claims_of(&app.sign_up().access_token);
    assert!(verifier.hs256_is_unused());
    assert!(verifier.accepts(&hs256_token(&claims, TEST_SECRET)).await);
    assert!(!verifier.hs256_is_unused(), "one came since");
    verifier.accepts(&hs256_token(&claims, "a-secret-of-someone-else-0123456789")).await;
    assert!(verifier.hs256_is_unused(), "a forged one does not count where the secret is known");
    let secret_alone = ProjectKeys::SharedSecret.verifier(&app).await;
    assert!(!secret_alone.hs256_is_unused(), "no key signs there");
}
