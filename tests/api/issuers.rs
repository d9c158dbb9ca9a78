//! Section 3 of the contract: the issuers of access tokens, and what the gateway does while it does not know the
//! issuer that GoTrue publishes.

use gotrue_mock::Tokens;
use serde_json::json;

use crate::harness::{
    Browser, CookieFormat, Setup, TestApp, assert_error, assert_success, claims_of, eventually,
};

const DOCUMENT: &str = ".well-known/openid-configuration";
/// An issuer that does not follow from `SUPABASE_URL`.
const ISSUER: &str = "https://auth.example.com/auth/v1";

async fn verify(app: &TestApp, tokens: &Tokens) -> u16 {
    app.get("/api/auth/verify").bearer(&tokens.access_token).send().await.status
}

#[tokio::test]
async fn the_issuer_that_gotrue_publishes_is_accepted_and_another_one_is_not() {
    let app = Setup::new().issuer(ISSUER).start().await;
    let tokens = app.sign_up();
    let mut claims = claims_of(&tokens.access_token);
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(verify(&app, &tokens).await, 200);
    claims["iss"] = json!("https://auth.example.org/auth/v1");
    let foreign = app.mock.sign(&claims).unwrap();
    let reply = app.post("/logout").bearer(&foreign).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    assert!(app.is_alive(&tokens));
    let reply = app.post("/logout").bearer(&tokens.access_token).send().await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
}

#[tokio::test]
async fn if_the_fetch_of_the_issuer_fails_or_hangs_the_keys_are_used_and_the_issuer_is_fetched_again()
 {
    for kind in [json!({"kind": "status", "status": 500}), json!({"kind": "hang"})] {
        let mut fault = json!({"operation": "openid_configuration", "times": 2});
        fault.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
        let setup = Setup::new().issuer(ISSUER).flag("upstream-timeout", "3s");
        let app = setup.start_with_faults(&[fault]).await;
        let tokens = app.sign_up();
        let mut claims = claims_of(&tokens.access_token);
        claims["iss"] = json!(null);
        let without_issuer = app.mock.sign(&claims).unwrap();
        let reply = app.get("/api/auth/verify").bearer(&without_issuer).send().await;
        assert_eq!(reply.status, 200, "the gateway uses the keys: {kind}");
        eventually("the issuer is accepted", async || verify(&app, &tokens).await == 200).await;
        assert_eq!(app.gotrue_calls(DOCUMENT).len(), 3, "{kind}");
    }
}

/// The gateway must not ignore a genuine Bearer token beside a cookie, although it does not know the token's
/// issuer yet.
#[tokio::test]
async fn while_the_issuer_is_unknown_the_signature_decides_whether_a_bearer_token_is_of_this_project()
 {
    let down = json!({"operation": "openid_configuration", "kind": "status", "status": 500});
    let app = Setup::new().issuer(ISSUER).start_with_faults(&[down]).await;
    let (by_bearer, by_cookie) = (app.sign_up(), app.sign_up());
    let mut claims = claims_of(&by_cookie.access_token);
    claims["iss"] = json!(null);
    let without_issuer =
        Tokens { access_token: app.mock.sign(&claims).unwrap(), ..by_cookie.clone() };
    let browser = Browser::signed_in(&app, &without_issuer, CookieFormat::Base64).await;
    let request = browser.logout_request("/logout").bearer(&by_bearer.access_token);
    let reply = request.send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    assert!(app.is_alive(&by_bearer) && app.is_alive(&by_cookie));
    claims["iss"] = json!(ISSUER);
    let of_platform =
        crate::harness::hs256_token(&claims, "a-secret-of-another-project-0123456789");
    let request = browser.logout_request("/logout").bearer(&of_platform);
    let reply = request.send().await;
    assert_success(&reply, "/logout", by_cookie.user_id, "revoked");
}
