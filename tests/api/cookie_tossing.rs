//! Sections 5 and 6 of the contract under attack: a sibling subdomain plants cookies of the gateway's
//! names in the user's browser, and its page asks with what it planted.
//!
//! The browser sends both copies; which comes first is the attacker's choice, by a longer path.

use std::collections::BTreeSet;

use gotrue_mock::Tokens;
use serde_json::json;

use crate::harness::{
    CookieFormat, Reply, Request, TestApp, assert_deletes_cookies, assert_error, assert_success,
    session_cookies,
};

const K: &str = "sb-127-auth-token";
const CSRF: &str = "sb-csrf-token";
const SIBLING: &str = "https://sibling.example.com";

/// A session as one cookie's value.
fn written(tokens: &Tokens) -> String {
    session_cookies(K, &tokens.access_token, &tokens.refresh_token, CookieFormat::Base64)[0]
        .1
        .clone()
}

/// A logout with these cookies, in this order, and this header.
fn ask(app: &TestApp, cookies: &[(&str, &str)], header: &str) -> Request {
    app.post("/logout").cookies(cookies).header("X-CSRF-Token", header)
}

/// The headers of pages that may plant a cookie here; with none of them it is no browser.
const PAGES: [&[(&str, &str)]; 6] = [
    &[("Sec-Fetch-Site", "same-site"), ("Origin", SIBLING)],
    &[("Sec-Fetch-Site", "same-site")],
    &[("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")],
    // Browsers of before 2020, and of 2023 where it was Apple's.
    &[("Origin", SIBLING)],
    &[("Referer", "https://sibling.example.com/page")],
    &[],
];

/// What is planted: by somebody who has a session of his own, and has seen a token of the victim's.
fn planted(mine: &str, victims: &str) -> [(&'static str, String); 4] {
    let (my_random, my_mac) = mine.split_once('.').unwrap();
    let (random, mac) = victims.split_once('.').unwrap();
    [
        ("made up", "made-up.value".to_owned()),
        ("of the attacker's session", mine.to_owned()),
        ("of the victim's random", format!("{random}.{my_mac}")),
        ("of the victim's signature", format!("{my_random}.{mac}")),
    ]
}

#[tokio::test]
async fn a_planted_csrf_pair_ends_no_session_and_blocks_no_genuine_logout() {
    let app = TestApp::new().await;
    let attacker = app.sign_up();
    let of_attacker = app.csrf_token(&attacker).await;
    for kind in 0..4 {
        for place in ["alone", "before", "behind"] {
            let victim = app.sign_up();
            let (session, genuine) = (written(&victim), app.csrf_token(&victim).await);
            let (kind, planted) = &planted(&of_attacker, &genuine)[kind];
            let tokens: &[&str] = match place {
                "alone" => &[planted],
                "before" => &[planted, &genuine],
                _ => &[&genuine, planted],
            };
            let cookies: Vec<_> = std::iter::once((K, session.as_str()))
                .chain(tokens.iter().map(|token| (CSRF, *token)))
                .collect();
            let asked = app.gotrue_call_count();
            for page in PAGES {
                let reply = ask(&app, &cookies, planted).headers(page).send().await;
                let reason = if page.is_empty() { "invalid" } else { "cross_site" };
                assert_error(&reply, 403, "CSRF_FAILED", Some(reason));
                assert!(reply.set_cookies().is_empty(), "{kind} {place} {page:?}");
            }
            assert!(app.is_alive(&victim) && app.gotrue_call_count() == asked, "{kind} {place}");
            if place != "alone" {
                let own = ask(&app, &cookies, &genuine).header("Sec-Fetch-Site", "same-origin");
                assert_success(&own.send().await, "/logout", victim.user_id, "revoked");
                assert!(!app.is_alive(&victim), "{kind} {place}");
            }
        }
    }
    assert!(app.is_alive(&attacker));
}

/// SECURITY.md names this: without the signature, which page asks is all that protects.
#[tokio::test]
async fn in_double_submit_mode_a_planted_pair_is_stopped_by_the_page_that_asks_alone() {
    let app = TestApp::with_flags(&[("csrf-mode", "double-submit")]).await;
    let victim = app.sign_up();
    let session = written(&victim);
    let cookies = [(K, session.as_str()), (CSRF, "planted"), (CSRF, "the-app's-own")];
    for page in PAGES {
        let reply = ask(&app, &cookies, "planted").headers(page).send().await;
        if page.is_empty() {
            assert_success(&reply, "/logout", victim.user_id, "revoked");
        } else {
            assert_error(&reply, 403, "CSRF_FAILED", Some("cross_site"));
            assert!(app.is_alive(&victim) && app.gotrue_call_count() == 0, "{page:?}");
        }
    }
    assert!(!app.is_alive(&victim));
}

/// What a planted session and the CSRF token of that session can do: end itself, and make this browser
/// forget its cookies.
#[tokio::test]
async fn of_two_sessions_the_first_is_judged_with_its_own_csrf_token_and_the_other_lives_on() {
    let app = TestApp::new().await;
    for name in [K, "sb-127-auth-token.0"] {
        for (planted_first, scope) in
            [(true, "local"), (true, "global"), (false, "local"), (false, "global")]
        {
            let (mine, planted) = (app.sign_up(), app.sign_up());
            let (judged, other) = if planted_first { (&planted, &mine) } else { (&mine, &planted) };
            let of_judged = app.csrf_token(judged).await;
            let of_other = app.csrf_token(other).await;
            let values = [written(judged), written(other)];
            let sessions = values.each_ref().map(|value| (name, value.as_str()));
            let target = format!("/logout?scope={scope}");
            let submit = |tokens: &[&str], header: &str| {
                let cookies = tokens.iter().map(|token| (CSRF, *token));
                let cookies: Vec<_> = sessions.into_iter().chain(cookies).collect();
                app.post(&target).cookies(&cookies).header("X-CSRF-Token", header)
            };

            let asked = app.gotrue_call_count();
            for order in [[of_judged.as_str(), &of_other], [&of_other, &of_judged]] {
                let reply = submit(&order, &of_other).send().await;
                assert_error(&reply, 403, "CSRF_FAILED", Some("invalid"));
                assert!(reply.set_cookies().is_empty());
                let foreign = submit(&order, &of_judged).headers(PAGES[0]).send().await;
                assert_error(&foreign, 403, "CSRF_FAILED", Some("cross_site"));
            }
            assert!(
                app.is_alive(&mine) && app.is_alive(&planted) && app.gotrue_call_count() == asked
            );
            let reply = submit(&[&of_other, &of_judged], &of_judged).send().await;
            assert_success(&reply, "/logout", judged.user_id, "revoked");
            assert_deletes_cookies(&reply, &BTreeSet::from([K, name, CSRF]), name);
            assert!(!app.is_alive(judged) && app.is_alive(other), "{name} {planted_first} {scope}");
        }
    }
}

/// Junk before the genuine cookie is what the library would read as well: the user is told that there
/// is no session, never that it has ended.
#[tokio::test]
async fn of_junk_and_a_session_the_first_decides_and_junk_is_no_success() {
    let app = TestApp::new().await;
    for name in [K, "sb-127-auth-token.0"] {
        for junk in ["junk", "base64-", "%00", "base64-eyJhY2Nlc3NfdG9rZW4iOiJ4In0"] {
            let tokens = app.sign_up();
            let (session, csrf) = (written(&tokens), app.csrf_token(&tokens).await);
            let names = BTreeSet::from([K, name, CSRF]);
            let asked = app.gotrue_call_count();
            let junk_first = [(name, junk), (name, session.as_str()), (CSRF, &csrf)];
            let reply = ask(&app, &junk_first, &csrf).send().await;
            assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("invalid"));
            assert_deletes_cookies(&reply, &names, junk);
            assert!(app.is_alive(&tokens) && app.gotrue_call_count() == asked, "{junk}");
            let foreign = ask(&app, &junk_first, &csrf).headers(PAGES[0]).send().await;
            assert_error(&foreign, 403, "CSRF_FAILED", Some("cross_site"));
            assert!(foreign.set_cookies().is_empty(), "no page of a sibling makes it forget them");

            let junk_last = [(name, session.as_str()), (name, junk), (CSRF, &csrf)];
            let reply = ask(&app, &junk_last, &csrf).send().await;
            assert_success(&reply, "/logout", tokens.user_id, "revoked");
            assert_deletes_cookies(&reply, &names, junk);
            assert!(!app.is_alive(&tokens), "{junk}");
        }
    }
}

/// The same session with fresh tokens, as the library gets them at GoTrue.
async fn refreshed(app: &TestApp, tokens: &Tokens) -> Tokens {
    let address = app.mock.url().strip_prefix("http://").unwrap().parse().unwrap();
    let request = Request::new(address, "POST", "/auth/v1/token?grant_type=refresh_token");
    let body = json!({ "refresh_token": tokens.refresh_token }).to_string();
    let reply: Reply = request.header("Content-Type", "application/json").body(body).send().await;
    let token = |name: &str| reply.json()[name].as_str().unwrap().to_owned();
    Tokens {
        access_token: token("access_token"),
        refresh_token: token("refresh_token"),
        ..tokens.clone()
    }
}

#[tokio::test]
async fn a_csrf_token_outlives_refreshing_and_is_worth_nothing_in_the_users_other_session() {
    let app = TestApp::new().await;
    let laptop = app.sign_up();
    let phone = app.sign_in_again(&laptop);
    let of_laptop = app.csrf_token(&laptop).await;
    let of_phone = app.csrf_token(&phone).await;
    app.advance_time(3000);
    let later = refreshed(&app, &laptop).await;
    assert_ne!(later.access_token, laptop.access_token);
    let (session, other_session) = (written(&later), written(&phone));
    let asked = app.gotrue_call_count();
    for (held, csrf) in [(&session, &of_phone), (&other_session, &of_laptop)] {
        let cookies = [(K, held.as_str()), (CSRF, csrf.as_str())];
        let reply = ask(&app, &cookies, csrf).send().await;
        assert_error(&reply, 403, "CSRF_FAILED", Some("invalid"));
        assert!(reply.set_cookies().is_empty());
    }
    assert!(app.is_alive(&laptop) && app.is_alive(&phone) && app.gotrue_call_count() == asked);

    let cookies = [(K, session.as_str()), (CSRF, of_laptop.as_str())];
    let again = app.get("/api/auth/csrf").cookies(&cookies).send().await;
    assert_eq!(again.json()["data"]["csrf_token"], of_laptop.as_str());
    let reply = ask(&app, &cookies, &of_laptop).send().await;
    assert_success(&reply, "/logout", laptop.user_id, "revoked");
    assert!(!app.is_alive(&laptop) && app.is_alive(&phone));
}
