//! A seed: everything that the mock makes up is the same in every run.

use axum::http::Method;
use gotrue_mock::{Algorithm, Options, Settings};
use serde_json::{Value, json};

use crate::harness::{PASSWORD, RunningMock};

/// Signs up by mail, enrols a second factor, begins PKCE, signs in at a provider and creates a user as an
/// administrator. Returns everything that the mock answered and sent.
async fn story(seed: Option<u64>) -> String {
    let settings = Settings { confirms_emails: false, ..Settings::default() };
    let options = Options { seed, settings, algorithm: Algorithm::EdDsa, ..Options::default() };
    // The port differs from run to run, and is a part of links and claims.
    let options = Options { external_url: Some("http://mock.test".to_owned()), ..options };
    let mock = RunningMock::start(options).await;
    let mut answers = Vec::new();
    let user = json!({"email": "ann@example.com", "password": PASSWORD});
    answers.push(mock.post("/auth/v1/signup", user).await.body);
    let mails = mock.get("/mock/mails").await.json();
    let code = json!({"email": "ann@example.com", "token": mails[0]["token"], "type": "signup"});
    let session = mock.post("/auth/v1/verify", code).await;
    let token = session.json()["access_token"].as_str().unwrap().to_owned();
    answers.push(session.body);
    let factor = json!({"factor_type": "totp", "friendly_name": "phone"});
    let factor = mock.send_with_token(Method::POST, "/auth/v1/factors", &token, Some(factor)).await;
    let id = factor.json()["id"].as_str().unwrap().to_owned();
    answers.push(factor.body);
    let challenge = format!("/auth/v1/factors/{id}/challenge");
    answers.push(mock.send_with_token(Method::POST, &challenge, &token, None).await.body);
    let challenge = "x".repeat(43);
    let pkce = json!({"email": "ann@example.com", "code_challenge": challenge, "code_challenge_method": "s256"});
    answers.push(mock.post("/auth/v1/recover", pkce).await.body);
    let link = mock.get("/mock/mails").await.json()[1]["link"].as_str().unwrap().to_owned();
    let url = mock.mock.url().to_owned();
    answers
        .push(format!("{:?}", mock.get(link.strip_prefix(&url).unwrap()).await.header("location")));
    let authorize = "/auth/v1/authorize?provider=github&user=bob@example.com";
    let callback = mock.get(authorize).await.header("location").unwrap().to_owned();
    answers.push(format!(
        "{:?}",
        mock.get(callback.strip_prefix(&url).unwrap()).await.header("location")
    ));
    let key = mock.mock.project_keys().unwrap().service_role;
    let link = json!({"type": "invite", "email": "eve@example.com"});
    answers.push(
        mock.send_with_token(Method::POST, "/auth/v1/admin/generate_link", &key, Some(link))
            .await
            .body,
    );
    let rows: Vec<Value> = [
        mock.get("/mock/users").await.json(),
        mock.get("/mock/sessions").await.json(),
        mock.get("/mock/mails").await.json(),
    ]
    .into();
    answers.push(json!(rows).to_string());
    answers.push(callback);
    answers.join("\n")
}

#[tokio::test]
async fn a_seed_makes_every_id_code_token_and_secret_the_same_in_every_run() {
    let first = story(Some(7)).await;
    assert!(
        first.contains("access_token") && first.contains("totp") && first.contains("code="),
        "{first}"
    );
    for (ours, again) in first.lines().zip(story(Some(7)).await.lines()) {
        assert_eq!(ours, again);
    }
    assert_ne!(first, story(Some(8)).await);
    assert_ne!(first, story(None).await);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_ids_and_refresh_tokens_in_every_run_and_after_a_reset() {
    let first = RunningMock::start(Options { seed: Some(7), ..Options::default() }).await;
    let again = RunningMock::start(Options { seed: Some(7), ..Options::default() }).await;
    let other = RunningMock::start(Options { seed: Some(8), ..Options::default() }).await;
    let unseeded = RunningMock::start_default().await;
    let ids = |mock: &RunningMock| {
        let session = mock.sign_up();
        (session.user_id, session.session_id, session.refresh_token)
    };
    let expected = ids(&first);
    assert_eq!(ids(&again), expected);
    assert_ne!(ids(&other), expected);
    assert_ne!(ids(&unseeded), expected);
    first.mock.reset();
    assert_eq!(ids(&first), expected);
}
