//! Cookie tossing (sections 5 and 6 of the contract): a sibling subdomain sets cookies of the gateway's names
//! in the user's browser, and its page sends logouts with these planted cookies.
//!
//! The browser sends both the planted and the genuine cookie. The attacker chooses which of the two comes
//! first, by the path of the planted one.

use std::collections::BTreeSet;

use gotrue_mock::Tokens;
use serde_json::json;

use crate::harness::{
    CookieFormat, Reply, Request, TestApp, assert_deletes_cookies, assert_error, assert_success,
    session_cookies,
};

/// The name of the cookie in which @supabase/ssr stores the session of this test's project.
const SESSION: &str = "sb-127-auth-token";
const CSRF: &str = "sb-csrf-token";
const SIBLING: &str = "https://sibling.example.com";

/// The value of the session cookie, if one cookie holds the whole session.
fn session_cookie_value(tokens: &Tokens) -> String {
    session_cookies(SESSION, &tokens.access_token, &tokens.refresh_token, CookieFormat::Base64)[0]
        .1
        .clone()
}

/// A logout request with `cookies` in this order, and with `header` as the value of `X-CSRF-Token`.
fn logout_request(app: &TestApp, cookies: &[(&str, &str)], header: &str) -> Request {
    app.post("/logout").cookies(cookies).header("X-CSRF-Token", header)
}

/// The headers that browsers add for a page that can plant a cookie. The last row is for a client that is no
/// browser.
const PAGES: [&[(&str, &str)]; 6] = [
    &[("Sec-Fetch-Site", "same-site"), ("Origin", SIBLING)],
    &[("Sec-Fetch-Site", "same-site")],
    &[("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")],
    // Browsers before 2020, and Safari before 2023, send no `Sec-Fetch-Site`.
    &[("Origin", SIBLING)],
    &[("Referer", "https://sibling.example.com/page")],
    &[],
];

/// CSRF tokens that an attacker can plant: the attacker has a session and has seen a CSRF token of the
/// victim.
fn planted_tokens(attackers: &str, victims: &str) -> [(&'static str, String); 4] {
    let (own_random, own_mac) = attackers.split_once('.').unwrap();
    let (random, mac) = victims.split_once('.').unwrap();
    [
        ("made up", "made-up.value".to_owned()),
        ("of the attacker's session", attackers.to_owned()),
        ("with the victim's random part", format!("{random}.{own_mac}")),
        ("with the victim's signature", format!("{own_random}.{mac}")),
    ]
}

#[tokio::test]
async fn a_planted_csrf_pair_ends_no_session_and_blocks_no_genuine_logout() {
    let app = TestApp::new().await;
    let attacker = app.sign_up();
    let of_attacker = app.csrf_token(&attacker).await;
    for kind in 0..4 {
        for position in ["alone", "before", "behind"] {
            let victim = app.sign_up();
            let (session, genuine) = (session_cookie_value(&victim), app.csrf_token(&victim).await);
            let (kind, planted) = &planted_tokens(&of_attacker, &genuine)[kind];
            let tokens: &[&str] = match position {
                "alone" => &[planted],
                "before" => &[planted, &genuine],
                _ => &[&genuine, planted],
            };
            let cookies: Vec<_> = std::iter::once((SESSION, session.as_str()))
                .chain(tokens.iter().map(|token| (CSRF, *token)))
                .collect();
            let calls_before = app.gotrue_call_count();
            for page in PAGES {
                let reply = logout_request(&app, &cookies, planted).headers(page).send().await;
                let reason = if page.is_empty() { "invalid" } else { "cross_site" };
                assert_error(&reply, 403, "CSRF_FAILED", Some(reason));
                assert!(reply.set_cookies().is_empty(), "{kind} {position} {page:?}");
            }
            assert!(
                app.is_alive(&victim) && app.gotrue_call_count() == calls_before,
                "{kind} {position}"
            );
            if position != "alone" {
                let own = logout_request(&app, &cookies, &genuine)
                    .header("Sec-Fetch-Site", "same-origin");
                assert_success(&own.send().await, "/logout", victim.user_id, "revoked");
                assert!(!app.is_alive(&victim), "{kind} {position}");
            }
        }
    }
    assert!(app.is_alive(&attacker));
}

/// SECURITY.md states this limit of unsigned CSRF tokens: only the check of the requesting page protects a
/// user.
#[tokio::test]
async fn in_double_submit_mode_only_the_check_of_the_page_stops_a_planted_pair() {
    let app = TestApp::with_flags(&[("csrf-mode", "double-submit")]).await;
    let victim = app.sign_up();
    let session = session_cookie_value(&victim);
    let cookies = [(SESSION, session.as_str()), (CSRF, "planted"), (CSRF, "the-app's-own")];
    for page in PAGES {
        let reply = logout_request(&app, &cookies, "planted").headers(page).send().await;
        if page.is_empty() {
            assert_success(&reply, "/logout", victim.user_id, "revoked");
        } else {
            assert_error(&reply, 403, "CSRF_FAILED", Some("cross_site"));
            assert!(app.is_alive(&victim) && app.gotrue_call_count() == 0, "{page:?}");
        }
    }
    assert!(!app.is_alive(&victim));
}

/// A CSRF token is bound to all sessions of the request's cookies, so beside a planted session the gateway
/// refuses the token of one session alone. A page that fetches a new token ends all of these sessions.
#[tokio::test]
async fn beside_a_planted_session_the_csrf_token_of_one_session_is_refused_and_a_new_one_ends_both()
{
    let app = TestApp::new().await;
    for name in [SESSION, "sb-127-auth-token.0"] {
        for (planted_first, scope) in
            [(true, "local"), (true, "global"), (false, "local"), (false, "global")]
        {
            let case = format!("{name} {planted_first} {scope}");
            let (mine, planted) = (app.sign_up(), app.sign_up());
            let (first, other) = if planted_first { (&planted, &mine) } else { (&mine, &planted) };
            let of_one = [app.csrf_token(first).await, app.csrf_token(other).await];
            let values = [session_cookie_value(first), session_cookie_value(other)];
            let sessions = values.each_ref().map(|value| (name, value.as_str()));
            let target = format!("/logout?scope={scope}");
            let submit = |tokens: &[&str], header: &str| {
                let cookies = tokens.iter().map(|token| (CSRF, *token));
                let cookies: Vec<_> = sessions.into_iter().chain(cookies).collect();
                app.post(&target).cookies(&cookies).header("X-CSRF-Token", header)
            };

            let calls_before = app.gotrue_call_count();
            let all = of_one.each_ref().map(String::as_str);
            for token in all {
                let reply = submit(&all, token).send().await;
                assert_error(&reply, 403, "CSRF_FAILED", Some("invalid"));
                assert!(reply.set_cookies().is_empty(), "{case}");
            }
            assert!(app.is_alive(&mine) && app.is_alive(&planted), "{case}");
            assert_eq!(app.gotrue_call_count(), calls_before, "{case}");

            let reply = app.get("/api/auth/csrf").cookies(&sessions).send().await;
            let of_jar = reply.json()["data"]["csrf_token"].as_str().unwrap().to_owned();
            let foreign = submit(&[&of_jar], &of_jar).headers(PAGES[0]).send().await;
            assert_error(&foreign, 403, "CSRF_FAILED", Some("cross_site"));
            let reply = submit(&[&of_jar], &of_jar).send().await;
            assert_success(&reply, "/logout", first.user_id, "revoked");
            assert_deletes_cookies(&reply, &BTreeSet::from([SESSION, name, CSRF]), name);
            assert!(!app.is_alive(first) && !app.is_alive(other), "{case}");
        }
    }
}

/// The gateway must find the session whether the unreadable cookie comes before or after it.
#[tokio::test]
async fn of_an_unreadable_cookie_and_a_session_in_any_order_the_session_ends() {
    let app = TestApp::new().await;
    for name in [SESSION, "sb-127-auth-token.0"] {
        for junk in ["junk", "base64-", "%00", "base64-eyJhY2Nlc3NfdG9rZW4iOiJ4In0"] {
            for junk_first in [true, false] {
                let tokens = app.sign_up();
                let (session, csrf) =
                    (session_cookie_value(&tokens), app.csrf_token(&tokens).await);
                let mut cookies = vec![(name, junk), (name, session.as_str()), (CSRF, &csrf)];
                if !junk_first {
                    cookies.swap(0, 1);
                }
                let foreign = logout_request(&app, &cookies, &csrf).headers(PAGES[0]).send().await;
                assert_error(&foreign, 403, "CSRF_FAILED", Some("cross_site"));
                assert!(foreign.set_cookies().is_empty(), "a page of a sibling deletes no cookies");
                assert!(app.is_alive(&tokens), "{junk}");

                let reply = logout_request(&app, &cookies, &csrf).send().await;
                assert_success(&reply, "/logout", tokens.user_id, "revoked");
                assert_deletes_cookies(&reply, &BTreeSet::from([SESSION, name, CSRF]), junk);
                assert!(!app.is_alive(&tokens), "{name} {junk} {junk_first}");
            }
        }
    }
}

/// Refreshes the session's tokens at GoTrue as supabase-js does; returns the new tokens.
async fn refresh_tokens(app: &TestApp, tokens: &Tokens) -> Tokens {
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
async fn a_csrf_token_stays_valid_after_a_refresh_and_is_invalid_for_the_users_other_session() {
    let app = TestApp::new().await;
    let laptop = app.sign_up();
    let phone = app.sign_in_again(&laptop);
    let of_laptop = app.csrf_token(&laptop).await;
    let of_phone = app.csrf_token(&phone).await;
    app.advance_time(3000);
    let later = refresh_tokens(&app, &laptop).await;
    assert_ne!(later.access_token, laptop.access_token);
    let (session, other_session) = (session_cookie_value(&later), session_cookie_value(&phone));
    let calls_before = app.gotrue_call_count();
    for (held, csrf) in [(&session, &of_phone), (&other_session, &of_laptop)] {
        let cookies = [(SESSION, held.as_str()), (CSRF, csrf.as_str())];
        let reply = logout_request(&app, &cookies, csrf).send().await;
        assert_error(&reply, 403, "CSRF_FAILED", Some("invalid"));
        assert!(reply.set_cookies().is_empty());
    }
    assert!(
        app.is_alive(&laptop) && app.is_alive(&phone) && app.gotrue_call_count() == calls_before
    );

    let cookies = [(SESSION, session.as_str()), (CSRF, of_laptop.as_str())];
    let again = app.get("/api/auth/csrf").cookies(&cookies).send().await;
    assert_eq!(again.json()["data"]["csrf_token"], of_laptop.as_str());
    let reply = logout_request(&app, &cookies, &of_laptop).send().await;
    assert_success(&reply, "/logout", laptop.user_id, "revoked");
    assert!(!app.is_alive(&laptop) && app.is_alive(&phone));
}
