//! Sections 3 and 6 of the contract: a request whose cookies hold several sessions. Every session must end, and
//! the response may be success only if all of them have ended.

mod reported_result;

use gotrue_mock::Tokens;
use rstest::rstest;
use serde_json::json;

use crate::harness::{CookieFormat, Reply, TestApp, assert_error, assert_success, session_cookies};

const K: &str = "sb-127-auth-token";
const CSRF: &str = "sb-csrf-token";

type Cookies = Vec<(String, String)>;

fn stored(tokens: &Tokens, format: CookieFormat) -> Cookies {
    session_cookies(K, &tokens.access_token, &tokens.refresh_token, format)
}

/// Fetches the CSRF token for these cookies and logs out with it, as a page does.
async fn log_out(app: &TestApp, target: &str, jar: &Cookies) -> Reply {
    let reply = app.get("/api/auth/csrf").cookies(jar).send().await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let csrf = reply.json()["data"]["csrf_token"].as_str().unwrap().to_owned();
    let mut jar = jar.clone();
    jar.push((CSRF.to_owned(), csrf.clone()));
    app.post(target).cookies(&jar).header("X-CSRF-Token", csrf).send().await
}

#[tokio::test]
async fn both_sessions_of_a_jar_end_in_either_order_and_a_third_one_stays() {
    let app = TestApp::new().await;
    for route in ["/api/auth/logout", "/api/v1/auth/logout", "/logout"] {
        for old_first in [true, false] {
            let old = app.sign_up();
            let (new, phone) = (app.sign_in_again(&old), app.sign_in_again(&old));
            let (first, second) = if old_first { (&old, &new) } else { (&new, &old) };
            let jar = [first, second].map(|tokens| stored(tokens, CookieFormat::Base64)).concat();
            let reply = log_out(&app, route, &jar).await;
            assert_success(&reply, route, old.user_id, "revoked");
            assert!(!app.is_alive(&old) && !app.is_alive(&new), "{route} {old_first}");
            assert!(app.is_alive(&phone), "a session that is not in the cookies stays");
            for tokens in [&old, &new] {
                assert_eq!(app.verify(tokens).await, 401, "both are on the revocation list");
            }
        }
    }
}

#[tokio::test]
async fn chunks_of_two_sessions_are_read_although_they_come_interleaved() {
    let app = TestApp::new().await;
    let old = app.sign_up();
    let new = app.sign_in_again(&old);
    let [of_old, of_new] = [&old, &new].map(|tokens| stored(tokens, CookieFormat::Chunked));
    assert!(of_old.len() > 1, "{of_old:?}");
    let jar: Cookies = of_old.into_iter().zip(of_new).flat_map(|(a, b)| [a, b]).collect();
    let reply = log_out(&app, "/logout", &jar).await;
    assert_success(&reply, "/logout", old.user_id, "revoked");
    assert!(!app.is_alive(&old) && !app.is_alive(&new));
}

/// The value of the session cookie in `count` chunks, of about the same length.
fn in_chunks(tokens: &Tokens, count: usize) -> Vec<String> {
    let value = stored(tokens, CookieFormat::Base64).remove(0).1;
    let size = value.len().div_ceil(count);
    value.as_bytes().chunks(size).map(|chunk| String::from_utf8(chunk.to_vec()).unwrap()).collect()
}

#[rstest]
#[case(2, 3)]
#[case(3, 4)]
#[case(2, 6)]
#[case(1, 5)]
#[tokio::test]
async fn interleaved_sessions_may_have_different_numbers_of_chunks(
    #[case] short: usize,
    #[case] long: usize,
) {
    let app = TestApp::new().await;
    for (of_old, of_new) in [(short, long), (long, short)] {
        let old = app.sign_up();
        let new = app.sign_in_again(&old);
        let [of_old, of_new] = [in_chunks(&old, of_old), in_chunks(&new, of_new)];
        let mut jar = Cookies::new();
        for index in 0..long {
            for chunk in [&of_old, &of_new].into_iter().filter_map(|chunks| chunks.get(index)) {
                jar.push((format!("{K}.{index}"), chunk.clone()));
            }
        }
        let reply = log_out(&app, "/logout", &jar).await;
        assert_success(&reply, "/logout", old.user_id, "revoked");
        assert!(!app.is_alive(&old) && !app.is_alive(&new), "{jar:?}");
    }
}

#[tokio::test]
async fn the_response_is_success_only_if_every_session_has_ended() {
    let app = TestApp::new().await;
    let old = app.sign_up();
    let new = app.sign_in_again(&old);
    let jar = [&old, &new].map(|tokens| stored(tokens, CookieFormat::Base64)).concat();
    app.inject_fault(json!({"operation": "logout", "kind": "status", "status": 500, "times": 1}));
    let reply = log_out(&app, "/api/auth/logout", &jar).await;
    assert_error(&reply, 500, "LOGOUT_FAILED", Some("auth_service_error"));
    assert_eq!(reply.header("x-logout-outcome"), Some("failed"));
    assert!(app.is_alive(&old) != app.is_alive(&new), "GoTrue ended one of them");
    assert_eq!(app.gotrue_calls("logout").len(), 2, "GoTrue gets one logout for each session");
}

#[tokio::test]
async fn an_expired_session_of_a_jar_is_refreshed_and_ends_with_the_other() {
    let app = TestApp::new().await;
    let old = app.sign_up();
    app.advance_time(3600);
    let new = app.sign_in_again(&old);
    let jar = [&old, &new].map(|tokens| stored(tokens, CookieFormat::Raw)).concat();
    let reply = log_out(&app, "/logout", &jar).await;
    assert_success(&reply, "/logout", old.user_id, "revoked");
    assert!(!app.is_alive(&old) && !app.is_alive(&new));
    assert_eq!((app.gotrue_calls("token").len(), app.gotrue_calls("logout").len()), (1, 2));
}

#[tokio::test]
async fn with_global_and_others_gotrue_gets_one_logout_for_each_user_of_the_cookies() {
    let app = TestApp::new().await;
    for scope in ["global", "others"] {
        let old = app.sign_up();
        let (new, phone) = (app.sign_in_again(&old), app.sign_in_again(&old));
        let stranger = app.sign_up();
        let jar =
            [&old, &new, &stranger].map(|tokens| stored(tokens, CookieFormat::Base64)).concat();
        let before = app.gotrue_calls("logout").len();
        let reply = log_out(&app, &format!("/logout?scope={scope}"), &jar).await;
        assert_success(&reply, "/logout", old.user_id, "revoked");
        assert_eq!(app.gotrue_calls("logout").len() - before, 2, "one logout for each user");
        assert!(!app.is_alive(&phone), "{scope}");
        if scope == "global" {
            assert!(!app.is_alive(&old) && !app.is_alive(&new) && !app.is_alive(&stranger));
        } else {
            assert!(app.is_alive(&old) && app.is_alive(&stranger), "this browser stays signed in");
            assert!(reply.set_cookies().is_empty(), "{reply:?}");
        }
    }
}

#[tokio::test]
async fn verify_uses_the_first_valid_session_and_refuses_a_revoked_one_of_another_user() {
    let app = TestApp::new().await;
    let old = app.sign_up();
    let (new, stranger) = (app.sign_in_again(&old), app.sign_up());
    app.post("/logout").bearer(&old.access_token).send().await;
    let jar = |tokens: &[&Tokens]| -> Cookies {
        tokens.iter().flat_map(|tokens| stored(tokens, CookieFormat::Base64)).collect()
    };
    for tokens in [[&old, &new], [&new, &old]] {
        let reply = app.get("/api/auth/verify").cookies(&jar(&tokens)).send().await;
        let session = new.session_id.to_string();
        assert_eq!((reply.status, reply.header("x-auth-session-id")), (200, Some(&*session)));
    }
    for tokens in [[&old, &stranger], [&stranger, &old]] {
        let reply = app.get("/api/auth/verify").cookies(&jar(&tokens)).send().await;
        assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("revoked"));
    }
}

/// Older helpers of Supabase write two plain cookies. Settings of the gateway may give their names.
#[tokio::test]
async fn two_plain_cookies_are_a_session_like_any_other() {
    let usual = ["sb-access-token", "sb-refresh-token"];
    let own = ["my-access", "my-refresh"];
    let flags = |[access, refresh]: [&'static str; 2]| {
        [("cookie-name", access), ("refresh-cookie-name", refresh)]
    };
    // Only settings can name `my-refresh`: the gateway always reads and deletes `sb-refresh-token`.
    for (flags, names) in [(&[][..], usual), (&flags(usual), usual), (&flags(own), own)] {
        let app = TestApp::with_flags(flags).await;
        for expired in [false, true] {
            let tokens = app.sign_up();
            let jar = [
                (names[0].to_owned(), tokens.access_token.clone()),
                (names[1].to_owned(), tokens.refresh_token.clone()),
            ];
            if expired {
                app.advance_time(3600);
            } else {
                let reply = app.get("/api/auth/verify").cookies(&jar).send().await;
                assert_eq!(reply.header("x-auth-carrier"), Some("cookie"));
            }
            let unguarded = app.post("/logout").cookies(&jar).send().await;
            assert_error(&unguarded, 403, "CSRF_FAILED", Some("missing"));
            assert!(app.is_alive(&tokens));
            let reply = log_out(&app, "/logout", &jar.to_vec()).await;
            assert_success(&reply, "/logout", tokens.user_id, "revoked");
            assert!(!app.is_alive(&tokens), "expired: {expired}");
            for name in names {
                assert!(reply.deleted_cookies().contains(&name), "{reply:?}");
            }
        }
    }
}
