//! Section 3 of the contract: which access tokens the gateway accepts. `forged_tokens.rs` tests those that it
//! refuses.

use gotrue_mock::{Algorithm, TEST_SECRET, Tokens};
use serde_json::json;

use crate::harness::{
    Browser, CookieFormat, RECORDED_AT, RECORDED_ISSUER, Setup, TestApp, assert_error, claims_of,
    recording,
};

/// Sends `token` as a Bearer token to `verify` and in a logout. Asserts that both responses have the same
/// status and reason; returns status and reason.
async fn verify_and_log_out(app: &TestApp, token: &str) -> (u16, Option<String>) {
    let verify = app.get("/api/auth/verify").bearer(token).send().await;
    let reason = |reply: &crate::harness::Reply| match reply.status {
        200 => None,
        _ => reply.json()["error"]["reason"].as_str().map(str::to_owned),
    };
    let (status, verify_reason) = (verify.status, reason(&verify));
    let logout = app.post("/logout").bearer(token).send().await;
    assert_eq!(
        (logout.status, reason(&logout)),
        (status, verify_reason.clone()),
        "logout and verify"
    );
    (status, verify_reason)
}

#[tokio::test]
async fn recorded_tokens_of_every_algorithm_verify_with_the_recorded_keys() {
    for (algorithm, name) in [
        (Algorithm::Es256, "es256"),
        (Algorithm::Rs256, "rs256"),
        (Algorithm::EdDsa, "eddsa"),
        (Algorithm::Hs256, "hs256"),
    ] {
        let setup = Setup::new().start_time(RECORDED_AT).algorithm(algorithm);
        let setup = setup.flag("jwt-issuer", RECORDED_ISSUER);
        let setup = setup.flag("supabase-jwt-secret", TEST_SECRET);
        let keys = recording(&format!("jwks-{name}")).as_fault("jwks", None);
        let app = setup.start_with_faults(&[keys]).await;
        let recorded = recording(&format!("logout-local-{name}"));
        let token = recorded.token();

        let claims = claims_of(token);
        let verify = app.get("/api/auth/verify").bearer(token).send().await;
        assert_eq!(verify.status, 200, "{name}: {verify:?}");
        assert_eq!(verify.header("x-auth-user-id"), claims["sub"].as_str());
        assert_eq!(verify.header("x-auth-session-id"), claims["session_id"].as_str());
        assert_eq!(app.gotrue_call_count(), 0, "the gateway verifies the token itself");

        // Change the last but one character, because some bits of the last character have no meaning.
        let (rest, end) = token.split_at(token.len() - 2);
        let changed = if end.starts_with('A') { "B" } else { "A" };
        let tampered = format!("{rest}{changed}{}", &end[1..]);
        assert_eq!(
            verify_and_log_out(&app, &tampered).await,
            (401, Some("invalid".to_owned())),
            "{name}"
        );
        let (signed, _) = token.rsplit_once('.').unwrap();
        assert_eq!(verify_and_log_out(&app, &format!("{signed}.")).await.0, 401, "{name} unsigned");
        assert_eq!(app.gotrue_call_count(), 0);
    }
}

#[tokio::test]
async fn a_token_may_be_as_large_as_the_head_allows() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let mut claims = claims_of(&tokens.access_token);
    claims["user_metadata"]["avatar"] = json!("x".repeat(60_000));
    let large = app.mock.sign(&claims).unwrap();
    assert!(large.len() > 80_000);
    assert_eq!(verify_and_log_out(&app, &large).await.0, 200);
    assert!(!app.is_alive(&tokens));
}

#[tokio::test]
async fn several_issuers_and_audiences_may_be_configured() {
    let app = TestApp::with_flags(&[
        ("jwt-issuer", "https://one.example/auth/v1, https://two.example/auth/v1"),
        ("jwt-audience", "web,app"),
    ])
    .await;
    for (issuer, audience, accepted) in [
        ("https://one.example/auth/v1", "web", true),
        ("https://two.example/auth/v1", "app", true),
        ("https://two.example/auth/v1", "authenticated", false),
        ("https://three.example/auth/v1", "web", false),
    ] {
        let tokens = app.sign_up();
        let mut claims = claims_of(&tokens.access_token);
        claims["iss"] = json!(issuer);
        claims["aud"] = json!(audience);
        let (status, _) = verify_and_log_out(&app, &app.mock.sign(&claims).unwrap()).await;
        assert_eq!(status == 200, accepted, "{issuer} {audience}");
        assert_eq!(app.is_alive(&tokens), !accepted);
    }
}

#[tokio::test]
async fn a_cookie_of_another_issuer_or_audience_is_401_and_stays() {
    let app = Setup::new().start().await;
    let tokens = app.sign_up();
    for claim in ["iss", "aud"] {
        let mut claims = claims_of(&tokens.access_token);
        claims[claim] = json!("another");
        let access_token = app.mock.sign(&claims).unwrap();
        let foreign = Tokens { access_token, ..tokens.clone() };
        let mut browser = Browser::signed_in_without_csrf(&app, &foreign, CookieFormat::Base64);
        let reply = browser.logout("/logout").await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
        assert!(reply.set_cookies().is_empty(), "{claim}: the setting may be wrong");
        assert!(app.is_alive(&tokens));
    }
}
