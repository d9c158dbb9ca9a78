//! Section 3 of the contract: the gateway must refuse forged tokens, and signed tokens that GoTrue would
//! never issue.
//!
//! Each [`TokenCase`] has a token with one fault and the rejection that the fault must cause. The test sends
//! the token to every kind of project and to every route that reads tokens, together with a valid CSRF token
//! of the session's owner. The gateway must refuse the token for the expected reason and without a call to
//! GoTrue, and the session that the token names must stay alive. Each case also has a valid twin, a token
//! without the fault but otherwise equal, which the gateway must accept. The twin proves that the fault
//! causes the refusal. [`issuers`] has claims that look like faults and that the gateway must accept.

mod arithmetic;
mod claims;
mod encodings;
mod genuine;
mod headers;
mod issuers;
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

/// All cases for a project with the keys of `factory`.
fn all_cases(factory: &TokenFactory) -> Vec<TokenCase> {
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
async fn every_forged_token_is_refused_for_its_reason_and_ends_no_session(
    #[case] project_keys: ProjectKeys,
) {
    let mut test = RefusalTest::new(project_keys).await;
    let factory = TokenFactory::new(project_keys, &test.app, &test.owner.access_token);
    let cases = all_cases(&factory);
    let mut names = HashSet::new();
    let mut wrong = Vec::new();
    for case in &cases {
        assert!(names.insert(&case.name), "two cases are named {}", case.name);
        let actual = test.verifier.rejection(&case.token);
        if actual != Some(case.rejection) {
            wrong.push((&case.name, actual, case.rejection));
        }
        assert!(test.verifier.accepts(&case.valid_twin), "the valid twin of {}", case.name);
    }
    assert!(wrong.is_empty(), "(case, actual rejection, expected rejection): {wrong:#?}");
    assert!(cases.len() >= 60, "only {} cases", cases.len());

    // Send a token whose rejection does not depend on keys to one project only, because every project refuses
    // it alike.
    let send_all = project_keys == ProjectKeys::OneKey(Algorithm::Es256);
    let sent_cases = cases.iter().filter(|case| send_all || case.rejection.depends_on_keys());
    let mut accepted = HashSet::new();
    for case in sent_cases {
        test.assert_refused(case).await;
        if accepted.insert(&case.valid_twin) {
            assert_eq!(test.verify(&case.valid_twin).await, 200, "the valid twin of {}", case.name);
        }
    }
    test.assert_all_accepted(&issuers::accepted_by_default(&factory)).await;
    test.assert_no_other_key_fetches();
}

#[tokio::test]
async fn the_key_id_of_a_forged_token_is_in_no_response_or_log_line_even_if_it_has_100_kb() {
    let app = Setup::new().start_time(Clock::system().unix_seconds()).start().await;
    let environment = [("RUST_LOG", "trace"), ("GATEWAY_MAX_HEADER_BYTES", "262144")];
    let gateway = GatewayProcess::start(&app, &environment).await;
    let owner = app.sign_up();
    let claims = claims_of(&owner.access_token).to_string();
    let key_ids = [
        "text-of-the-attacker",
        "\r\nX-Evil: text-of-the-attacker",
        "\u{1b}[31mtext-of-the-attacker",
    ];
    let key_ids =
        key_ids.map(str::to_owned).into_iter().chain(["text-of-the-attacker".repeat(5_120)]);
    for (n, key_id) in key_ids.enumerate() {
        let header = json!({"alg": "ES256", "kid": key_id}).to_string();
        let token = Signer::generate(Algorithm::Es256, &key_id).token(header, &claims);
        for (route, request) in [
            ("logout", gateway.request("POST", "/logout?scope=global")),
            ("verify", gateway.request("GET", "/api/auth/verify")),
            ("csrf", gateway.request("GET", "/api/auth/csrf")),
        ] {
            let request = request.bearer(&token).header("X-Request-Id", format!("{route}-{n}"));
            let reply = request.send().await;
            assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
            let response = format!("{reply:?}");
            assert!(!response.contains("text-of-the-attacker"), "{response}");
        }
    }
    assert!(app.is_alive(&owner) && app.gotrue_call_count() == 0);
    let log = gateway.stop();
    for n in 0..4 {
        let cause = log.audit_line(&format!("logout-{n}"))["cause"].as_str().map(str::to_owned);
        let unknown = TokenError::UnknownKey.to_string();
        assert_eq!(cause, Some(unknown));
    }
    log.assert_contains_none_of(&["text-of-the-attacker".to_owned()]);
}

#[tokio::test]
async fn hs256_is_reported_as_unused_if_a_project_with_signing_keys_gets_no_such_tokens() {
    let project_keys = ProjectKeys::EveryKey;
    let app = project_keys.start_app().await;
    let verifier = project_keys.verifier(&app).await;
    let claims = claims_of(&app.sign_up().access_token);
    assert!(verifier.hs256_is_unused());
    assert!(verifier.accepts(&hs256_token(&claims, TEST_SECRET)));
    assert!(!verifier.hs256_is_unused(), "the gateway has accepted an HS256 token");
    verifier.accepts(&hs256_token(&claims, "another-secret-0123456789-0123456789"));
    assert!(
        verifier.hs256_is_unused(),
        "a forged HS256 token does not count as use, because the gateway knows the secret"
    );
    let without_key_set = ProjectKeys::SharedSecret.verifier(&app).await;
    assert!(!without_key_set.hs256_is_unused(), "a project without keys needs HS256");
}
