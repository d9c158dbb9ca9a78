//! Section 5 of the contract, layers 2 and 3: double submit of a CSRF token that is signed for the session.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use gotrue_mock::{Algorithm, Tokens};
use logout_gateway::internals::csrf::{Binding, BoundTo, Csrf};

use serde_json::json;

use crate::harness::{
    Browser, CookieFormat, Reply, SECRET, Setup, TestApp, assert_error, assert_success, claims_of,
    hs256_token,
};

/// Sends a logout with the browser's session cookies, with `header` as `X-CSRF-Token` if given, and with
/// `cookies` as the values of CSRF cookies.
async fn send_logout(browser: &Browser, header: Option<&str>, cookies: &[&str]) -> Reply {
    let mut pairs = browser.jar.cookies_for(browser.page);
    pairs.retain(|(name, _)| name != "sb-csrf-token");
    pairs.extend(cookies.iter().map(|c| ("sb-csrf-token".to_owned(), (*c).to_owned())));
    let mut request = browser.request_without_cookies("POST", "/logout").cookies(&pairs);
    if let Some(header) = header {
        request = request.header("X-CSRF-Token", header);
    }
    request.send().await
}

#[tokio::test]
async fn header_and_cookie_must_be_equal_and_belong_to_the_session() {
    let app = TestApp::new().await;
    let (mine, theirs) = (app.sign_up(), app.sign_up());
    let same_user = app.sign_in_again(&mine);
    let browser = Browser::signed_in(&app, &mine, CookieFormat::Base64).await;
    let good = browser.csrf_cookie().unwrap();
    let (random, mac) = good.split_once('.').unwrap();
    assert!(BASE64_URL_SAFE_NO_PAD.decode(random).unwrap().len() >= 16);
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(mac).unwrap().len(), 32);
    let csrf_of_theirs = app.csrf_token(&theirs).await;
    let csrf_of_same_user = app.csrf_token(&same_user).await;
    let (others_random, others_mac) = csrf_of_theirs.split_once('.').unwrap();
    let mixed = [format!("{random}.{others_mac}"), format!("{others_random}.{mac}")];
    let upper = good.to_ascii_uppercase();
    let longer = format!("{good}A");
    let shorter = &good[..good.len() - 4];

    let missing: &[(Option<&str>, &[&str])] = &[
        (None, &[]),
        (None, &[&good]),
        (Some(""), &[&good]),
        (Some(&good), &[]),
        (Some(&good), &[""]),
        (Some(""), &[""]),
    ];
    for (header, cookies) in missing {
        let reply = send_logout(&browser, *header, cookies).await;
        assert_error(&reply, 403, "CSRF_FAILED", Some("missing"));
        assert!(reply.set_cookies().is_empty());
    }
    let invalid: &[(&str, &[&str])] = &[
        (&good, &[&csrf_of_theirs]),
        (&csrf_of_theirs, &[&good]),
        (&csrf_of_theirs, &[&csrf_of_theirs]),
        (&csrf_of_same_user, &[&csrf_of_same_user]),
        (&mixed[0], &[&mixed[0]]),
        (&mixed[1], &[&mixed[1]]),
        (&upper, &[&upper]),
        (&longer, &[&longer]),
        (shorter, &[shorter]),
        (random, &[random]),
        ("x", &["x"]),
        (".", &["."]),
        ("a.b", &["a.b"]),
        (&good, &["planted", &csrf_of_theirs]),
    ];
    for (header, cookies) in invalid {
        let reply = send_logout(&browser, Some(header), cookies).await;
        assert_error(&reply, 403, "CSRF_FAILED", Some("invalid"));
        assert!(reply.set_cookies().is_empty());
    }
    assert!(app.is_alive(&mine) && app.gotrue_call_count() == 0);
    let reply = send_logout(&browser, Some(&good), &[&good]).await;
    assert_success(&reply, "/logout", mine.user_id, "revoked");
    assert!(!app.is_alive(&mine) && app.is_alive(&theirs) && app.is_alive(&same_user));
}

#[tokio::test]
async fn of_several_csrf_cookies_one_valid_one_is_enough_and_all_are_deleted_at_every_domain() {
    let app = TestApp::with_flags(&[("cookie-domains", "example.com")]).await;
    for planted_first in [true, false] {
        let tokens = app.sign_up();
        let browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
        let good = browser.csrf_cookie().unwrap();
        let foreign = app.csrf_token(&app.sign_up()).await;
        let cookies =
            if planted_first { [foreign.as_str(), "x", &good] } else { [&good, "x", &foreign] };
        assert_error(
            &send_logout(&browser, Some(&foreign), &cookies).await,
            403,
            "CSRF_FAILED",
            Some("invalid"),
        );
        let reply = send_logout(&browser, Some(&good), &cookies).await;
        assert_success(&reply, "/logout", tokens.user_id, "revoked");
        let lines: Vec<&str> =
            reply.set_cookies().into_iter().filter(|l| l.starts_with("sb-csrf-token=;")).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(!lines[0].contains("Domain") && lines[1].contains("Domain=example.com"));
    }
}

#[tokio::test]
async fn the_previous_secret_is_accepted_and_others_are_not() {
    let old = "an-older-secret-0123456789-abcdefghijkl";
    let csrf_with_secret = |secret: &str| {
        let setup =
            Setup::new().flags(&[("supabase-url", "http://127.0.0.1:1"), ("secret", secret)]);
        Csrf::new(&setup.config()).unwrap()
    };
    for (previous, secret, good) in [
        (None, SECRET, true),
        (None, old, false),
        (Some(old), SECRET, true),
        (Some(old), old, true),
        (Some(old), "a-secret-that-no-gateway-has-0123456789", false),
    ] {
        let setup = Setup::new();
        let setup = match previous {
            Some(previous) => setup.flag("secret-previous", previous),
            None => setup,
        };
        let app = setup.start().await;
        let tokens = app.sign_up();
        let browser = Browser::signed_in_without_csrf(&app, &tokens, CookieFormat::Base64);
        let token = csrf_with_secret(secret)
            .mint(&Binding::to([BoundTo::Session(tokens.session_id)]))
            .unwrap();
        let request = browser
            .request("GET", "/api/auth/csrf")
            .header("Cookie", format!("sb-csrf-token={token}"));
        let returned = request.send().await.json()["data"]["csrf_token"].clone();
        assert_eq!(returned == token.as_str(), good);
        let reply = send_logout(&browser, Some(&token), &[&token]).await;
        assert_eq!(reply.status, if good { 200 } else { 403 }, "{previous:?} {secret}");
        assert_eq!(app.is_alive(&tokens), !good);
    }
}

#[tokio::test]
async fn double_submit_mode_skips_only_the_signature_check() {
    let app = TestApp::with_flags(&[("csrf-mode", "double-submit")]).await;
    let tokens = app.sign_up();
    let mut browser = Browser::signed_in_without_csrf(&app, &tokens, CookieFormat::Base64);
    for (header, cookies) in [(Some("a"), &["b"][..]), (None, &["a"]), (Some("a"), &[])] {
        assert_eq!(
            send_logout(&browser, header, cookies).await.status,
            403,
            "{header:?} {cookies:?}"
        );
    }
    browser.headers = vec![("Sec-Fetch-Site".to_owned(), "cross-site".to_owned())];
    assert_eq!(send_logout(&browser, Some("a"), &["a"]).await.status, 403);
    assert!(app.is_alive(&tokens));
    browser.headers.clear();
    let reply = send_logout(&browser, Some("the-app's-own"), &["the-app's-own"]).await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&tokens));
}

#[tokio::test]
async fn in_double_submit_mode_the_apps_own_token_is_returned_and_accepted() {
    let app = TestApp::with_flags(&[("csrf-mode", "double-submit")]).await;
    let tokens = app.sign_up();
    let mut browser = Browser::signed_in_without_csrf(&app, &tokens, CookieFormat::Base64);
    browser.jar.insert(browser.page, "sb-csrf-token", "the-app's-own");
    let reply = browser.fetch_csrf().await;
    assert_eq!(reply.json()["data"]["csrf_token"], "the-app's-own");
    assert!(reply.set_cookies().is_empty(), "the gateway does not set the app's cookie");
    assert_eq!(browser.csrf_cookie().as_deref(), Some("the-app's-own"));
    let reply = browser.logout("/logout").await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&tokens) && browser.jar.is_empty());

    let tokens = app.sign_up();
    let mut browser = Browser::signed_in_without_csrf(&app, &tokens, CookieFormat::Base64);
    browser.jar.insert(browser.page, "sb-csrf-token", "");
    assert_eq!(browser.fetch_csrf().await.status, 200);
    assert!(
        browser.csrf_cookie().is_some_and(|token| !token.is_empty()),
        "an empty cookie is replaced"
    );
    let reply = browser.logout("/logout").await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    assert!(!app.is_alive(&tokens));
}

#[tokio::test]
async fn a_second_tab_does_not_invalidate_the_token_of_the_first() {
    let app = TestApp::new().await;
    let tokens = app.sign_up();
    let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
    let first = browser.csrf_cookie().unwrap();
    let again = browser.fetch_csrf().await;
    assert_eq!(again.json()["data"]["csrf_token"], first.as_str());
    assert_eq!(browser.csrf_cookie().unwrap(), first);
    let attributes = again.header("set-cookie").unwrap().split_once("; ").unwrap().1;
    for attribute in ["Path=/", "SameSite=Lax", "Max-Age="] {
        assert!(attributes.contains(attribute), "{attributes}");
    }
    assert!(!attributes.contains("HttpOnly"), "scripts must read the cookie");
    let planted =
        browser.request_without_cookies("GET", "/api/auth/csrf").bearer(&tokens.access_token);
    let planted = planted.cookies(&[("sb-csrf-token", "planted"), ("sb-csrf-token", &first)]);
    assert_eq!(planted.send().await.json()["data"]["csrf_token"], first.as_str());
    let other = app.sign_up();
    let of_other = app.get("/api/auth/csrf").bearer(&other.access_token);
    let fresh = of_other.cookies(&[("sb-csrf-token", &first)]).send().await;
    assert_ne!(
        fresh.json()["data"]["csrf_token"],
        first.as_str(),
        "a token of another session is replaced"
    );
}

#[tokio::test]
async fn genuine_sessions_get_a_csrf_token_even_if_expired_or_ended_and_no_others_do() {
    let app = TestApp::new().await;
    let (expired, ended) = (app.sign_up(), app.sign_up());
    app.advance_time(3600);
    assert!(app.mock.delete_session(ended.session_id));
    for tokens in [&expired, &ended, &app.sign_up()] {
        let reply = app.get("/api/auth/csrf").bearer(&tokens.access_token).send().await;
        assert_eq!(reply.status, 200);
        let mut browser = Browser::signed_in_without_csrf(&app, tokens, CookieFormat::Base64);
        assert_eq!(browser.fetch_csrf().await.status, 200);
    }
    let reply = app.get("/api/auth/csrf").send().await;
    assert_error(&reply, 401, "NOT_AUTHENTICATED", Some("missing"));
    for cookie in ["garbage", "base64-", "%"] {
        let request = app.get("/api/auth/csrf").cookies(&[("sb-127-auth-token", cookie)]);
        assert_error(&request.send().await, 401, "NOT_AUTHENTICATED", Some("invalid"));
    }
    assert_eq!(app.gotrue_call_count(), 0);
}

#[tokio::test]
async fn an_expired_forged_token_gets_a_csrf_token_that_is_valid_for_itself_only() {
    let app = Setup::new().algorithm(Algorithm::Hs256).start().await;
    let victim = app.sign_up();
    let mut claims = claims_of(&victim.access_token);
    claims["exp"] = json!(app.clock.now() - 1);
    let forged = hs256_token(&claims, "a-secret-of-someone-else-0123456789");
    let attacker = Tokens { access_token: forged, ..victim.clone() };
    let planted = Browser::signed_in(&app, &attacker, CookieFormat::Base64).await.csrf_cookie();
    let planted = planted.expect("a CSRF token");
    let mut browser = Browser::signed_in_without_csrf(&app, &victim, CookieFormat::Base64);
    browser.jar.insert(browser.page, "sb-csrf-token", &planted);
    let post = || browser.request("POST", "/logout").header("X-CSRF-Token", &planted);
    assert_error(&post().send().await, 403, "CSRF_FAILED", Some("invalid"));
    // The CSRF token must be invalid for the victim's cookies, even if the forged token is also the Bearer
    // token.
    let reply = post().bearer(&attacker.access_token).send().await;
    assert_error(&reply, 403, "CSRF_FAILED", Some("invalid"));
    assert!(app.is_alive(&victim));
}
