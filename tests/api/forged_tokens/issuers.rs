//! The claims `iss` and `iat`: GoTrue writes no `iss` unless it is configured to, and it accepts tokens whose
//! `iat` is ahead of its clock. So the gateway must accept both, unless `GATEWAY_JWT_ISSUER` lists the issuers.

use gotrue_mock::Algorithm;
use logout_gateway::internals::session::token::TokenError;
use rstest::rstest;
use serde_json::json;

use super::{
    genuine::project_url,
    project_keys::ProjectKeys,
    refusal_test::RefusalTest,
    token_factory::{TokenFactory, with_member, without_member},
};
use crate::harness::{START_TIME, Setup};

/// An issuer that does not follow from the URL of the project, as with a custom domain.
const ISSUER: &str = "https://auth.project.example/auth/v1";

/// Tokens of the project without `iss`, each with its name.
fn without_issuer(factory: &TokenFactory) -> Vec<(String, String)> {
    let missing = without_member(&factory.claims, "iss");
    let absent = [
        ("no iss", missing.to_string()),
        ("iss is null", with_member(&missing, "iss", "null")),
        // A name that differs from `iss` must not count as `iss`, so these tokens have none.
        ("ISS for iss", with_member(&missing, "ISS", "\"https://evil.example/auth/v1\"")),
        ("a space after iss", with_member(&missing, "iss ", "\"https://evil.example/auth/v1\"")),
        ("a NUL after iss", with_member(&missing, "iss\0", "\"https://evil.example/auth/v1\"")),
    ];
    absent.map(|(name, claims)| (name.to_owned(), factory.with_claims(claims))).into()
}

/// Tokens of the project whose `iat` is ahead of the gateway's clock, each with its name.
fn issued_ahead(factory: &TokenFactory) -> Vec<(String, String)> {
    let seconds = [START_TIME + 30, START_TIME + 31, START_TIME + 86_400, i64::MAX];
    let token = |iat: i64| {
        let claims = with_member(&factory.claims, "iat", &iat.to_string());
        (format!("iat is {iat}"), factory.with_claims(claims))
    };
    seconds.map(token).into()
}

/// Tokens that the gateway must accept if no issuers are configured, each with its name. The project has its
/// default issuer.
pub(super) fn accepted_by_default(factory: &TokenFactory) -> Vec<(String, String)> {
    let claims = with_member(&factory.claims, "iss", &json!(project_url(factory)).to_string());
    let mut accepted = vec![("iss is the project's URL".to_owned(), factory.with_claims(claims))];
    accepted.extend(without_issuer(factory));
    accepted.extend(issued_ahead(factory));
    accepted
}

/// Tokens with the issuers that the gateway accepts only if none are configured, each with its name.
fn with_default_issuer(factory: &TokenFactory, url: &str) -> Vec<(String, String)> {
    let issuers = [url.to_owned(), format!("{url}/auth/v1")];
    let token = |issuer: String| {
        let claims = with_member(&factory.claims, "iss", &json!(issuer).to_string());
        (format!("iss is {issuer}"), factory.with_claims(claims))
    };
    issuers.map(token).into()
}

/// With `GATEWAY_JWT_ISSUER`, the gateway must refuse tokens of the default issuers, and tokens without an
/// issuer unless the list has the word `none`.
#[rstest]
#[case::where_an_es256_key_signs(ProjectKeys::OneKey(Algorithm::Es256))]
#[case::where_there_are_two_keys_of_each_kind_and_the_secret(ProjectKeys::EveryKey)]
#[case::where_the_secret_signs(ProjectKeys::SharedSecret)]
#[case::where_only_gotrue_knows_the_secret(ProjectKeys::SecretUnknownToGateway)]
#[tokio::test]
async fn if_issuers_are_configured_every_other_issuer_is_refused_and_ends_no_session(
    #[case] project_keys: ProjectKeys,
    #[values(false, true)] lists_none: bool,
) {
    let issuers = if lists_none { format!("{ISSUER},none") } else { ISSUER.to_owned() };
    let change = |setup: Setup| setup.issuer(ISSUER).flag("jwt-issuer", &issuers);
    let mut test = RefusalTest::with(project_keys, change).await;
    let factory = TokenFactory::new(project_keys, &test.app, &test.owner.access_token);
    assert_eq!(factory.claims["iss"], ISSUER);
    let mut refused = with_default_issuer(&factory, test.app.mock.url());
    let mut accepted = issued_ahead(&factory);
    let absent = without_issuer(&factory);
    let place = if lists_none { &mut accepted } else { &mut refused };
    place.extend(absent);
    for (name, token) in refused {
        let case = factory.case(name, token, TokenError::Issuer);
        assert_eq!(test.verifier.rejection(&case.token), Some(case.rejection), "{}", case.name);
        test.assert_refused(&case).await;
    }
    test.assert_all_accepted(&accepted).await;
    test.assert_no_other_key_fetches();
}

/// GoTrue's clock may be ahead of the gateway's.
#[tokio::test]
async fn a_token_that_is_issued_ahead_ends_its_session() {
    let project_keys = ProjectKeys::OneKey(Algorithm::Es256);
    let app = project_keys.start_app().await;
    for scope in ["local", "global"] {
        for n in 0..4 {
            let session = app.sign_up();
            let factory = TokenFactory::new(project_keys, &app, &session.access_token);
            let (name, token) = issued_ahead(&factory).swap_remove(n);
            let verify = async || app.get("/api/auth/verify").bearer(&token).send().await.status;
            assert_eq!(verify().await, 200, "{name}");
            let target = format!("/logout?scope={scope}");
            let reply = app.post(&target).bearer(&token).send().await;
            let actual = (reply.status, reply.header("x-logout-outcome"));
            assert_eq!(actual, (200, Some("revoked")), "{name}");
            assert!(!app.is_alive(&session), "{name}");
            assert_eq!(verify().await, 401, "{name}");
        }
    }
}
