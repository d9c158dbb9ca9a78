//! What the gateway does to sessions, told by GoTrue itself: against the project that
//! `make test-supabase` is given, and in every run of the tests against the mock.
//!
//! Only what GoTrue offers to anybody is used: sign-up, sign-in, refresh, `GET` and `PUT /user`. A test
//! that needs more than that runs on the mock alone, and says so.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper that fails, fails its test"
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

/// Whether this session, the user's other one and a stranger's live on after a scope.
fn who_lives(scope: &str) -> [bool; 3] {
    match scope {
        "local" => [false, true, true],
        "others" => [true, false, true],
        _ => [false, false, true],
    }
}

async fn assert_lives(project: &Project, sessions: [&Session; 3], scope: &str, case: &str) {
    for (session, lives) in sessions.into_iter().zip(who_lives(scope)) {
        assert_eq!(project.gotrue.alive(session).await, lives, "{scope} {case}");
    }
    // A refresh says the same, and goes on where it may.
    for (session, lives) in sessions.into_iter().zip(who_lives(scope)) {
        assert_eq!(project.gotrue.refresh(session).await.is_some(), lives, "{scope} {case}");
    }
}

#[tokio::test]
async fn each_scope_by_bearer_ends_what_it_names() {
    let project = Project::now().await;
    for (scope, route) in SCOPES.into_iter().zip(LOGOUT_PATHS) {
        // A gateway of its own: after a logout of all or other sessions, a gateway refuses the user's
        // tokens of that second.
        let gateway = project.gateway(0).await;
        let [this, other] = [project.sign_in().await, project.sign_in().await];
        let stranger = project.sign_in_stranger().await;
        assert_eq!(gateway.verify(&this).await, 200);
        let target = format!("{route}?scope={scope}");
        let reply = gateway.request("POST", &target).bearer(&this.access_token).send().await;
        assert_success(&reply, route, this.user_id, "revoked");
        assert_lives(&project, [&this, &other, &stranger], scope, "by bearer").await;
        let expected = if scope == "others" { 200 } else { 401 };
        assert_eq!(gateway.verify(&this).await, expected, "{scope}");
        assert_eq!(gateway.verify(&stranger).await, 200, "{scope}");
    }
}

#[tokio::test]
async fn each_scope_by_cookie_ends_what_it_names_and_empties_the_browser() {
    let project = Project::now().await;
    let gateway = project.gateway(0).await;
    for (scope, form) in
        SCOPES.into_iter().zip([CookieFormat::Base64, CookieFormat::Raw, CookieFormat::Chunked])
    {
        let [this, other] = [project.sign_in().await, project.sign_in().await];
        let stranger = project.sign_in_stranger().await;
        let mut browser = Browser::signed_in(&gateway, &this, form).await;
        let reply = browser.request("POST", "/api/auth/logout").send().await;
        assert_error(&reply, 403, "CSRF_FAILED", Some("missing"));
        assert!(project.gotrue.alive(&this).await, "without a CSRF token nothing ends");
        let reply = browser.logout(&format!("/api/auth/logout?scope={scope}")).await;
        assert_success(&reply, "/api/auth/logout", this.user_id, "revoked");
        assert_eq!(browser.jar.is_empty(), scope != "others", "{:?}", browser.jar.names());
        assert_lives(&project, [&this, &other, &stranger], scope, "by cookie").await;
    }
}

#[tokio::test]
async fn a_second_logout_finds_the_session_ended() {
    let project = Project::now().await;
    let gateway = project.gateway(0).await;
    let (bearer, cookie) = (project.sign_in().await, project.sign_in().await);
    let mut browser = Browser::signed_in(&gateway, &cookie, CookieFormat::Base64).await;
    let ended_before = browser.jar.clone();
    for outcome in ["revoked", "already-ended"] {
        let request = gateway.request("POST", "/logout").bearer(&bearer.access_token);
        assert_success(&request.send().await, "/logout", bearer.user_id, outcome);
        browser.jar = ended_before.clone();
        let reply = browser.logout("/api/v1/auth/logout").await;
        assert_success(&reply, "/api/v1/auth/logout", cookie.user_id, outcome);
        assert!(browser.jar.is_empty());
    }
    assert!(!project.gotrue.alive(&bearer).await && !project.gotrue.alive(&cookie).await);
}

#[tokio::test]
async fn an_expired_session_is_refreshed_then_revoked() {
    let project = Project::now().await;
    let lifetime = project.sign_in().await.expires_in;
    // For this gateway it is later: what GoTrue issues now has expired.
    let gateway = project.gateway(lifetime + 60).await;
    for scope in SCOPES {
        let [this, other] = [project.sign_in().await, project.sign_in().await];
        let stranger = project.sign_in_stranger().await;
        let request = gateway.request("POST", "/logout").bearer(&this.access_token);
        assert_error(&request.send().await, 401, "NOT_AUTHENTICATED", Some("expired"));
        assert!(project.gotrue.alive(&this).await, "nothing can refresh a Bearer alone");
        let mut browser = Browser::signed_in(&gateway, &this, CookieFormat::Base64).await;
        let reply = browser.logout(&format!("/api/auth/logout?scope={scope}")).await;
        assert_success(&reply, "/api/auth/logout", this.user_id, "revoked");
        assert_lives(&project, [&this, &other, &stranger], scope, "expired").await;
    }
}

#[tokio::test]
async fn a_session_that_gotrue_has_forgotten_is_already_ended() {
    let project = Project::now().await;
    let gateway = project.gateway(0).await;
    let [this, other] = [project.sign_in().await, project.sign_in().await];
    let mut browser = Browser::signed_in(&gateway, &this, CookieFormat::Base64).await;
    project.gotrue.logout(&this).await;
    let ask = async |target: &str| -> Reply {
        gateway.request("POST", target).bearer(&this.access_token).send().await
    };
    let reply = ask("/logout?scope=global").await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("not_found"));
    assert!(project.gotrue.alive(&other).await, "GoTrue ends nobody by a dead session");
    assert_success(&ask("/logout").await, "/logout", this.user_id, "already-ended");
    let reply = browser.logout("/logout").await;
    assert_success(&reply, "/logout", this.user_id, "already-ended");
    assert!(browser.jar.is_empty() && project.gotrue.alive(&other).await);
}

#[tokio::test]
async fn a_token_signed_with_another_key_ends_nothing() {
    let project = Project::now().await;
    let gateway = project.gateway(0).await;
    let genuine = project.sign_in().await;
    let forged = signed_anew(&genuine.access_token);
    for scope in SCOPES {
        let target = format!("/api/auth/logout?scope={scope}");
        let reply = gateway.request("POST", &target).bearer(&forged).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    }
    let request = gateway.request("GET", "/api/auth/verify").bearer(&forged);
    assert_eq!(request.send().await.status, 401);
    assert!(project.gotrue.alive(&genuine).await);
    assert_eq!(gateway.verify(&genuine).await, 200, "and locks nobody out");
}

/// The same header and claims under a key of the test's own.
fn signed_anew(token: &str) -> String {
    let (message, _) = token.rsplit_once('.').unwrap();
    let header = BASE64_URL_SAFE_NO_PAD.decode(message.split('.').next().unwrap()).unwrap();
    let symmetric = serde_json::from_slice::<serde_json::Value>(&header).unwrap()["alg"] == "HS256";
    let (key, algorithm) = if symmetric {
        (EncodingKey::from_secret(b"a secret of somebody else, 32 bytes"), Algorithm::HS256)
    } else {
        let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = signature::EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new());
        (EncodingKey::from_ec_der(document.unwrap().as_ref()), Algorithm::ES256)
    };
    format!("{message}.{}", crypto::sign(message.as_bytes(), &key, algorithm).unwrap())
}
