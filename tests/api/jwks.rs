//! Section 8 of the contract: the key set, seen through a gateway whose GoTrue rotates its keys. The
//! schedule itself is tested beside the code, on a paused clock.

mod key_sets;

use std::time::Duration;

use gotrue_mock::{Algorithm, TEST_SECRET};
use serde_json::json;
use tokio::{task::JoinSet, time::timeout};

use crate::harness::{
    Form, Request, Setup, Stage, assert_error, claims_of, eventually, forged, hs256,
    session_cookies,
};

const KEY_SET: &str = ".well-known/jwks.json";

#[tokio::test]
async fn a_rotated_key_is_fetched_once_and_the_old_one_is_good_as_long_as_it_is_published() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256] {
        for kept in [true, false] {
            let stage = Setup::new().algorithm(algorithm).start().await;
            let (old, unseen) = (stage.sign_up(), stage.sign_up());
            assert_eq!(stage.verify(&old).await, 200);
            assert_eq!(stage.calls(KEY_SET).len(), 1);
            let mock = &stage.mock;
            let rotated = if kept { mock.rotate_keys_keeping_old() } else { mock.rotate_keys() };
            rotated.unwrap();
            let new = stage.sign_up();
            assert_eq!(stage.verify(&old).await, 200, "nobody knows yet");
            let ask = || stage.verify(&new);
            assert_eq!(tokio::join!(ask(), ask(), ask(), ask()), (200, 200, 200, 200));
            assert_eq!(stage.calls(KEY_SET).len(), 2, "all share one");
            assert_eq!(stage.post("/logout").bearer(&new.access_token).send().await.status, 200);
            assert!(!stage.alive(&new));
            // The one had been verified before, the other not.
            for tokens in [&old, &unseen] {
                let status = if kept { 200 } else { 401 };
                assert_eq!(stage.verify(tokens).await, status, "{algorithm}, kept: {kept}");
                let reply = stage.post("/logout").bearer(&tokens.access_token).send().await;
                assert_eq!(reply.status, status, "{algorithm}, kept: {kept}");
                assert_eq!(stage.alive(tokens), !kept);
            }
            assert_eq!(stage.calls(KEY_SET).len(), 2);
        }
    }
}

/// A logout or a forward-auth, by Bearer or by cookie.
fn asking(stage: &Stage, token: &str, n: usize) -> Request {
    let request = match n % 4 {
        0 | 1 => stage.post("/logout"),
        _ => stage.get("/api/auth/verify"),
    };
    match n % 2 {
        0 => request.bearer(token),
        _ => request.cookies(&session_cookies("sb-127-auth-token", token, "none", Form::Base64)),
    }
}

#[tokio::test]
async fn a_thousand_made_up_keys_cause_one_fetch_and_delay_no_token_whose_key_is_known() {
    let stage = Stage::with(&[("upstream-timeout", "1h")]).await;
    let (known, owner) = (stage.sign_up(), stage.sign_up());
    stage.fault(json!({"operation": "jwks", "kind": "hang"}));
    let claims = claims_of(&owner.access_token).to_string();
    let made_up =
        |n| forged(&json!({"alg": "ES256", "kid": format!("made-up-{n}")}).to_string(), &claims);
    let mut waiting = JoinSet::new();
    for n in 0..1000 {
        waiting.spawn(asking(&stage, &made_up(n), n).send());
    }
    eventually("it is fetching", || async { stage.calls(KEY_SET).len() == 2 }).await;
    assert_eq!(stage.verify(&known).await, 200);
    assert_eq!(stage.post("/logout").bearer(&known.access_token).send().await.status, 200);
    assert!(!stage.alive(&known));
    assert_eq!(stage.get("/readyz").send().await.status, 200);
    let judged = waiting.try_join_next();
    assert!(judged.is_none(), "the fetch is still under way: {judged:?}");

    // It would hang for the whole budget; now it fails, and nobody waits for another.
    stage.stop_mock();
    while let Some(reply) = waiting.join_next().await {
        assert_error(&reply.unwrap(), 401, "NOT_AUTHENTICATED", Some("invalid"));
    }
    for n in 1000..1020 {
        let reply = asking(&stage, &made_up(n), n).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
    }
    assert_eq!(stage.calls(KEY_SET).len(), 2);
    assert!(stage.alive(&owner));
    assert_eq!(stage.verify(&owner).await, 200, "nor is the owner of the session locked out");
}

#[tokio::test]
async fn a_key_that_replaces_another_at_once_waits_for_the_half_minute_after_a_made_up_one() {
    let stage = Stage::new().await;
    let claims = claims_of(&stage.sign_up().access_token).to_string();
    let made_up = forged(r#"{"alg":"ES256","kid":"made-up"}"#, &claims);
    assert_eq!(asking(&stage, &made_up, 0).send().await.status, 401);
    assert_eq!(stage.calls(KEY_SET).len(), 2);
    stage.mock.rotate_keys().unwrap();
    assert_eq!(stage.verify(&stage.sign_up()).await, 401);
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

#[tokio::test]
async fn an_unknown_key_beside_a_token_whose_key_is_known_delays_no_verify() {
    let stage = Stage::with(&[("upstream-timeout", "1h")]).await;
    let (known, owner) = (stage.sign_up(), stage.sign_up());
    stage.fault(json!({"operation": "jwks", "kind": "hang"}));
    let claims = claims_of(&owner.access_token).to_string();
    let made_up = forged(r#"{"alg":"ES256","kid":"made-up"}"#, &claims);
    let cookies = session_cookies("sb-127-auth-token", &made_up, "none", Form::Base64);
    let verify = stage.get("/api/auth/verify").bearer(&known.access_token).cookies(&cookies);
    let reply = timeout(Duration::from_secs(20), verify.send()).await.expect("an answer at once");
    assert_eq!((reply.status, reply.header("x-auth-carrier")), (200, Some("bearer")));
    assert_eq!(stage.calls(KEY_SET).len(), 1, "nor is the key set fetched for it");
}

#[tokio::test]
async fn an_algorithm_that_the_operator_left_out_is_refused() {
    let flags = [("jwt-algorithms", "ES256"), ("supabase-jwt-secret", TEST_SECRET)];
    for flags in [&flags[..], &flags[..1]] {
        let stage = Stage::with(flags).await;
        let tokens = stage.sign_up();
        let token = hs256(&claims_of(&tokens.access_token), TEST_SECRET);
        for request in [stage.post("/logout"), stage.get("/api/auth/verify")] {
            let reply = request.bearer(&token).send().await;
            assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
        }
        assert_eq!(stage.asked(), 0, "nor is GoTrue asked");
        assert_eq!(stage.verify(&tokens).await, 200);
    }
}
