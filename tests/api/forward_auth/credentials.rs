//! The proxy must forward to an API only the credential that `verify` has checked.

use rstest::rstest;

use super::{ProxiedApi, proxy::Kind, recorder::Recorder};
use crate::harness::{CookieFormat, Request, ServerProcess};

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn a_session_cookie_beside_a_valid_bearer_token_never_reaches_the_api(#[case] kind: Kind) {
    let setup = ProxiedApi::new(kind).await;
    let app = &setup.app;
    let caller = app.sign_up();
    for format in CookieFormat::ALL {
        for logged_out in [false, true] {
            let case = format!("{format:?}, logged out: {logged_out}");
            let other = app.sign_up();
            let mut browser = setup.browser(&other, format);
            browser.jar.insert(browser.page, "locale", "de");
            browser.jar.insert(browser.page, "sb-csrf-token", "t");
            if logged_out {
                let logout = setup.request("POST", "/logout").bearer(&other.access_token);
                assert_eq!(logout.send().await.status, 200, "{case}");
            }
            let before = setup.api.count();
            let request = browser.request("GET", "/").bearer(&caller.access_token);
            let reply = request.send().await;
            if reply.status == 401 {
                // The gateway may refuse this request, because it has an ended session in its cookie.
                assert!(logged_out && setup.api.count() == before, "{case}: {reply:?}");
                continue;
            }
            assert_eq!((reply.status, setup.api.count()), (200, before + 1), "{case}");
            let received = setup.api.last();
            assert!(received.header_values("cookie").is_empty(), "{case}");
            assert_eq!(
                received.header_values("x-auth-user-id"),
                [caller.user_id.to_string()],
                "{case}"
            );
            assert_eq!(received.header_values("x-auth-carrier"), ["bearer"], "{case}");
            assert_eq!(received.header_values("authorization").len(), 1, "{case}");
        }
    }
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn an_authorization_header_beside_a_session_cookie_never_reaches_the_api(#[case] kind: Kind) {
    let setup = ProxiedApi::new(kind).await;
    let tokens = setup.app.sign_up();
    for format in CookieFormat::ALL {
        let mut browser = setup.browser(&tokens, format);
        browser.jar.insert(browser.page, "locale", "de");
        let request = browser.request("GET", "/account").header("Authorization", "Basic YTpi");
        setup.assert_let_in(request, &tokens, &format!("{format:?}")).await;
        let received = setup.api.last();
        assert_eq!(received.header_values("x-auth-carrier"), ["cookie"], "{format:?}");
        assert!(received.header_values("authorization").is_empty(), "{format:?}");
        let sent = browser.jar.cookies_for(browser.page);
        let sent: Vec<String> =
            sent.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(received.cookies(), sent, "{format:?}: the API gets the session cookies");
    }
}

/// A server in place of the gateway that accepts every request and returns `carrier` as `X-Auth-Carrier`.
fn accepting_gateway(carrier: &str) -> Recorder {
    let identity = [("X-Auth-User-Id", "ada"), ("X-Auth-Carrier", carrier)];
    Recorder::start(200, &identity, "")
}

/// Starts an [`accepting_gateway`], an API, and a proxy in front of both.
async fn start_accepting(kind: Kind, carrier: &str) -> (Recorder, Recorder, ServerProcess) {
    let gateway = accepting_gateway(carrier);
    let api = Recorder::api();
    let proxy = kind.start(gateway.address, api.address).await;
    (gateway, api, proxy)
}

/// `Cookie` headers in which some parser may find a session cookie of the project.
const SESSION_COOKIES: [&[u8]; 14] = [
    b"sb-127-auth-token=x",
    b"a=b; sb-127-auth-token.0=x; c=d; sb-127-auth-token.1=y",
    b"__Host-sb-127-auth-token=x; sb-access-token=x",
    b"\xa0sb-127-auth-token=x",
    b"\xc2\xa0sb-127-auth-token=x",
    b"a=b;\tsb-127-auth-token=x",
    b"a=b;\x0bsb-127-auth-token=x",
    b"a=b sb-127-auth-token=x",
    b"a=b, sb-127-auth-token=x",
    b"%73b-127-auth-token=x",
    b"SB-127-auth-token=x",
    b"\"sb-127-auth-token\"=x",
    b"a=\"b; sb-127-auth-token=x; c=\"d",
    b"locale=de,sb-127-auth-token=x",
];

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn no_cookie_reaches_the_api_beside_a_bearer_token(#[case] kind: Kind) {
    let (_gateway, api, proxy) = start_accepting(kind, "bearer").await;
    let request = || Request::new(proxy.address, "GET", "/").bearer("t");
    for sent in SESSION_COOKIES.into_iter().chain([&b"locale=de"[..]]) {
        let case = String::from_utf8_lossy(sent);
        let before = api.count();
        let lines = request().header("Cookie", "a=b").header("Cookie", sent);
        for request in [request().header("Cookie", sent), lines] {
            let reply = request.send().await;
            if reply.status == 400 {
                // Caddy refuses a header with control characters, so the request must not reach the API.
                assert_eq!(api.count(), before, "{case}");
                continue;
            }
            assert_eq!(reply.status, 200, "{case}");
            assert!(api.last().header_values("cookie").is_empty(), "{case}");
            assert_eq!(api.last().header_values("authorization"), ["Bearer t"], "{case}");
        }
    }
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn an_allowed_cookie_reaches_the_api_without_the_others(#[case] kind: Kind) {
    let gateway = accepting_gateway("bearer");
    let api = Recorder::api();
    let proxy = kind.start_with_locale(gateway.address, api.address).await;
    let request = || Request::new(proxy.address, "GET", "/").bearer("t");
    for sent in SESSION_COOKIES {
        for locale in ["", "de", "d%65", "d\u{e9}", "\"de\"", "a b", &"x".repeat(65)] {
            let locale = format!("locale={locale}");
            let pairs = [locale.as_bytes(), sent];
            let (first, last) =
                (pairs.join(&b"; "[..]), [sent, locale.as_bytes()].join(&b"; "[..]));
            let lines = request().header("Cookie", &locale).header("Cookie", sent);
            let single = [first, last].map(|header| request().header("Cookie", header));
            for request in single.into_iter().chain([lines]) {
                let case = format!("{request:?}");
                if request.send().await.status == 400 {
                    continue;
                }
                match *api.last().header_values("cookie") {
                    [] => {}
                    ["locale=de"] => assert_eq!(locale, "locale=de", "{case}"),
                    ref other => panic!("{case}: {other:?}"),
                }
            }
        }
    }
    for sent in
        ["locale=de", "a=b; locale=de", "locale=de; sb-127-auth-token=x", "a=b; locale=de; c=d"]
    {
        assert_eq!(request().header("Cookie", sent).send().await.status, 200);
        assert_eq!(api.last().header_values("cookie"), ["locale=de"], "{sent}");
    }
    for sent in ["a=b", "xlocale=de", "locale=", "locale2=de"] {
        assert_eq!(request().header("Cookie", sent).send().await.status, 200);
        assert!(api.last().header_values("cookie").is_empty(), "{sent}");
    }
    for carrier in ["", "cookie"] {
        let gateway = accepting_gateway(carrier);
        let proxy = kind.start_with_locale(gateway.address, api.address).await;
        let request = Request::new(proxy.address, "GET", "/").header("Cookie", "locale=de; a=b");
        assert_eq!(request.header("Cookie", "locale=fr").send().await.status, 200);
        let all: &[&str] =
            if carrier == "cookie" { &["locale=de", "a=b", "locale=fr"] } else { &[] };
        assert_eq!(api.last().cookies(), all, "{carrier}");
    }
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn a_cookie_header_with_unusual_bytes_never_reaches_the_api(#[case] kind: Kind) {
    let (_gateway, api, proxy) = start_accepting(kind, "cookie").await;
    let request = || Request::new(proxy.address, "GET", "/");
    let plain = "a=b; sb-127-auth-token=~!x, y=\"z\"";
    assert_eq!(request().header("Cookie", plain).send().await.status, 200);
    assert_eq!(api.last().header_values("cookie"), [plain]);
    for unusual in ["\u{a0}sb-127-auth-token=x", "a=b;\tc=d", "locale=fran\u{e7}ais"] {
        let lines = request().header("Cookie", plain).header("Cookie", unusual);
        for request in [request().header("Cookie", unusual), lines] {
            assert_eq!(request.send().await.status, 200, "{unusual:?}");
            assert!(api.last().header_values("cookie").is_empty(), "{unusual:?}");
        }
    }
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn without_a_known_carrier_the_api_gets_no_credential(#[case] kind: Kind) {
    for carrier in ["", "another"] {
        let (gateway, api, proxy) = start_accepting(kind, carrier).await;
        let request = |method, path| {
            let request = Request::new(proxy.address, method, path).bearer("t");
            let request = request.header("X-Auth-Carrier", "bearer");
            request.header("Cookie", "sb-127-auth-token=x; a=b")
        };
        assert_eq!(request("GET", "/").send().await.status, 200);
        let received = api.last();
        assert!(received.header_values("cookie").is_empty(), "{carrier}");
        assert!(received.header_values("authorization").is_empty(), "{carrier}");
        assert!(!received.header_values("x-auth-carrier").contains(&"bearer"), "{carrier}");
        // The proxy must pass all credentials to the gateway's own routes.
        assert_eq!(request("POST", "/logout").send().await.status, 200);
        let received = gateway.last();
        assert_eq!(received.line(), "POST /logout");
        assert_eq!(received.header_values("authorization"), ["Bearer t"]);
        assert_eq!(received.header_values("cookie"), ["sb-127-auth-token=x; a=b"]);
    }
}
