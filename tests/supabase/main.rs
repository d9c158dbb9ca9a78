//! Which sessions are alive after a logout, according to GoTrue itself. `make test-supabase` runs these tests
//! against a real project; all other runs use the mock.
//!
//! The tests use only what GoTrue offers to every client: sign-up, sign-in, refresh, `GET` and `PUT /user`. A
//! test that needs more runs only against the mock, and its comment says so.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper that panics makes its test fail, as it should"
)]

mod endings;
mod gotrue;
mod project;

use aws_lc_rs::{rand::SystemRandom, signature};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};

use self::{
    gotrue::Session,
    project::{Browser, Project},
};
use test_harness::{CookieFormat, LOGOUT_PATHS, Reply, assert_error, assert_success};

const SCOPES: [&str; 3] = ["local", "others", "global"];

/// Whether three sessions must be alive after a logout with this scope: the session that signs out, another
/// session of its user, and a session of another user.
fn alive_after(scope: &str) -> [bool; 3] {
    match scope {
        "local" => [false, true, true],
        "others" => [true, false, true],
        _ => [false, false, true],
    }
}

async fn assert_alive_after(project: &Project, sessions: [&Session; 3], scope: &str, case: &str) {
    for (session, alive) in sessions.into_iter().zip(alive_after(scope)) {
        assert_eq!(project.gotrue.is_alive(session).await, alive, "{scope} {case}");
    }
    // Refreshes must agree with `GET /user`: GoTrue refreshes only sessions that are alive.
    for (session, alive) in sessions.into_iter().zip(alive_after(scope)) {
        assert_eq!(project.gotrue.refresh(session).await.is_some(), alive, "{scope} {case}");
    }
}

#[tokio::test]
async fn each_scope_by_bearer_ends_what_it_names() {
    let project = Project::lock().await;
    for (scope, route) in SCOPES.into_iter().zip(LOGOUT_PATHS) {
        // Each scope needs a new gateway: after a logout with scope `global` or `others`, a gateway also
        // refuses tokens that GoTrue issues to the user in the same second.
        let gateway = project.start_gateway(0).await;
        let [this, other] = [project.sign_in().await, project.sign_in().await];
        let stranger = project.sign_in_stranger().await;
        assert_eq!(gateway.verify(&this).await, 200);
        let target = format!("{route}?scope={scope}");
        let reply = gateway.request("POST", &target).bearer(&this.access_token).send().await;
        assert_success(&reply, route, this.user_id, "revoked");
        assert_alive_after(&project, [&this, &other, &stranger], scope, "by bearer").await;
        let expected = if scope == "others" { 200 } else { 401 };
        assert_eq!(gateway.verify(&this).await, expected, "{scope}");
        assert_eq!(gateway.verify(&stranger).await, 200, "{scope}");
    }
}

#[tokio::test]
async fn each_scope_by_cookie_ends_what_it_names_and_empties_the_browser() {
    let project = Project::lock().await;
    let gateway = project.start_gateway(0).await;
    for (scope, format) in
        SCOPES.into_iter().zip([CookieFormat::Base64, CookieFormat::Raw, CookieFormat::Chunked])
    {
        let [this, other] = [project.sign_in().await, project.sign_in().await];
        let stranger = project.sign_in_stranger().await;
        let mut browser = Browser::signed_in(&gateway, &this, format).await;
        let reply = browser.request("POST", "/api/auth/logout").send().await;
        assert_error(&reply, 403, "CSRF_FAILED", Some("missing"));
        assert!(
            project.gotrue.is_alive(&this).await,
            "a logout without a CSRF token ends no session"
        );
        let reply = browser.logout(&format!("/api/auth/logout?scope={scope}")).await;
        assert_success(&reply, "/api/auth/logout", this.user_id, "revoked");
        assert_eq!(browser.jar.is_empty(), scope != "others", "{:?}", browser.jar.names());
        assert_alive_after(&project, [&this, &other, &stranger], scope, "by cookie").await;
    }
}

#[tokio::test]
async fn a_second_logout_finds_the_session_ended() {
    let project = Project::lock().await;
    let gateway = project.start_gateway(0).await;
    let (bearer, cookie) = (project.sign_in().await, project.sign_in().await);
    let mut browser = Browser::signed_in(&gateway, &cookie, CookieFormat::Base64).await;
    let jar_before = browser.jar.clone();
    for outcome in ["revoked", "already-ended"] {
        let request = gateway.request("POST", "/logout").bearer(&bearer.access_token);
        assert_success(&request.send().await, "/logout", bearer.user_id, outcome);
        browser.jar = jar_before.clone();
        let reply = browser.logout("/api/v1/auth/logout").await;
        assert_success(&reply, "/api/v1/auth/logout", cookie.user_id, outcome);
        assert!(browser.jar.is_empty());
    }
    assert!(!project.gotrue.is_alive(&bearer).await && !project.gotrue.is_alive(&cookie).await);
}

#[tokio::test]
async fn an_expired_session_is_refreshed_then_revoked() {
    let project = Project::lock().await;
    let lifetime = project.sign_in().await.expires_in;
    // The gateway's clock is so far ahead that for the gateway a new token of GoTrue has expired already.
    let gateway = project.start_gateway(lifetime + 60).await;
    for scope in SCOPES {
        let [this, other] = [project.sign_in().await, project.sign_in().await];
        let stranger = project.sign_in_stranger().await;
        let request = gateway.request("POST", "/logout").bearer(&this.access_token);
        assert_error(&request.send().await, 401, "NOT_AUTHENTICATED", Some("expired"));
        assert!(
            project.gotrue.is_alive(&this).await,
            "the gateway cannot refresh a session of which it has only the access token"
        );
        let mut browser = Browser::signed_in(&gateway, &this, CookieFormat::Base64).await;
        let reply = browser.logout(&format!("/api/auth/logout?scope={scope}")).await;
        assert_success(&reply, "/api/auth/logout", this.user_id, "revoked");
        assert_alive_after(&project, [&this, &other, &stranger], scope, "expired").await;
    }
}

#[tokio::test]
async fn a_session_that_gotrue_has_forgotten_is_already_ended() {
    let project = Project::lock().await;
    let gateway = project.start_gateway(0).await;
    let [this, other] = [project.sign_in().await, project.sign_in().await];
    let mut browser = Browser::signed_in(&gateway, &this, CookieFormat::Base64).await;
    project.gotrue.logout(&this).await;
    let ask = async |target: &str| -> Reply {
        gateway.request("POST", target).bearer(&this.access_token).send().await
    };
    let reply = ask("/logout?scope=global").await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("not_found"));
    assert!(
        project.gotrue.is_alive(&other).await,
        "a token of an ended session ends no other session"
    );
    assert_success(&ask("/logout").await, "/logout", this.user_id, "already-ended");
    let reply = browser.logout("/logout").await;
    assert_success(&reply, "/logout", this.user_id, "already-ended");
    assert!(browser.jar.is_empty() && project.gotrue.is_alive(&other).await);
}

#[tokio::test]
async fn a_token_signed_with_another_key_ends_nothing() {
    let project = Project::lock().await;
    let gateway = project.start_gateway(0).await;
    let genuine = project.sign_in().await;
    let forged = sign_with_another_key(&genuine.access_token);
    for scope in SCOPES {
        let target = format!("/api/auth/logout?scope={scope}");
        let reply = gateway.request("POST", &target).bearer(&forged).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    }
    let request = gateway.request("GET", "/api/auth/verify").bearer(&forged);
    assert_eq!(request.send().await.status, 401);
    assert!(project.gotrue.is_alive(&genuine).await);
    assert_eq!(gateway.verify(&genuine).await, 200, "the genuine token is still accepted");
}

/// A token with the same header and claims as `token`, signed with a new key.
fn sign_with_another_key(token: &str) -> String {
    let (message, _) = token.rsplit_once('.').unwrap();
    let header = BASE64_URL_SAFE_NO_PAD.decode(message.split('.').next().unwrap()).unwrap();
    let symmetric = serde_json::from_slice::<serde_json::Value>(&header).unwrap()["alg"] == "HS256";
    let (key, algorithm) = if symmetric {
        (EncodingKey::from_secret(b"another secret with 32 bytes or more"), Algorithm::HS256)
    } else {
        let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = signature::EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new());
        (EncodingKey::from_ec_der(document.unwrap().as_ref()), Algorithm::ES256)
    };
    format!("{message}.{}", crypto::sign(message.as_bytes(), &key, algorithm).unwrap())
}
