//! Sessions that end, or seem to end, in a way that a gateway could misjudge: by a password change, by
//! GoTrue's clean-up of refresh tokens, by a global logout while a client refreshes, and by a second
//! logout.

use std::time::Duration;

use test_harness::{CookieFormat, LOGOUT_PATHS, assert_error, assert_success};

use crate::{
    SCOPES,
    gotrue::Session,
    project::{Browser, Gateway, Project},
};

const ONE_SECOND: Duration = Duration::from_secs(1);

/// An attacker has the access token of an older session. The user changes the password, which ends that older
/// session at GoTrue (recording `user-password`). With the token the attacker must not be able to end the
/// user's current session.
#[tokio::test]
async fn after_a_password_change_a_stolen_token_ends_nothing_by_scope_others() {
    let mut project = Project::lock().await;
    let gateway = project.start_gateway(0).await;
    let [stolen, owner] = [project.sign_in().await, project.sign_in().await];
    project.change_password(&owner).await;
    assert!(
        !project.gotrue.is_alive(&stolen).await,
        "a password change ends the user's other sessions"
    );
    assert!(
        project.gotrue.is_alive(&owner).await,
        "a password change keeps the session that changed it"
    );
    // Wait a second, because a revocation spares tokens issued in its own second, so a wrong revocation would
    // go unnoticed.
    project.advance_time(ONE_SECOND).await;
    for attempt in 1..=3 {
        let request = gateway.request("POST", "/api/auth/logout?scope=others");
        let reply = request.bearer(&stolen.access_token).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("not_found"));
        assert_eq!(reply.header("x-logout-outcome"), Some("failed"), "attempt {attempt}");
        assert_eq!(
            gateway.verify(&owner).await,
            200,
            "attempt {attempt}: the user's session is accepted"
        );
        let newest = project.sign_in().await;
        assert_eq!(
            gateway.verify(&newest).await,
            200,
            "attempt {attempt}: a new session is accepted"
        );
        assert!(project.gotrue.is_alive(&owner).await, "attempt {attempt}");
    }
}

/// A browser has an old cookie with an expired access token and a refresh token that GoTrue has deleted
/// since. GoTrue answers `refresh_token_not_found`, although the session is alive.
///
/// This test runs only against the mock, because GoTrue deletes a refresh token only a day after its use.
#[tokio::test]
async fn a_cleaned_up_refresh_token_is_no_proof_that_the_session_ended() {
    let project = Project::lock().await;
    let Some(mock) = &project.mock else {
        println!("skipped: a real GoTrue deletes used refresh tokens only after a day");
        return;
    };
    let old = project.sign_in().await;
    let next = project.gotrue.refresh(&old).await.unwrap();
    let mut active = project.gotrue.refresh(&next).await.unwrap();
    mock.advance_clock(Duration::from_hours(25)).unwrap();
    assert!(mock.clean_up() >= 2, "both used refresh tokens are deleted");
    assert!(project.gotrue.refresh(&old).await.is_none());
    let gateway = project.start_gateway(0).await;
    for scope in SCOPES {
        let mut browser = Browser::signed_in(&gateway, &old, CookieFormat::Base64).await;
        let reply = browser.logout(&format!("/api/auth/logout?scope={scope}")).await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("expired"));
        let outcome = reply.header("x-logout-outcome");
        assert!(matches!(outcome, None | Some("failed")), "{scope}: {outcome:?}");
        assert_eq!(browser.jar.is_empty(), scope != "others", "{:?}", browser.jar.names());
        active = project.gotrue.refresh(&active).await.expect("the session is alive");
        assert!(project.gotrue.is_alive(&active).await, "{scope}");
        assert_eq!(gateway.verify(&active).await, 200, "{scope}");
    }
}

/// One client signs out with the scope `global` while another refreshes, once a second or without a pause.
/// GoTrue issues tokens up to the second of the logout. The gateway must refuse these tokens too, whatever
/// their `iat`.
#[tokio::test]
async fn a_global_logout_reaches_a_client_that_refreshes_all_the_time() {
    let project = Project::lock().await;
    for pause in [Duration::ZERO, ONE_SECOND, Duration::ZERO, ONE_SECOND] {
        let gateway = project.start_gateway(0).await;
        let [this, other] = [project.sign_in().await, project.sign_in().await];
        let stranger = project.sign_in_stranger().await;
        let logout = async {
            let request = gateway.request("POST", "/api/auth/logout?scope=global");
            request.bearer(&this.access_token).send().await
        };
        let (reply, held) = while_refreshing(&project, other, pause, logout).await;
        assert_success(&reply, "/api/auth/logout", this.user_id, "revoked");
        for (later, session) in held.iter().rev().enumerate() {
            let status = gateway.verify(session).await;
            assert_eq!(
                status, 401,
                "pause {pause:?}: the token {later} refreshes before the last is refused"
            );
        }
        assert_eq!(gateway.verify(&this).await, 401, "{pause:?}");
        assert!(!project.gotrue.is_alive(held.last().unwrap()).await, "{pause:?}");
        assert!(!project.gotrue.is_alive(&this).await, "{pause:?}");
        assert_eq!(gateway.verify(&stranger).await, 200, "{pause:?}");
        assert!(project.gotrue.is_alive(&stranger).await, "{pause:?}");
    }
}

/// Runs `logout` after a client has refreshed twice. The client continues to refresh until GoTrue refuses.
/// Returns the result of `logout` and every session that the client had, the latest last.
async fn while_refreshing<T>(
    project: &Project,
    first: Session,
    pause: Duration,
    logout: impl Future<Output = T>,
) -> (T, Vec<Session>) {
    let (send_count, mut counts) = tokio::sync::watch::channel(0_usize);
    let client = async {
        let mut held = vec![first];
        while let Some(next) = project.gotrue.refresh_if_possible(held.last().unwrap()).await {
            held.push(next);
            send_count.send_replace(held.len());
            project.advance_time(pause).await;
        }
        held
    };
    let logout = async {
        counts.wait_for(|held| *held >= 3).await.unwrap();
        logout.await
    };
    tokio::join!(logout, client)
}

/// GoTrue before 2.150 treats a second logout with the scope `local` as `global`, so the gateway must answer
/// the second logout without a call to GoTrue.
#[tokio::test]
async fn a_repeated_local_logout_ends_no_other_session_and_asks_gotrue_once() {
    let project = Project::lock().await;
    let gateway = project.start_gateway(0).await;
    for route in LOGOUT_PATHS {
        let [this, other] = [project.sign_in().await, project.sign_in().await];
        let calls_before = logout_calls(&project);
        for outcome in ["revoked", "already-ended", "already-ended"] {
            let reply = gateway.request("POST", route).bearer(&this.access_token).send().await;
            assert_success(&reply, route, this.user_id, outcome);
        }
        assert_called_once_and_alive(&project, &gateway, calls_before, &other, route).await;
    }
}

#[tokio::test]
async fn a_repeated_local_logout_by_cookie_asks_gotrue_once() {
    let project = Project::lock().await;
    let gateway = project.start_gateway(0).await;
    for route in LOGOUT_PATHS {
        let [this, other] = [project.sign_in().await, project.sign_in().await];
        let mut browser = Browser::signed_in(&gateway, &this, CookieFormat::Base64).await;
        // A second tab of the browser has read the cookies before the first tab signs out.
        let jar = browser.jar.clone();
        let calls_before = logout_calls(&project);
        for outcome in ["revoked", "already-ended"] {
            browser.jar = jar.clone();
            let reply = browser.logout(route).await;
            assert_success(&reply, route, this.user_id, outcome);
            assert!(browser.jar.is_empty(), "{route}");
        }
        assert_called_once_and_alive(&project, &gateway, calls_before, &other, route).await;
    }
}

async fn assert_called_once_and_alive(
    project: &Project,
    gateway: &Gateway,
    calls_before: Option<usize>,
    other: &Session,
    case: &str,
) {
    assert!(project.gotrue.is_alive(other).await, "{case}: the user's other session is alive");
    assert_eq!(gateway.verify(other).await, 200, "{case}");
    let calls = logout_calls(project).zip(calls_before).map(|(now, before)| now - before);
    if let Some(calls) = calls {
        assert_eq!(calls, 1, "{case}: calls of GoTrue's logout");
    }
}

/// The number of logout calls that GoTrue received; `None` for a real project, which does not show its calls.
fn logout_calls(project: &Project) -> Option<usize> {
    let calls = project.mock.as_ref()?.calls();
    Some(calls.iter().filter(|call| call.path == "/auth/v1/logout").count())
}
