//! What may be queued, and how much of it.

use gotrue_mock::{Algorithm, Tokens};
use serde_json::json;

use super::{durable, fails, log_out, waiting, worked_off};
use crate::harness::{Browser, Form, Request, Setup, Stage, assert_error, claims_of, hs256};

#[tokio::test]
async fn a_4xx_without_gotrues_code_is_failed_and_not_queued() {
    let (stage, _directory) = durable(Setup::new()).await;
    for (status, code) in [
        (400, None),
        (401, None),
        (413, None),
        (431, None),
        (404, None),
        (400, Some("no_such_code")),
    ] {
        let tokens = stage.sign_up();
        stage.fault(json!({"operation": "logout", "kind": "status", "status": status,
            "code": code, "times": 1}));
        let reply = stage.post("/logout").bearer(&tokens.access_token).send().await;
        assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
        assert_eq!(reply.header("x-logout-outcome"), Some("failed"), "{status}");
        assert_eq!(stage.verify(&tokens).await, 401, "{status}: its owner asked to leave");
    }
    assert_eq!(waiting(&stage).await, 0);
}

#[tokio::test]
async fn a_failed_logout_of_an_unproven_session_is_not_queued() {
    let no_keys = json!({"operation": "jwks", "kind": "status", "status": 500});
    for (setup, faults) in [
        (Setup::new().algorithm(Algorithm::Hs256), vec![]),
        (Setup::new().unready(), vec![no_keys]),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let store = format!("file:{}", directory.path().join("store").display());
        let setup = setup.flag("store", &store).flag("admin-bind", "127.0.0.1:0");
        let stage = setup.start_with(&faults).await;
        stage.fault(fails(503));
        let owner = stage.sign_up();
        let forged = hs256(&claims_of(&owner.access_token), "a-secret-of-someone-else-0123456789");
        for token in [&owner.access_token, &forged] {
            for scope in ["local", "global", "others"] {
                let target = format!("/logout?scope={scope}");
                let reply = stage.post(&target).bearer(token).send().await;
                assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_unavailable"));
                assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
            }
        }
        assert_eq!(waiting(&stage).await, 0);
        let metrics = Request::new(stage.admin_address.unwrap(), "GET", "/metrics").send().await;
        assert!(metrics.text().contains("\nlogout_gateway_revocations 0\n"));
        assert_eq!(stage.report("/failures").await["failures"], json!([]));
    }
}

#[tokio::test]
async fn a_proven_session_is_queued_where_gotrue_alone_could_judge_it() {
    let (stage, _directory) = durable(Setup::new().algorithm(Algorithm::Hs256)).await;
    let tokens = stage.sign_up();
    assert_eq!(stage.verify(&tokens).await, 200, "GoTrue vouches for it");
    stage.fault(fails(503));
    log_out(&stage, &tokens, "/logout").await;
    assert_eq!(stage.verify(&tokens).await, 401, "and so it is on the list");
    stage.mock.clear_faults();
    worked_off(&stage).await;
    assert!(!stage.alive(&tokens));
}

#[tokio::test]
async fn one_account_with_made_up_refresh_tokens_takes_one_place() {
    let (stage, _directory) = durable(Setup::new()).await;
    stage.fault(fails(503));
    let tokens = stage.sign_up();
    let victim = stage.sign_up();
    for n in 0..20 {
        let refresh_token = format!("made-up-{n}");
        let made_up = Tokens { refresh_token, ..tokens.clone() };
        let mut browser = Browser::signed_in(&stage, &made_up, Form::Base64).await;
        assert_eq!(browser.logout("/logout").await.status, 202);
    }
    assert_eq!(waiting(&stage).await, 1);
    assert_eq!(stage.report("/queue").await["entries"][0]["credentials"], json!(3));
    log_out(&stage, &victim, "/logout").await;
    stage.mock.clear_faults();
    worked_off(&stage).await;
    assert!(!stage.alive(&tokens) && !stage.alive(&victim));
}

#[tokio::test]
async fn one_user_has_sixty_four_sessions_in_the_queue_at_most() {
    let (stage, _directory) = durable(Setup::new()).await;
    stage.fault(fails(503));
    let first = stage.sign_up();
    log_out(&stage, &first, "/logout").await;
    for _ in 1..64 {
        log_out(&stage, &stage.sign_in_again(&first), "/logout").await;
    }
    let further = stage.sign_in_again(&first);
    let reply = stage.post("/logout").bearer(&further.access_token).send().await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_unavailable"));
    assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
    assert_eq!(stage.verify(&further).await, 401, "it is on the list all the same");
    // A session that is in the queue already may ask for more.
    log_out(&stage, &first, "/logout?scope=global").await;
    let other_user = stage.sign_up();
    log_out(&stage, &other_user, "/logout").await;
    assert_eq!(waiting(&stage).await, 66);
}

#[tokio::test]
async fn a_full_queue_fails_logouts_and_leaves_verify_alone() {
    let (stage, _directory) = durable(Setup::new().flag("queue-max-bytes", "1MiB")).await;
    stage.fault(fails(503));
    let large = |stage: &Stage| {
        let tokens = stage.sign_up();
        let mut claims = claims_of(&tokens.access_token);
        claims["user_metadata"] = json!({"text": "x".repeat(60_000)});
        Tokens { access_token: stage.mock.sign(&claims).unwrap(), ..tokens }
    };
    let mut queued = 0;
    let refused = loop {
        let tokens = large(&stage);
        let reply = stage.post("/logout").bearer(&tokens.access_token).send().await;
        if reply.status != 202 {
            assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
            break tokens;
        }
        queued += 1;
        assert!(queued < 20, "the bytes have no bound");
    };
    assert!(queued > 5, "{queued}");
    assert_eq!(stage.verify(&refused).await, 401, "the list stays writable");
    assert_eq!(stage.verify(&stage.sign_up()).await, 200);
    stage.mock.clear_faults();
    worked_off(&stage).await;
    stage.fault(fails(503));
    log_out(&stage, &large(&stage), "/logout").await;
}
