//! The flags for access tokens, keys and the seed, by what a client of the mock receives.

use std::{io::Write as _, time::UNIX_EPOCH};

use gotrue_mock::{Mock, Options, SigningKeys};
use rstest::rstest;
use serde_json::{Value, json};

use super::running_project::RunningProject;
use crate::harness::claims_of;

const KEYS: &str = include_str!("../../../fixtures/gotrue/signing-keys.json");

/// Signs up. Returns the session.
async fn sign_up(project: &RunningProject) -> Value {
    let body = json!({"email": "ada@example.com", "password": "secret-password-1"}).to_string();
    project.request("POST", "/auth/v1/signup").body(body).send().await.json()
}

fn access_token(session: &Value) -> &str {
    session["access_token"].as_str().unwrap()
}

async fn user_status(project: &RunningProject, token: &str) -> u16 {
    project.request("GET", "/auth/v1/user").bearer(token).send().await.status
}

async fn published_keys(project: &RunningProject) -> Vec<Value> {
    let set = project.request("GET", "/auth/v1/.well-known/jwks.json").send().await.json();
    set["keys"].as_array().unwrap().clone()
}

#[rstest]
#[case::by_default(&[], "ES256")]
#[case::es256(&["--alg", "ES256"], "ES256")]
#[case::rs256(&["--alg", "RS256"], "RS256")]
#[case::eddsa(&["--alg", "EdDSA"], "EdDSA")]
#[tokio::test]
async fn the_algorithm_signs_with_its_test_key_whose_public_part_is_published(
    #[case] flags: &[&str],
    #[case] algorithm: &str,
) {
    let project = RunningProject::start(flags);
    let header = jsonwebtoken::decode_header(access_token(&sign_up(&project).await)).unwrap();
    let test_keys: Value = serde_json::from_str(KEYS).unwrap();
    let test_key = &test_keys[algorithm];
    assert_eq!((json!(header.alg), json!(header.kid)), (json!(algorithm), test_key["kid"].clone()));
    let published = published_keys(&project).await;
    assert_eq!(published.len(), 1, "{published:?}");
    for member in ["alg", "kid", "kty", "x", "y", "n", "e"] {
        assert_eq!(published[0].get(member), test_key.get(member), "{member}");
    }
    assert_eq!(published[0].get("d"), None);
}

#[tokio::test]
async fn a_shared_secret_signs_and_is_not_published() {
    let project = RunningProject::start(&["--alg", "HS256"]);
    let header = jsonwebtoken::decode_header(access_token(&sign_up(&project).await)).unwrap();
    assert_eq!(json!(header.alg), "HS256");
    assert_eq!(published_keys(&project).await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_token_that_a_test_has_signed_with_the_test_keys_is_accepted() {
    let project = RunningProject::start(&[]);
    let session = sign_up(&project).await;
    let user = &session["user"]["id"];
    let claims = json!({"sub": user, "aud": "authenticated", "exp": 4_000_000_000_u64});
    let signing_keys = SigningKeys::from_json(KEYS).unwrap();
    let options = Options { signing_keys, ..Options::default() };
    let signer = Mock::new(options, ([127, 0, 0, 1], 1).into(), || UNIX_EPOCH).unwrap();
    assert_eq!(user_status(&project, &signer.sign(&claims).unwrap()).await, 200);
}

#[tokio::test]
async fn the_signing_keys_of_a_file_take_the_place_of_the_test_keys() {
    let mut key = serde_json::from_str::<Value>(KEYS).unwrap()["EdDSA"].clone();
    key["kid"] = json!("own-key");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "{}", json!({"keys": [key]})).unwrap();
    let path = file.path().to_str().unwrap();
    let project = RunningProject::start(&["--alg", "EdDSA", "--signing-keys", path]);
    let header = jsonwebtoken::decode_header(access_token(&sign_up(&project).await)).unwrap();
    assert_eq!(header.kid.as_deref(), Some("own-key"));
    let published = published_keys(&project).await;
    assert_eq!((published.len(), &published[0]["kid"]), (1, &json!("own-key")));
}

#[rstest]
#[case::none(&["--issuer", "none"], None)]
#[case::another(&["--issuer", "https://auth.example.com"], Some("https://auth.example.com"))]
#[case::its_own(&[], Some("<url>/auth/v1"))]
#[tokio::test]
async fn an_access_token_has_the_issuer_of_the_flag(
    #[case] flags: &[&str],
    #[case] expected: Option<&str>,
) {
    let project = RunningProject::start(flags);
    let claims = claims_of(access_token(&sign_up(&project).await));
    let expected =
        expected.map(|issuer| issuer.replace("<url>", &project.variables["SUPABASE_URL"]));
    assert_eq!(claims.get("iss"), expected.map(Value::from).as_ref());
}

#[rstest]
#[case::two_seconds(&["--token-lifetime", "2s"], 2)]
#[case::an_hour_by_default(&[], 3600)]
#[tokio::test]
async fn an_access_token_expires_after_its_lifetime(#[case] flags: &[&str], #[case] seconds: u64) {
    let project = RunningProject::start(flags);
    let session = sign_up(&project).await;
    let token = access_token(&session);
    let claims = claims_of(token);
    let lifetime = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!((lifetime, &session["expires_in"]), (seconds, &json!(seconds)));
    let advance = json!({"advance": format!("{}s", seconds + 1)}).to_string();
    assert_eq!(project.request("POST", "/mock/clock").body(advance).send().await.status, 200);
    assert_eq!(user_status(&project, token).await, 403);
}

#[tokio::test]
async fn the_same_seed_makes_the_same_user_session_and_refresh_token_and_the_default_is_one() {
    let ids = async |flags: &[&str]| {
        let session = sign_up(&RunningProject::start(flags)).await;
        let claims = claims_of(access_token(&session));
        (claims["sub"].clone(), claims["session_id"].clone(), session["refresh_token"].clone())
    };
    let seeded = ids(&["--seed"]).await;
    assert_eq!(ids(&["--seed", "1"]).await, seeded);
    assert_ne!(ids(&["--seed", "2"]).await, seeded);
    assert_ne!(ids(&[]).await, seeded);
}
