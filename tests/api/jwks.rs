//! Section 8 of the contract: the key set, seen through a gateway whose GoTrue rotates its keys. The
//! schedule itself is tested beside the code, on a paused clock.

use logout_gateway::mock::{Algorithm, TEST_SECRET};
use serde_json::json;

use crate::harness::{Setup, Stage, assert_error, claims_of, eventually, forged, hs256};

const KEY_SET: &str = ".well-known/jwks.json";

#[tokio::test]
async fn a_rotated_key_is_fetched_once_and_the_old_one_is_refused() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256] {
        let stage = Setup::new().algorithm(algorithm).start().await;
        let old = stage.sign_up();
        assert_eq!(stage.verify(&old).await, 200);
        assert_eq!(stage.calls(KEY_SET).len(), 1);
        stage.mock.rotate_keys().unwrap();
        let new = stage.sign_up();
        assert_eq!(stage.verify(&old).await, 200, "nobody knows yet");
        let ask = || stage.verify(&new);
        assert_eq!(tokio::join!(ask(), ask(), ask(), ask()), (200, 200, 200, 200));
        assert_eq!(stage.calls(KEY_SET).len(), 2, "all share one");
        assert_eq!(stage.verify(&old).await, 401, "although it had been verified before");
        assert_eq!(stage.post("/logout").bearer(&new.access_token).send().await.status, 200);
        assert!(!stage.alive(&new));
    }
}

#[tokio::test]
async fn made_up_keys_cause_one_fetch_in_thirty_seconds() {
    let stage = Stage::new().await;
    let tokens = stage.sign_up();
    let claims = claims_of(&tokens.access_token).to_string();
    for n in 0..20 {
        let token = forged(&format!(r#"{{"alg":"ES256","kid":"made-up-{n}"}}"#), &claims);
        let reply = stage.post("/logout").bearer(&token).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    }
    assert_eq!(stage.calls(KEY_SET).len(), 2);
    stage.mock.rotate_keys().unwrap();
    assert_eq!(stage.verify(&stage.sign_up()).await, 401, "not before the half minute is over");
    assert_eq!(stage.calls(KEY_SET).len(), 2);
}

#[tokio::test]
async fn a_known_key_under_the_name_of_another_algorithm_causes_no_fetch() {
    let stage = Stage::new().await;
    let tokens = stage.sign_up();
    let kid = jsonwebtoken::decode_header(&tokens.access_token).unwrap().kid.unwrap();
    let claims = claims_of(&tokens.access_token).to_string();
    for algorithm in ["RS256", "EdDSA"] {
        let header = json!({"alg": algorithm, "kid": kid}).to_string();
        let reply = stage.post("/logout").bearer(&forged(&header, &claims)).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    }
    assert_eq!(stage.calls(KEY_SET).len(), 1);
    assert!(stage.alive(&tokens));
}

#[tokio::test]
async fn a_token_whose_key_is_known_never_waits_for_a_fetch() {
    let stage = Stage::with(&[("upstream-timeout", "1h")]).await;
    let known = stage.sign_up();
    stage.fault(json!({"operation": "jwks", "kind": "hang"}));
    let claims = claims_of(&known.access_token).to_string();
    let unknown = forged(r#"{"alg":"ES256","kid":"made-up"}"#, &claims);
    let waiting = stage.get("/api/auth/verify").bearer(&unknown).send();
    let others = async {
        eventually("it is fetching", || async { stage.calls(KEY_SET).len() == 2 }).await;
        assert_eq!(stage.verify(&known).await, 200);
        assert_eq!(stage.post("/logout").bearer(&known.access_token).send().await.status, 200);
        assert!(!stage.alive(&known));
    };
    tokio::select! {
        reply = waiting => panic!("answered without the keys: {reply:?}"),
        () = others => {}
    }
    // The fetch would hang for the whole budget: what waits for it is given up.
    stage.stop_mock();
}

#[tokio::test]
async fn with_the_secret_it_is_ready_without_any_keys() {
    let down = json!({"operation": "jwks", "kind": "status", "status": 500});
    let setup = Setup::new().algorithm(Algorithm::Hs256).flag("supabase-jwt-secret", TEST_SECRET);
    let stage = setup.start_with(std::slice::from_ref(&down)).await;
    let tokens = stage.sign_up();
    assert_eq!(stage.verify(&tokens).await, 200);
    let forged = hs256(&claims_of(&tokens.access_token), "a-secret-of-someone-else-0123456789");
    let reply = stage.post("/logout").bearer(&forged).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    assert_eq!(stage.asked(), 0, "it is judged here");
    assert_eq!(stage.post("/logout").bearer(&tokens.access_token).send().await.status, 200);
    assert!(!stage.alive(&tokens));
}

#[tokio::test]
async fn keys_that_come_late_make_it_ready_by_itself() {
    let down = json!({"operation": "jwks", "kind": "status", "status": 500, "times": 1});
    let stage = Setup::new().unready().start_with(&[down]).await;
    eventually("it failed", || async { !stage.calls(KEY_SET).is_empty() }).await;
    eventually("ready", || async { stage.get("/readyz").send().await.status == 200 }).await;
    assert_eq!(stage.verify(&stage.sign_up()).await, 200);
    assert_eq!(stage.calls(KEY_SET).len(), 2);
}
