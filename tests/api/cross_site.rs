//! Section 5 of the contract, layer 1: the gateway checks which page sends a logout request.

use crate::harness::{Browser, CookieFormat, Setup, TestApp, assert_error, assert_success};

const APP: &str = "https://app.example.com";
const EVIL: &str = "https://evil.example";

/// Each row has `Sec-Fetch-Site` (`EMPTY` is a header with an empty value), `Origin` and `Referer` (`OWN` is
/// the gateway's own origin). Then it says whether the gateway accepts the request without allowed origins,
/// and whether it accepts the request if `APP` is an allowed origin.
const PAGE_CHECK_CASES: &[(&str, &str, &str, bool, bool)] = &[
    ("", "", "", true, true),
    ("same-origin", "", "", true, true),
    ("none", "", "", true, true),
    ("same-origin", "OWN", "OWN/page", true, true),
    ("cross-site", "", "", false, false),
    ("same-site", "", "", false, false),
    ("cross-site", EVIL, "", false, false),
    ("same-site", EVIL, "", false, false),
    ("cross-site", "OWN", "", false, false),
    ("same-site", "OWN", "", false, false),
    ("cross-site", "null", "", false, false),
    ("cross-site", APP, "", false, true),
    ("same-site", APP, "", false, true),
    ("cross-site", "", "https://app.example.com/x", false, true),
    ("cross-site", "null", "https://app.example.com/x", false, false),
    ("", "OWN", "", true, true),
    ("", APP, "", false, true),
    ("", EVIL, "", false, false),
    ("", "null", "", false, false),
    ("", "https://app.example.com.evil.example", "", false, false),
    ("", "https://app.example.com:8443", "", false, false),
    ("", "http://127.0.0.1:1", "", false, false),
    ("", "OWN", EVIL, true, true),
    ("", EVIL, "OWN/page", false, false),
    ("", "null", "OWN/page", false, false),
    ("", "", "OWN/page?x=1", true, true),
    ("", "", "https://app.example.com/x", false, true),
    ("", "", "https://evil.example/OWN", false, false),
    ("", "", "about:blank", false, false),
    ("", "", "garbage", false, false),
    // A page with `Referrer-Policy: no-referrer` posts its form with `Origin: null`.
    ("same-origin", "null", "", true, true),
    ("same-origin", "null", "OWN/page", true, true),
    ("none", "null", "", true, true),
    ("cross-site", "null", "", false, false),
    ("same-site", "null", "", false, false),
    ("unheard-of", "", "", false, false),
    ("EMPTY", "", "", false, false),
    ("Same-Origin", "", "", false, false),
    ("same-origin, cross-site", "", "", false, false),
    ("unheard-of", "null", "", false, false),
    ("unheard-of", EVIL, "", false, false),
    ("unheard-of", "OWN", "", true, true),
    ("EMPTY", "OWN", "", true, true),
    ("unheard-of", "", "OWN/page", true, true),
    ("EMPTY", APP, "", false, true),
];

#[tokio::test]
async fn a_request_of_a_foreign_page_is_refused_before_any_other_check() {
    for allowed in [false, true] {
        let setup = Setup::new();
        let setup = if allowed { setup.flag("allowed-origins", APP) } else { setup };
        let app = setup.start().await;
        let own = format!("http://{}", app.address);
        for &(site, origin, referer, accepted_by_default, accepted_if_allowed) in PAGE_CHECK_CASES {
            let accepted = if allowed { accepted_if_allowed } else { accepted_by_default };
            let case = format!("{site:?} {origin:?} {referer:?}, allowed: {allowed}");
            let tokens = app.sign_up();
            let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
            let lines = [("Sec-Fetch-Site", site), ("Origin", origin), ("Referer", referer)];
            let lines = lines.iter().filter(|(_, value)| !value.is_empty());
            browser.headers = lines
                .map(|(name, value)| (*name, value.replace("OWN", &own).replace("EMPTY", "")))
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            let calls_before = app.gotrue_call_count();

            let csrf = browser.request("GET", "/api/auth/csrf").send().await;
            let by_bearer =
                browser.request("GET", "/api/auth/csrf").bearer(&tokens.access_token).send().await;
            let reply = browser.logout_request("/logout").send().await;
            if accepted {
                assert_eq!((csrf.status, by_bearer.status), (200, 200), "{case}");
                assert_success(&reply, "/logout", tokens.user_id, "revoked");
            } else {
                for reply in [&csrf, &by_bearer, &reply] {
                    assert_error(reply, 403, "CSRF_FAILED", Some("cross_site"));
                    assert!(reply.set_cookies().is_empty(), "{case}");
                    assert_eq!(reply.header("x-logout-outcome"), None, "{case}");
                }
                assert_eq!(app.gotrue_call_count(), calls_before, "{case}");
                let bearer = browser.request("POST", "/logout").bearer(&tokens.access_token);
                assert!(app.is_alive(&tokens), "{case}");
                assert_eq!(
                    bearer.send().await.status,
                    200,
                    "a browser adds no Bearer token by itself: {case}"
                );
            }
            assert!(!app.is_alive(&tokens), "{case}");
        }
    }
}

/// A web view that sends no `Origin` may still send a `Referer`.
#[tokio::test]
async fn an_allowed_origin_of_an_app_is_known_by_its_origin_and_by_its_referer() {
    let page = "capacitor://localhost";
    let app = TestApp::with_flags(&[("allowed-origins", page)]).await;
    for (headers, is_allowed) in [
        ([("Origin", page)], true),
        ([("Referer", "capacitor://localhost/index.html?a=b")], true),
        ([("Referer", "capacitor://localhost.evil.example/")], false),
        ([("Referer", "ionic://localhost/")], false),
        ([("Referer", "file:///index.html")], false),
    ] {
        let tokens = app.sign_up();
        let mut browser = Browser::signed_in(&app, &tokens, CookieFormat::Base64).await;
        browser.headers.clear();
        let reply = browser.logout_request("/logout").headers(&headers).send().await;
        assert_eq!(reply.status, if is_allowed { 200 } else { 403 }, "{headers:?}");
        assert_eq!(app.is_alive(&tokens), !is_allowed, "{headers:?}");
    }
}

/// Whether the gateway trusts the proxy, the request's `Host`, the proxy's headers, the request's `Origin`,
/// and whether the gateway must take that origin for its own.
type OwnOriginCase =
    (bool, &'static str, &'static [(&'static str, &'static str)], &'static str, bool);

#[tokio::test]
async fn the_own_origin_is_the_host_with_the_scheme_of_a_trusted_proxys_header() {
    const HTTPS: (&str, &str) = ("X-Forwarded-Proto", "https");
    const PUBLIC_HOST: (&str, &str) = ("X-Forwarded-Host", "app.example.com");
    const PORT: (&str, &str) = ("X-Forwarded-Port", "8080");
    const TWO_HOSTS: (&str, &str) = ("X-Forwarded-Host", "evil.example, app.example.com");
    let rows: &[OwnOriginCase] = &[
        (false, "app.example.com", &[], "http://app.example.com", true),
        (false, "APP.example.com:80", &[], "http://app.example.com", true),
        (false, "app.example.com:8080", &[], "http://app.example.com:8080", true),
        (false, "app.example.com", &[], "https://app.example.com", false),
        (false, "app.example.com", &[HTTPS], "https://app.example.com", false),
        (false, "evil.example", &[PUBLIC_HOST], "http://app.example.com", false),
        (true, "app.example.com", &[HTTPS], "https://app.example.com", true),
        (true, "app.example.com:443", &[HTTPS], "https://app.example.com", true),
        (true, "gateway:8080", &[HTTPS, PUBLIC_HOST], "https://app.example.com", true),
        (true, "gateway:8080", &[HTTPS, PUBLIC_HOST], "http://gateway:8080", false),
        (true, "gateway", &[HTTPS, TWO_HOSTS], APP, true),
        (true, "gateway", &[HTTPS, TWO_HOSTS], EVIL, false),
        (true, "192.168.1.20", &[PORT], "http://192.168.1.20:8080", true),
        (true, "192.168.1.20", &[PORT], "http://192.168.1.20", false),
        (true, "192.168.1.20:3000", &[PORT], "http://192.168.1.20:3000", true),
        (true, "192.168.1.20:3000", &[PORT], "http://192.168.1.20:8080", false),
        (false, "192.168.1.20", &[PORT], "http://192.168.1.20:8080", false),
        (false, "192.168.1.20", &[PORT], "http://192.168.1.20", true),
    ];
    let alone = TestApp::new().await;
    let behind = TestApp::with_flags(&[("trusted-proxies", "10.0.0.0/8, 127.0.0.1")]).await;
    for (trusted, host, headers, origin, own) in rows {
        let app = if *trusted { &behind } else { &alone };
        let tokens = app.sign_up();
        let mut browser = Browser::signed_in(app, &tokens, CookieFormat::Base64).await;
        browser.headers = vec![("Origin".to_owned(), (*origin).to_owned())];
        let reply = browser.logout_request("/logout").host(host).headers(headers).send().await;
        assert_eq!(reply.status, if *own { 200 } else { 403 }, "{host} {headers:?} {origin}");
        assert_eq!(app.is_alive(&tokens), !own);
    }
}
