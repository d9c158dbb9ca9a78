//! Section 9 of the contract: which logouts enter the revocation list, and which tokens the list refuses.

mod clocks;
mod confirmed;
mod unproven;

use std::time::{Duration, UNIX_EPOCH};

use gotrue_mock::Tokens;
use serde_json::{Value, json};

use crate::harness::{
    Browser, CookieFormat, Reply, Setup, TestApp, assert_error, assert_success, claims_of,
};

/// A session whose first access token has expired, and whose owner has a newer access token.
struct LongLived {
    /// The session with its first access token, which has expired.
    expired: Tokens,
    /// The same session with its current access token.
    current: Tokens,
    /// Another session of the user that owns the long-lived session.
    second: Tokens,
}

fn start_long_lived_session(app: &TestApp) -> LongLived {
    let expired = app.sign_up();
    app.advance_time(3600);
    let mut claims = claims_of(&expired.access_token);
    claims["iat"] = json!(app.clock.now());
    claims["exp"] = json!(app.clock.now() + 3600);
    let access_token = app.mock.sign(&claims).unwrap();
    let current = Tokens { access_token, ..expired.clone() };
    let sessions = LongLived { second: app.sign_in_again(&expired), expired, current };
    app.advance_time(1);
    sessions
}

/// Sends a logout by cookie with the expired access token of `expired` and with `refresh_token`.
async fn log_out_with_expired_token(
    app: &TestApp,
    expired: &Tokens,
    refresh_token: &str,
    scope: &str,
) -> Reply {
    let tokens = Tokens { refresh_token: refresh_token.to_owned(), ..expired.clone() };
    let mut browser = Browser::signed_in(app, &tokens, CookieFormat::Base64).await;
    browser.logout(&format!("/logout?scope={scope}")).await
}

async fn assert_verified(app: &TestApp, sessions: &LongLived, case: &str) {
    for tokens in [&sessions.current, &sessions.second] {
        assert_eq!(app.verify(tokens).await, 200, "{case}");
        assert!(app.is_alive(tokens), "{case}");
    }
}

#[tokio::test]
async fn an_expired_token_beside_a_foreign_refresh_token_locks_no_session_out() {
    let app = TestApp::new().await;
    for scope in ["local", "others", "global"] {
        let sessions = start_long_lived_session(&app);
        let foreign = app.sign_up();
        let reply =
            log_out_with_expired_token(&app, &sessions.expired, &foreign.refresh_token, scope)
                .await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
        assert_eq!(reply.header("x-logout-outcome"), None);
        assert_verified(&app, &sessions, scope).await;
        assert_eq!(app.verify(&foreign).await, 200, "{scope}");
        assert!(app.is_alive(&foreign), "{scope}");
    }
    assert!(app.gotrue_calls("logout").is_empty());
}

#[tokio::test]
async fn an_expired_token_that_gotrue_does_not_refresh_locks_no_session_out() {
    let app = Setup::new().flag("upstream-timeout", "5s").start().await;
    let down = json!({"operation": "token", "kind": "status", "status": 503, "times": 2});
    let error = json!({"operation": "token", "kind": "status", "status": 500, "times": 1});
    for fault in [Value::Null, down, error] {
        for scope in ["local", "others", "global"] {
            let case = format!("{scope} {fault}");
            let sessions = start_long_lived_session(&app);
            if fault.is_object() {
                app.inject_fault(fault.clone());
            }
            let reply =
                log_out_with_expired_token(&app, &sessions.expired, "bogusbogusbo", scope).await;
            let expected = if fault.is_null() { (401, None) } else { (500, Some("failed")) };
            assert_eq!((reply.status, reply.header("x-logout-outcome")), expected, "{case}");
            assert_verified(&app, &sessions, &case).await;
        }
    }
    assert!(app.gotrue_calls("logout").is_empty());
}

#[tokio::test]
async fn the_session_of_an_expired_token_that_gotrue_refreshes_enters_the_list() {
    let app = TestApp::new().await;
    let failing = json!({"operation": "logout", "kind": "status", "status": 500, "times": 1});
    for fault in [Value::Null, failing] {
        for (scope, current_ends, second_ends) in
            [("local", true, false), ("others", false, true), ("global", true, true)]
        {
            let sessions = start_long_lived_session(&app);
            if fault.is_object() {
                app.inject_fault(fault.clone());
            }
            let refresh_token = &sessions.expired.refresh_token;
            let reply =
                log_out_with_expired_token(&app, &sessions.expired, refresh_token, scope).await;
            if fault.is_null() {
                assert_success(&reply, "/logout", sessions.expired.user_id, "revoked");
            } else {
                assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
            }
            for (tokens, ended) in
                [(&sessions.current, current_ends), (&sessions.second, second_ends)]
            {
                let reply = app.get("/api/auth/verify").bearer(&tokens.access_token).send().await;
                assert_eq!(reply.status, if ended { 401 } else { 200 }, "{scope} {fault}");
                if ended {
                    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("revoked"));
                }
                assert_eq!(app.is_alive(tokens), fault.is_object() || !ended, "{scope} {fault}");
            }
        }
    }
}

/// Sends a global logout to which GoTrue responds with `status` and a `Date` in the year 2100.
async fn log_out_with_date_in_2100(app: &TestApp, status: u16) -> Tokens {
    let tokens = app.sign_up();
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": status, "times": 1,
        "effect": status == 204, "headers": {"Date": "Fri, 01 Jan 2100 00:00:00 GMT"}}));
    let reply = app.post("/logout?scope=global").bearer(&tokens.access_token).send().await;
    assert_eq!(reply.status == 200, status == 204);
    assert_eq!(app.verify(&tokens).await, 401, "{status}");
    tokens
}

#[tokio::test]
async fn the_date_of_another_server_locks_no_later_sign_in_out() {
    // The gateway must ignore the false `Date` even with 204: GoTrue accepted the token, so its clock cannot
    // be past the token's `exp`.
    for status in [500, 404, 429, 200, 204] {
        let app = TestApp::new().await;
        let tokens = log_out_with_date_in_2100(&app, status).await;
        app.advance_time(1);
        assert_eq!(app.verify(&app.sign_in_again(&tokens)).await, 200, "{status}");
    }
}

#[tokio::test]
async fn the_date_of_a_failed_answer_moves_no_cut_off() {
    for behind in [-3600, -20, 20, 3600] {
        let app = TestApp::new().await;
        let tokens = app.sign_up();
        let other = app.sign_in_again(&tokens);
        app.advance_time(10);
        let now = app.clock.now();
        let date = UNIX_EPOCH + Duration::from_secs((now - behind).unsigned_abs());
        app.inject_fault(
            json!({"operation": "logout", "kind": "status", "status": 500, "times": 1,
            "headers": {"Date": httpdate::fmt_http_date(date)}}),
        );
        let reply = app.post("/logout?scope=global").bearer(&tokens.access_token).send().await;
        assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
        for (issued, status) in [(now, 401), (now + 1, 200)] {
            let mut claims = claims_of(&other.access_token);
            claims["iat"] = json!(issued);
            let access_token = app.mock.sign(&claims).unwrap();
            let actual = app.verify(&Tokens { access_token, ..other.clone() }).await;
            assert_eq!(actual, status, "issued at {issued}, the answer's clock {behind} s behind");
        }
    }
}

#[tokio::test]
async fn a_token_of_a_logged_out_session_ends_no_other_session() {
    let app = TestApp::new().await;
    let thief = app.sign_up();
    let owner = app.sign_in_again(&thief);
    app.advance_time(1);
    let others = app.post("/logout?scope=others").bearer(&owner.access_token);
    assert_eq!(others.send().await.status, 200);
    assert_eq!((app.verify(&owner).await, app.verify(&thief).await), (200, 401));
    app.advance_time(1);
    for scope in ["others", "global"] {
        let target = format!("/logout?scope={scope}");
        let reply = app.post(&target).bearer(&thief.access_token).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("not_found"));
        assert_eq!(app.verify(&owner).await, 200, "{scope}");
    }
    assert!(app.is_alive(&owner));
}

#[tokio::test]
async fn a_stolen_token_of_an_ended_session_locks_the_owner_out_with_no_scope() {
    let app = TestApp::new().await;
    let thief = app.sign_up();
    let owner = app.sign_in_again(&thief);
    app.advance_time(1);
    // The session ends at GoTrue without a logout, as when its owner changes the password.
    assert!(app.mock.delete_session(thief.session_id));
    for scope in ["others", "global", "others", "global"] {
        let target = format!("/logout?scope={scope}");
        let reply = app.post(&target).bearer(&thief.access_token).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("not_found"));
        assert_eq!(app.verify(&owner).await, 200, "{scope}");
        assert_eq!(
            app.verify(&thief).await,
            401,
            "{scope}: GoTrue answered that the session is gone"
        );
        app.advance_time(1);
    }
}

#[tokio::test]
async fn a_failing_others_or_global_logout_sets_one_cut_off_for_each_session() {
    for (scope, status) in [("others", 503), ("global", 503), ("others", 400)] {
        let app = TestApp::new().await;
        let asker = app.sign_up();
        let owner = app.sign_in_again(&asker);
        app.advance_time(1);
        app.inject_fault(json!({"operation": "logout", "kind": "status", "status": status}));
        let target = format!("/logout?scope={scope}");
        let log_out = async || {
            let reply = app.post(&target).bearer(&asker.access_token).send().await;
            assert_eq!(reply.header("x-logout-outcome"), Some("failed"), "{scope}");
        };
        log_out().await;
        assert_eq!(app.verify(&owner).await, 401, "{scope}: the first logout sets the cut-off");
        app.advance_time(1);
        let later = app.sign_in_again(&owner);
        for _ in 0..3 {
            app.advance_time(1);
            log_out().await;
            assert_eq!(
                app.verify(&later).await,
                200,
                "{scope} {status}: a repeated logout moves no cut-off"
            );
        }
    }
}

#[tokio::test]
async fn gotrues_refusal_of_a_banned_user_revokes_no_other_session() {
    let app = TestApp::new().await;
    let asker = app.sign_up();
    let other = app.sign_in_again(&asker);
    app.advance_time(1);
    assert!(app.mock.ban_user(asker.user_id));
    for (scope, asker_status) in [("others", 200), ("global", 401)] {
        let target = format!("/logout?scope={scope}");
        let reply = app.post(&target).bearer(&asker.access_token).send().await;
        assert_error(&reply, 500, "LOGOUT_FAILED", Some("user_banned"));
        assert_eq!(app.verify(&other).await, 200, "{scope}");
        assert_eq!(app.verify(&asker).await, asker_status, "{scope}");
    }
}

#[tokio::test]
async fn an_unconfirmed_end_is_refused_for_a_week_and_a_tokens_lifetime() {
    const WEEK: i64 = 7 * 86_400;
    let app = Setup::new().flag("max-token-lifetime", "1h").start().await;
    let tokens = app.sign_up();
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 503}));
    let reply = app.post("/logout").bearer(&tokens.access_token).send().await;
    assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
    for (passed, status) in [(3601, 401), (WEEK - 3601, 401), (3599, 401), (1, 200)] {
        app.advance_time(passed);
        let mut claims = claims_of(&tokens.access_token);
        claims["iat"] = json!(app.clock.now());
        claims["exp"] = json!(app.clock.now() + 3600);
        let access_token = app.mock.sign(&claims).unwrap();
        let refreshed = Tokens { access_token, ..tokens.clone() };
        assert_eq!(app.verify(&refreshed).await, status, "after {passed} s more");
    }
}
