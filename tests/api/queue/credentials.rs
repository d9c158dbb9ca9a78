//! Which credentials of an entry GoTrue is asked with, and when none of them is left.

use gotrue_mock::Tokens;
use rstest::rstest;
use serde_json::json;

use super::{DAY, assert_queued, durable, fails, failures, log_out, waiting, worked_off};
use crate::harness::{
    Browser, CookieFormat, Request, SECRET, Setup, TestApp, assert_error, eventually,
};

const OTHER_SECRET: &str = "another-secret-0123456789-0123456789";

/// As an app refreshes its session.
async fn refreshed(app: &TestApp, tokens: &Tokens) -> Tokens {
    let address = app.mock.url().trim_start_matches("http://").parse().unwrap();
    let request = Request::new(address, "POST", "/auth/v1/token?grant_type=refresh_token");
    let body = json!({"refresh_token": tokens.refresh_token}).to_string();
    let reply = request.body(body).send().await.json();
    let word = |name: &str| reply[name].as_str().unwrap().to_owned();
    let (access_token, refresh_token) = (word("access_token"), word("refresh_token"));
    Tokens { access_token, refresh_token, ..tokens.clone() }
}

async fn log_out_by_cookie(app: &TestApp, tokens: &Tokens) {
    let mut browser = Browser::signed_in(app, tokens, CookieFormat::Base64).await;
    assert_queued(&browser.logout("/logout").await, "/logout", tokens);
}

fn with_refresh_token(tokens: &Tokens, refresh_token: &str) -> Tokens {
    Tokens { refresh_token: refresh_token.to_owned(), ..tokens.clone() }
}

/// Lets the worker try the first entry, until it has been tried so often.
async fn tried(app: &TestApp, times: u64) {
    for so_often in 1..=times {
        app.advance_time(301);
        let tried = async || {
            let entry = app.admin_json("/queue").await["entries"][0].clone();
            entry["attempts"].as_u64().is_some_and(|attempts| attempts >= so_often)
        };
        eventually("it is tried", tried).await;
    }
}

#[rstest]
#[case::without_a_refresh_token(None)]
#[case::with_one_that_is_refused(Some("made-up"))]
#[tokio::test]
async fn by_a_clock_that_is_ahead_no_token_is_given_up_that_gotrue_takes(
    #[case] refresh_token: Option<&str>,
) {
    let (app, _directory) = durable(Setup::new().gotrue_clock_ahead(-60)).await;
    app.inject_fault(fails(503));
    let tokens = app.sign_up();
    match refresh_token {
        Some(made_up) => log_out_by_cookie(&app, &with_refresh_token(&tokens, made_up)).await,
        None => log_out(&app, &tokens, "/logout").await,
    }
    app.mock.clear_faults();
    // It has expired by the clock of the gateway alone.
    app.advance_time(3570);
    eventually("the session is dead", async || !app.is_alive(&tokens)).await;
    eventually("the entry is done", async || waiting(&app).await == 0).await;
    assert_eq!(failures(&app, &tokens).await.len(), 1, "and nothing more");
}

#[rstest]
#[case::by_bearer(false)]
#[case::by_cookie(true)]
#[tokio::test]
async fn an_unexpired_token_is_tried_again_even_if_gotrue_refused_it(#[case] by_cookie: bool) {
    let (app, _directory) = durable(Setup::new()).await;
    app.inject_fault(fails(503));
    let tokens = app.sign_up();
    if by_cookie {
        log_out_by_cookie(&app, &tokens).await;
    } else {
        log_out(&app, &tokens, "/logout").await;
    }
    app.mock.clear_faults();
    let refused = |operation, status, code| {
        app.inject_fault(json!({"operation": operation, "kind": "status", "status": status,
            "code": code}));
    };
    refused("logout", 403, "bad_jwt");
    refused("token", 400, "refresh_token_not_found");
    tried(&app, 2).await;
    let entry = app.admin_json("/queue").await["entries"][0].clone();
    assert_eq!(entry["reason"], "invalid");
    assert!(app.is_alive(&tokens));
    app.mock.clear_faults();
    app.advance_time(301);
    eventually("the session is dead", async || !app.is_alive(&tokens)).await;
}

#[tokio::test]
async fn a_token_that_has_expired_is_given_up_once_gotrue_says_so() {
    let (app, _directory) = durable(Setup::new()).await;
    app.inject_fault(fails(500));
    let tokens = app.sign_up();
    log_out(&app, &tokens, "/logout").await;
    app.advance_time(3600);
    tried(&app, 2).await;
    assert_eq!(waiting(&app).await, 1, "GoTrue has not said what it thinks of the token");
    let asked = app.gotrue_calls("logout").len();
    app.mock.clear_faults();
    worked_off(&app).await;
    assert_eq!(app.gotrue_calls("logout").len(), asked + 1);
    let failure = failures(&app, &tokens).await.remove(0);
    assert_eq!((&failure["outcome"], &failure["reason"]), (&json!("gave-up"), &json!("expired")));
}

#[tokio::test]
async fn a_stolen_token_that_is_about_to_expire_takes_no_place_of_its_owners() {
    let (app, _directory) = durable(Setup::new()).await;
    let stolen = app.sign_up();
    app.advance_time(3590);
    let owner = refreshed(&app, &stolen).await;
    app.inject_fault(fails(503));
    log_out_by_cookie(&app, &owner).await;
    for n in 0..4 {
        log_out_by_cookie(&app, &with_refresh_token(&stolen, &format!("made-up-{n}"))).await;
    }
    app.advance_time(7200);
    app.mock.clear_faults();
    worked_off(&app).await;
    assert!(!app.is_alive(&owner), "the owner's refresh token was kept");
}

#[tokio::test]
async fn the_limit_of_one_clients_refreshes_holds_up_no_other_entry() {
    let (app, _directory) = durable(Setup::new()).await;
    app.inject_fault(fails(503));
    let (limited, other) = (app.sign_up(), app.sign_up());
    log_out_by_cookie(&app, &limited).await;
    app.advance_time(3600);
    app.mock.clear_faults();
    app.inject_fault(json!({"operation": "token", "kind": "status", "status": 429,
        "headers": {"Retry-After": "1800"}}));
    tried(&app, 1).await;
    let mut once = fails(500);
    once["times"] = json!(1);
    app.inject_fault(once);
    log_out(&app, &app.sign_in_again(&other), "/logout").await;
    app.advance_time(2);
    eventually("the other is done", async || waiting(&app).await == 1).await;
    app.mock.clear_faults();
    app.advance_time(1700);
    assert!(app.is_alive(&limited), "its own time has not come");
    app.advance_time(200);
    eventually("it is done", async || !app.is_alive(&limited)).await;
}

#[tokio::test]
async fn the_limit_of_one_clients_refreshes_holds_up_no_credentials_of_another() {
    let (app, _directory) = durable(Setup::new()).await;
    app.inject_fault(fails(503));
    let owner = app.sign_up();
    log_out_by_cookie(&app, &owner).await;
    log_out_by_cookie(&app, &with_refresh_token(&owner, "made-up")).await;
    app.mock.clear_faults();
    app.inject_fault(json!({"operation": "token", "kind": "status", "status": 429, "times": 1}));
    app.advance_time(3600);
    eventually("the session is dead", async || !app.is_alive(&owner)).await;
    assert_eq!(app.gotrue_calls("token").len(), 2);
}

#[tokio::test]
async fn an_unreadable_entry_that_is_given_up_keeps_its_session_refused() {
    let setup = Setup::new().flag("max-token-lifetime", "1h");
    let (mut app, _directory) = durable(setup).await;
    app.inject_fault(fails(500));
    let tokens = app.sign_up();
    log_out(&app, &tokens, "/logout").await;
    app.restart_gateway(&[("secret", OTHER_SECRET)]);
    app.advance_time(7 * DAY);
    worked_off(&app).await;
    let failure = failures(&app, &tokens).await.remove(0);
    assert_eq!(failure["reason"], "unreadable");
    // What the logout itself had left on the list is over.
    app.advance_time(7200);
    let later = refreshed(&app, &tokens).await;
    let reply = app.get("/api/auth/verify").bearer(&later.access_token).send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("revoked"));
}

#[tokio::test]
async fn a_local_logout_waits_for_no_global_one_that_cannot_be_decrypted() {
    let (mut app, _directory) = durable(Setup::new()).await;
    app.inject_fault(fails(503));
    let tokens = app.sign_up();
    log_out(&app, &tokens, "/logout?scope=global").await;
    app.restart_gateway(&[("secret", OTHER_SECRET)]);
    log_out(&app, &tokens, "/logout").await;
    app.mock.clear_faults();
    app.advance_time(301);
    eventually("the session is dead", async || !app.is_alive(&tokens)).await;
    eventually("all is done", async || waiting(&app).await == 0).await;
}

#[tokio::test]
async fn the_same_tokens_take_one_place_before_and_after_the_secret_changes() {
    let (mut app, _directory) = durable(Setup::new()).await;
    app.inject_fault(fails(503));
    let tokens = app.sign_up();
    log_out(&app, &tokens, "/logout").await;
    app.restart_gateway(&[("secret", OTHER_SECRET), ("secret-previous", SECRET)]);
    log_out(&app, &tokens, "/logout").await;
    assert_eq!(app.admin_json("/queue").await["entries"][0]["credentials"], json!(1));
    // They are sealed with the new one by now.
    app.restart_gateway(&[("secret-previous", "a-third-secret-0123456789-0123456789")]);
    app.mock.clear_faults();
    app.advance_time(301);
    eventually("the session is dead", async || !app.is_alive(&tokens)).await;
}

#[tokio::test]
async fn the_seven_days_begin_again_when_the_user_asks_again() {
    let (app, _directory) = durable(Setup::new()).await;
    app.inject_fault(fails(500));
    let tokens = app.sign_up();
    log_out(&app, &tokens, "/logout").await;
    app.advance_time(6 * DAY);
    let again = refreshed(&app, &tokens).await;
    log_out(&app, &again, "/logout").await;
    app.advance_time(2 * DAY);
    tried(&app, 2).await;
    assert_eq!(waiting(&app).await, 1, "the eighth day is the second");
    app.advance_time(5 * DAY);
    worked_off(&app).await;
    let failure = failures(&app, &tokens).await.remove(0);
    assert_eq!(failure["outcome"], "gave-up");
}

#[tokio::test]
async fn credentials_that_come_while_the_former_are_given_up_are_tried_at_once() {
    let (app, _directory) = durable(Setup::new()).await;
    let once = |mut fault: serde_json::Value| {
        fault["times"] = json!(1);
        app.inject_fault(fault);
    };
    let tokens = app.sign_up();
    app.advance_time(600);
    let later = refreshed(&app, &tokens).await;
    once(fails(500));
    log_out(&app, &tokens, "/logout").await;
    let asked = app.gotrue_calls("logout").len();
    once(json!({"operation": "logout", "kind": "delay", "seconds": 1.5}));
    app.advance_time(3000);
    eventually("the worker asks", async || app.gotrue_calls("logout").len() > asked).await;
    once(fails(500));
    log_out(&app, &later, "/logout").await;
    // No time passes.
    eventually("the session is dead", async || !app.is_alive(&tokens)).await;
    eventually("the entry is done", async || waiting(&app).await == 0).await;
}

#[tokio::test]
async fn a_refresh_token_that_is_too_long_to_be_gotrues_is_not_kept() {
    let (app, _directory) = durable(Setup::new()).await;
    app.inject_fault(fails(503));
    app.inject_fault(json!({"operation": "token", "kind": "status", "status": 503}));
    let tokens = app.sign_up();
    let [longest, longer] =
        [4096, 4097].map(|length| with_refresh_token(&tokens, &"x".repeat(length)));
    log_out_by_cookie(&app, &longest).await;
    log_out_by_cookie(&app, &longer).await;
    let mut expired = Browser::signed_in(&app, &longer, CookieFormat::Base64).await;
    app.advance_time(3600);
    // Nothing could be asked with it.
    let reply = expired.logout("/logout").await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_unavailable"));
    app.mock.clear_faults();
    let before = app.gotrue_calls("token").len();
    worked_off(&app).await;
    assert!(app.is_alive(&tokens));
    let calls = app.gotrue_calls("token").split_off(before);
    assert_eq!(calls.len(), 1, "the longest that is kept");
}

#[tokio::test]
async fn no_old_token_displaces_credentials_that_gotrue_refreshed() {
    let (app, _directory) = durable(Setup::new()).await;
    let owner = app.sign_up();
    app.advance_time(3700);
    app.inject_fault(fails(503));
    // GoTrue refreshes the expired session, and fails at its logout.
    log_out_by_cookie(&app, &owner).await;
    app.inject_fault(json!({"operation": "token", "kind": "status", "status": 503}));
    for n in 0..4 {
        log_out_by_cookie(&app, &with_refresh_token(&owner, &format!("made-up-{n}"))).await;
    }
    app.mock.clear_faults();
    worked_off(&app).await;
    assert!(!app.is_alive(&owner));
    let told = failures(&app, &owner).await;
    assert!(told.iter().all(|line| line["outcome"] == "queued"), "{told:?}");
}
