//! The set-up of docs/hosting.md for an app on a hosting platform: the app is at `app.example.com`, the gateway at
//! `auth.example.com`, and the session cookie has the domain that both share.

use gotrue_mock::Tokens;
use rstest::rstest;

use crate::harness::{
    Browser, CookieFormat, CookieJar, Page, TestApp, assert_error, session_cookies,
};

const APP: &str = "https://app.example.com";
const APP_PAGE: Page = Page { host: "app.example.com", path: "/", https: true, cross_site: false };
const GATEWAY_PAGE: Page = Page { host: "auth.example.com", ..APP_PAGE };

type Flags = &'static [(&'static str, &'static str)];

/// The platform's proxy has a known address, and the gateway uses its `X-Forwarded-*` headers.
const WITH_TRUSTED_PROXY: Flags = &[
    ("allowed-origins", APP),
    ("cookie-domains", "example.com"),
    ("trusted-proxies", "127.0.0.1"),
];
/// The address of the platform's proxy is not known, so the gateway ignores its headers.
const WITHOUT_TRUSTED_PROXY: Flags =
    &[("allowed-origins", APP), ("cookie-domains", "example.com"), ("cookie-secure", "true")];

/// The attribute of cookies that all hosts below `example.com` get.
const SHARED: &str = "; Domain=example.com";
const OF_THE_APP_ALONE: &str = "";

/// A browser with a page of the app and a session in several cookies with the attribute `domain`.
fn signed_in(app: &TestApp, tokens: &Tokens, domain: &str) -> Browser {
    let mut browser = Browser::signed_in_without_csrf(app, tokens, CookieFormat::Chunked);
    browser.jar = CookieJar::default();
    browser.page = GATEWAY_PAGE;
    let (access, refresh) = (&tokens.access_token, &tokens.refresh_token);
    for (name, value) in
        session_cookies("sb-127-auth-token", access, refresh, CookieFormat::Chunked)
    {
        let line = format!("{name}={value}; Path=/; Secure; SameSite=Lax{domain}");
        browser.jar.store_set_cookie(APP_PAGE, &line);
    }
    assert!(browser.jar.names().len() > 1, "the session has several cookies");
    browser.headers = [
        ("Origin", APP),
        ("Sec-Fetch-Site", "same-site"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-For", "203.0.113.7"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    browser
}

#[rstest]
#[case::with_trusted_proxy(WITH_TRUSTED_PROXY)]
#[case::without_trusted_proxy(WITHOUT_TRUSTED_PROXY)]
#[tokio::test]
async fn a_page_of_the_app_signs_out_at_the_gateways_subdomain(#[case] flags: Flags) {
    let app = TestApp::with_flags(flags).await;
    let tokens = app.sign_up();
    let mut browser = signed_in(&app, &tokens, SHARED);

    let preflight = app.request("OPTIONS", "/api/auth/logout").host(GATEWAY_PAGE.host).headers(&[
        ("Origin", APP),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "x-csrf-token"),
    ]);
    let preflight = preflight.send().await;
    assert_eq!(preflight.header("access-control-allow-origin"), Some(APP));
    assert_eq!(preflight.header("access-control-allow-credentials"), Some("true"));

    let csrf = browser.request("GET", "/api/auth/csrf").host(GATEWAY_PAGE.host).send().await;
    assert_eq!(csrf.header("access-control-allow-origin"), Some(APP));
    browser.store_cookies(&csrf);
    // The page cannot read the gateway's cookie, so it takes the token from the body.
    let token = csrf.json()["data"]["csrf_token"].as_str().unwrap().to_owned();
    let logout = browser.request("POST", "/api/auth/logout").host(GATEWAY_PAGE.host);
    let logout = logout.header("X-CSRF-Token", token).send().await;
    browser.store_cookies(&logout);

    assert_eq!(logout.header("x-logout-outcome"), Some("revoked"), "{logout:?}");
    assert!(!app.is_alive(&tokens));
    assert!(browser.jar.is_empty(), "{:?}", browser.jar.names());
}

#[rstest]
#[case::with_trusted_proxy(WITH_TRUSTED_PROXY)]
#[case::without_trusted_proxy(WITHOUT_TRUSTED_PROXY)]
#[tokio::test]
async fn another_subdomain_cannot_sign_the_user_out(#[case] flags: Flags) {
    let app = TestApp::with_flags(flags).await;
    let tokens = app.sign_up();
    let mut browser = signed_in(&app, &tokens, SHARED);
    assert_eq!(browser.fetch_csrf().await.status, 200);
    browser.headers[0].1 = "https://blog.example.com".to_owned();

    let reply = browser.logout("/api/auth/logout").await;

    assert_error(&reply, 403, "CSRF_FAILED", Some("cross_site"));
    assert!(app.is_alive(&tokens));
    assert!(reply.set_cookies().is_empty());
}

#[tokio::test]
async fn without_the_shared_domain_the_session_ends_but_its_cookies_stay() {
    let app = TestApp::with_flags(&[("allowed-origins", APP), ("cookie-secure", "true")]).await;
    let tokens = app.sign_up();
    let mut browser = signed_in(&app, &tokens, SHARED);
    assert_eq!(browser.fetch_csrf().await.status, 200);

    let reply = browser.logout("/api/auth/logout").await;

    assert_eq!(reply.header("x-logout-outcome"), Some("revoked"));
    assert!(!app.is_alive(&tokens));
    let left = browser.jar.names();
    assert!(left.iter().all(|name| name.starts_with("sb-127-auth-token")), "{left:?}");
    assert!(!left.is_empty());
}

/// A rewrite of the hosting platform sends the browser's request to the gateway with another `Host`. The second case is a
/// browser without `Sec-Fetch-Site`, whose `Origin` is not that of the gateway's `Host`.
#[rstest]
#[case::browser_with_sec_fetch_site(Some("same-origin"))]
#[case::browser_without_sec_fetch_site(None)]
#[tokio::test]
async fn a_page_signs_out_through_a_rewrite_of_its_own_origin(#[case] site: Option<&str>) {
    let app = TestApp::with_flags(&[("allowed-origins", APP), ("cookie-secure", "true")]).await;
    let tokens = app.sign_up();
    let mut browser = signed_in(&app, &tokens, OF_THE_APP_ALONE);
    browser.page = APP_PAGE;
    browser.headers.retain(|(name, _)| name != "Sec-Fetch-Site");
    browser.headers.extend(site.map(|site| ("Sec-Fetch-Site".to_owned(), site.to_owned())));
    let csrf = browser.request("GET", "/api/auth/csrf").host("gateway.example.net").send().await;
    assert_eq!(csrf.status, 200, "{csrf:?}");
    browser.store_cookies(&csrf);

    let logout = browser.logout_request("/api/auth/logout").host("gateway.example.net");
    let logout = logout.send().await;
    browser.store_cookies(&logout);

    assert_eq!(logout.header("x-logout-outcome"), Some("revoked"), "{logout:?}");
    assert!(!app.is_alive(&tokens));
    assert!(browser.jar.is_empty(), "{:?}", browser.jar.names());
}
