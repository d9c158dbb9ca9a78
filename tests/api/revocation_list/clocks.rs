//! Which clock, GoTrue's or the gateway's, sets the cut-off of a logout.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;

use crate::harness::{Browser, CookieFormat, Setup, assert_error, assert_success};

#[tokio::test]
async fn a_date_before_the_issue_time_of_the_asking_token_is_not_used_as_gotrues_clock() {
    for (date, is_gotrues) in [("1970", false), ("hours behind", false), ("a GoTrue behind", true)]
    {
        // If GoTrue's clock is behind, both the issue time of the tokens and the `Date` of GoTrue's answers
        // are behind.
        let behind = if is_gotrues { -600 } else { 0 };
        let app = Setup::new().gotrue_clock_ahead(behind).start().await;
        let tokens = app.sign_up();
        let other = app.sign_in_again(&tokens);
        app.advance_time(10);
        let hours_behind =
            UNIX_EPOCH + Duration::from_secs((app.clock.now() - 7200).unsigned_abs());
        let wrong = match date {
            "1970" => Some(UNIX_EPOCH),
            "hours behind" => Some(hours_behind),
            _ => None,
        };
        if let Some(wrong) = wrong {
            app.inject_fault(
                json!({"operation": "logout", "kind": "status", "status": 204, "times": 1,
                "effect": true, "headers": {"Date": httpdate::fmt_http_date(wrong)}}),
            );
        }
        let reply = app.post("/logout?scope=global").bearer(&tokens.access_token).send().await;
        assert_success(&reply, "/logout", tokens.user_id, "revoked");
        assert_eq!(app.verify(&other).await, 401, "{date}: GoTrue has ended the session");
        app.advance_time(1);
        let later = app.sign_in_again(&tokens);
        assert_eq!(app.verify(&later).await, 200, "{date}: the session began after the logout");
    }
}

#[tokio::test]
async fn if_gotrues_clock_is_ahead_a_logout_ends_all_tokens_issued_before_it() {
    for ahead in [40, 600] {
        for is_expired in [false, true] {
            let app = Setup::new().gotrue_clock_ahead(ahead).start().await;
            let asker = app.sign_up();
            // Let time pass between the sign-ins, so that the other token is newer than the asker's.
            app.advance_time(if is_expired { 3600 + ahead } else { ahead });
            let other = app.sign_in_again(&asker);
            // The gateway refreshes an expired token, so GoTrue's clock may be past the token's `exp`.
            let reply = if is_expired {
                let mut browser = Browser::signed_in(&app, &asker, CookieFormat::Base64).await;
                browser.logout("/logout?scope=global").await
            } else {
                app.post("/logout?scope=global").bearer(&asker.access_token).send().await
            };
            assert_success(&reply, "/logout", asker.user_id, "revoked");
            app.advance_time(1);
            let later = app.sign_in_again(&asker);
            app.advance_time(ahead - 30);
            let case = format!("{ahead} s ahead, expired: {is_expired}");
            let reply = app.get("/api/auth/verify").bearer(&other.access_token).send().await;
            assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("revoked"));
            assert_eq!(app.verify(&later).await, 200, "{case}");
        }
    }
}

#[tokio::test]
async fn if_gotrue_fails_with_its_clock_ahead_the_cut_off_is_the_issue_time_of_the_asking_token() {
    let app = Setup::new().gotrue_clock_ahead(20).start().await;
    let asker = app.sign_up();
    let other = app.sign_in_again(&asker);
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500, "times": 1}));
    let reply = app.post("/logout?scope=global").bearer(&asker.access_token).send().await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
    assert_eq!(app.verify(&other).await, 401);
}
