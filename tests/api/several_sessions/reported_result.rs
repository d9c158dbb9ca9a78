//! Section 3 of the contract: a response to the logout of several sessions reports the worst result.

use gotrue_mock::Tokens;
use serde_json::json;

use super::{Cookies, log_out, stored};
use crate::{
    harness::{CookieFormat, Reply, Setup, TestApp, assert_error},
    queue::start_with_file_store,
};

/// What becomes of a session. The worst result is the first.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Failed,
    Refused,
    Queued,
    Revoked,
    AlreadyEnded,
}

const FATES: [Fate; 5] =
    [Fate::Failed, Fate::Refused, Fate::Queued, Fate::Revoked, Fate::AlreadyEnded];

/// Signs in two users who will have these fates at one logout; returns their tokens and their cookies.
fn sign_in(app: &TestApp, fates: [Fate; 2]) -> ([Tokens; 2], Cookies) {
    // Only an expired session is refreshed, so a fault of the refresh does not concern the other session. If both
    // sessions need a fault, that of the queued one concerns the logout, because the failed one gets no token for it.
    let fault = |operation: &str, status: u16, times: u32| {
        app.inject_fault(
            json!({"operation": operation, "kind": "status", "status": status, "times": times}),
        );
    };
    let is_queued_while_expired = !fates.contains(&Fate::Failed);
    let is_expired = |fate| match fate {
        Fate::Failed | Fate::Refused => true,
        Fate::Queued => is_queued_while_expired,
        Fate::Revoked | Fate::AlreadyEnded => false,
    };
    let expired = fates.map(|fate| is_expired(fate).then(|| app.sign_up()));
    app.advance_time(3600);
    let sessions = expired.map(|tokens| tokens.unwrap_or_else(|| app.sign_up()));
    let mut jar = Cookies::new();
    for (tokens, fate) in sessions.iter().zip(fates) {
        match fate {
            Fate::Failed => fault("token", 418, 1),
            Fate::Queued => fault(if is_expired(fate) { "token" } else { "logout" }, 503, 2),
            Fate::AlreadyEnded => assert!(app.mock.delete_session(tokens.session_id)),
            Fate::Refused | Fate::Revoked => {}
        }
        match fate {
            // The session has no refresh token.
            Fate::Refused => jar.push(("sb-access-token".to_owned(), tokens.access_token.clone())),
            _ => jar.extend(stored(tokens, CookieFormat::Base64)),
        }
    }
    (sessions, jar)
}

#[track_caller]
fn assert_reports(reply: &Reply, fate: Fate) {
    let (status, outcome) = match fate {
        Fate::Failed => {
            assert_error(reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
            (500, Some("failed"))
        }
        Fate::Refused => {
            assert_error(reply, 401, "NOT_AUTHENTICATED", Some("expired"));
            (401, None)
        }
        Fate::Queued => (202, Some("queued")),
        Fate::Revoked => (200, Some("revoked")),
        Fate::AlreadyEnded => (200, Some("already-ended")),
    };
    assert_eq!((reply.status, reply.header("x-logout-outcome")), (status, outcome), "{reply:?}");
    if status < 400 {
        assert_eq!(reply.text(), r#"{"data":{"success":true}}"#);
    }
}

#[tokio::test]
async fn of_two_results_the_response_reports_the_worse_one_whichever_cookie_comes_first() {
    for (index, worse) in FATES.into_iter().enumerate() {
        for better in FATES.into_iter().skip(index + 1) {
            for fates in [[worse, better], [better, worse]] {
                let (app, _directory) = start_with_file_store(Setup::new()).await;
                let (sessions, jar) = sign_in(&app, fates);
                let reply = log_out(&app, "/api/auth/logout", &jar).await;
                assert_reports(&reply, worse);
                for (tokens, fate) in sessions.iter().zip(fates) {
                    let has_ended = matches!(fate, Fate::Revoked | Fate::AlreadyEnded);
                    assert_eq!(app.is_alive(tokens), !has_ended, "{fates:?}: {fate:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn two_sessions_that_have_ended_already_are_reported_as_already_ended() {
    let app = TestApp::new().await;
    let (_, jar) = sign_in(&app, [Fate::AlreadyEnded; 2]);
    assert_reports(&log_out(&app, "/api/auth/logout", &jar).await, Fate::AlreadyEnded);
}
