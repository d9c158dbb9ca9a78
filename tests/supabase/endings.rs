//! Sessions that end, or seem to end, in a way that has deceived a gateway: by a password change, by
//! the clean-up of refresh tokens, by a global logout while a client refreshes, and twice.

use std::time::Duration;

use test_harness::{CookieFormat, LOGOUT_PATHS, assert_error, assert_success};

use crate::{
    SCOPES,
    gotrue::Session,
    project::{Browser, Gateway, Project},
};

const A_SECOND: Duration = Duration::from_secs(1);

/// A thief holds the token of an older session. The owner changes the password, which ends that
/// session at GoTrue (recorded: `user-password`). The thief must not end the owner's session with it.
#[tokio::test]
async fn after_a_password_change_a_stolen_token_ends_nothing_by_scope_others() {
    let mut project = Project::now().await;
    let gateway = project.gateway(0).await;
    let [stolen, owner] = [project.sign_in().await, project.sign_in().await];
    project.change_password(&owner).await;
    assert!(!project.gotrue.alive(&stolen).await, "a new password ends the other sessions");
    assert!(project.gotrue.alive(&owner).await, "a new password keeps the own session");
    // A cut-off of this second would spare the owner's token.
    project.pass(A_SECOND).await;
    for attempt in 1..=3 {
        let request = gateway.request("POST", "/api/auth/logout?scope=others");
        let reply = request.bearer(&stolen.access_token).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("not_found"));
        assert_eq!(reply.header("x-logout-outcome"), Some("failed"), "attempt {attempt}");
        assert_eq!(gateway.verify(&owner).await, 200, "attempt {attempt}: the owner is refused");
        let newest = project.sign_in().await;
        assert_eq!(gateway.verify(&newest).await, 200, "attempt {attempt}: a new sign-in too");
        assert!(project.gotrue.alive(&owner).await, "attempt {attempt}");
    }
}

/// An old cookie holds an expired access token and a refresh token that GoTrue has cleaned up since.
/// GoTrue answers `refresh_token_not_found`, and the session lives on.
///
/// On the mock alone: GoTrue cleans a refresh token up a day after it was used.
#[tokio::test]
async fn a_cleaned_up_refresh_token_is_no_proof_that_the_session_ended() {
    let project = Project::now().await;
    let Some(mock) = &project.mock else {
        println!("left out: a real GoTrue cleans refresh tokens up after a day");
        return;
    };
    let old = project.sign_in().await;
    let next = project.gotrue.refresh(&old).await.unwrap();
    let mut active = project.gotrue.refresh(&next).await.unwrap();
    mock.advance_clock(Duration::from_hours(25)).unwrap();
    assert!(mock.clean_up() >= 2, "both used tokens are deleted");
    assert!(project.gotrue.refresh(&old).await.is_none());
    let gateway = project.gateway(0).await;
    for scope in SCOPES {
        let mut browser = Browser::signed_in(&gateway, &old, CookieFormat::Base64).await;
        let reply = browser.logout(&format!("/api/auth/logout?scope={scope}")).await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("expired"));
        let outcome = reply.header("x-logout-outcome");
        assert!(matches!(outcome, None | Some("failed")), "{scope}: {outcome:?}");
        assert_eq!(browser.jar.is_empty(), scope != "others", "{:?}", browser.jar.names());
        active = project.gotrue.refresh(&active).await.expect("the session lives on");
        assert!(project.gotrue.alive(&active).await, "{scope}");
        assert_eq!(gateway.verify(&active).await, 200, "{scope}");
    }
}

/// One device signs out everywhere while another one refreshes once a second, or without a pause.
/// GoTrue issues tokens up to the very second of the logout, and their `iat` must not save them.
#[tokio::test]
async fn a_global_logout_reaches_a_client_that_refreshes_all_the_time() {
    let project = Project::now().await;
    for pause in [Duration::ZERO, A_SECOND, Duration::ZERO, A_SECOND] {
        let gateway = project.gateway(0).await;
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
            assert_eq!(status, 401, "pause {pause:?}: {later} refreshes came after this token");
        }
        assert_eq!(gateway.verify(&this).await, 401, "{pause:?}");
        assert!(!project.gotrue.alive(held.last().unwrap()).await, "{pause:?}");
        assert!(!project.gotrue.alive(&this).await, "{pause:?}");
        assert_eq!(gateway.verify(&stranger).await, 200, "{pause:?}");
        assert!(project.gotrue.alive(&stranger).await, "{pause:?}");
    }
}

/// Runs `logout` once a client has refreshed twice, and lets the client go on until GoTrue refuses.
/// Returns the reply and every session that the client held, the latest last.
async fn while_refreshing<T>(
    project: &Project,
    first: Session,
    pause: Duration,
    logout: impl Future<Output = T>,
) -> (T, Vec<Session>) {
    let (count, mut counts) = tokio::sync::watch::channel(0_usize);
    let client = async {
        let mut held = vec![first];
        while let Some(next) = project.gotrue.refresh_if_possible(held.last().unwrap()).await {
            held.push(next);
            count.send_replace(held.len());
            project.pass(pause).await;
        }
        held
    };
    let logout = async {
        counts.wait_for(|held| *held >= 3).await.unwrap();
        logout.await
    };
    tokio::join!(logout, client)
}

/// GoTrue before 2.150 took a second local logout for a global one, so the gateway answers the second
/// one by what it knows.
#[tokio::test]
async fn a_repeated_local_logout_ends_no_other_session_and_asks_gotrue_once() {
    let project = Project::now().await;
    let gateway = project.gateway(0).await;
    for route in LOGOUT_PATHS {
        let [this, other] = [project.sign_in().await, project.sign_in().await];
        let asked_before = logout_calls(&project);
        for outcome in ["revoked", "already-ended", "already-ended"] {
            let reply = gateway.request("POST", route).bearer(&this.access_token).send().await;
            assert_success(&reply, route, this.user_id, outcome);
        }
        assert_asked_once_and_lives(&project, &gateway, asked_before, &other, route).await;
    }
}

#[tokio::test]
async fn a_repeated_local_logout_by_cookie_asks_gotrue_once() {
    let project = Project::now().await;
    let gateway = project.gateway(0).await;
    for route in LOGOUT_PATHS {
        let [this, other] = [project.sign_in().await, project.sign_in().await];
        let mut browser = Browser::signed_in(&gateway, &this, CookieFormat::Base64).await;
        // As a second tab that has read its cookies before the first one signs out.
        let jar = browser.jar.clone();
        let asked_before = logout_calls(&project);
        for outcome in ["revoked", "already-ended"] {
            browser.jar = jar.clone();
            let reply = browser.logout(route).await;
            assert_success(&reply, route, this.user_id, outcome);
            assert!(browser.jar.is_empty(), "{route}");
        }
        assert_asked_once_and_lives(&project, &gateway, asked_before, &other, route).await;
    }
}

async fn assert_asked_once_and_lives(
    project: &Project,
    gateway: &Gateway,
    asked_before: Option<usize>,
    other: &Session,
    case: &str,
) {
    assert!(project.gotrue.alive(other).await, "{case}: the user's other session lives on");
    assert_eq!(gateway.verify(other).await, 200, "{case}");
    let asked = logout_calls(project).zip(asked_before).map(|(now, before)| now - before);
    if let Some(asked) = asked {
        assert_eq!(asked, 1, "{case}: calls of GoTrue's logout");
    }
}

/// How many logouts GoTrue was asked for; `None` on a real project, which does not tell.
fn logout_calls(project: &Project) -> Option<usize> {
    let calls = project.mock.as_ref()?.calls();
    Some(calls.iter().filter(|call| call.path == "/auth/v1/logout").count())
}
