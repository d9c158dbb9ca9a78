//! An API behind the proxy gets the credential that `verify` judged, and no other.

use rstest::rstest;

use super::{Scene, proxy::Kind, recorder::Recorder};
use crate::harness::{Form, Program, Request};

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn a_session_cookie_beside_a_living_bearer_never_reaches_the_api(#[case] kind: Kind) {
    let scene = Scene::new(kind).await;
    let stage = &scene.stage;
    let caller = stage.sign_up();
    for form in Form::ALL {
        for logged_out in [false, true] {
            let case = format!("{form:?}, logged out: {logged_out}");
            let other = stage.sign_up();
            let mut browser = scene.browser(&other, form);
            browser.jar.put(browser.page, "locale", "de");
            browser.jar.put(browser.page, "sb-csrf-token", "t");
            if logged_out {
                let logout = scene.request("POST", "/logout").bearer(&other.access_token);
                assert_eq!(logout.send().await.status, 200, "{case}");
            }
            let before = scene.api.count();
            let request = browser.request("GET", "/").bearer(&caller.access_token);
            let reply = request.send().await;
            if reply.status == 401 {
                // The gateway may refuse an ended session beside a living one.
                assert!(logged_out && scene.api.count() == before, "{case}: {reply:?}");
                continue;
            }
            assert_eq!((reply.status, scene.api.count()), (200, before + 1), "{case}");
            let seen = scene.api.last();
            assert_eq!(seen.cookies(), ["locale=de", "sb-csrf-token=t"], "{case}");
            assert_eq!(seen.all("x-auth-user-id"), [caller.user_id.to_string()], "{case}");
            assert_eq!(seen.all("x-auth-carrier"), ["bearer"], "{case}");
            assert_eq!(seen.all("authorization").len(), 1, "{case}");
        }
    }
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn an_authorization_header_beside_a_session_cookie_never_reaches_the_api(#[case] kind: Kind) {
    let scene = Scene::new(kind).await;
    let tokens = scene.stage.sign_up();
    for form in Form::ALL {
        let mut browser = scene.browser(&tokens, form);
        browser.jar.put(browser.page, "locale", "de");
        let request = browser.request("GET", "/account").header("Authorization", "Basic YTpi");
        scene.assert_let_in(request, &tokens, &format!("{form:?}")).await;
        let seen = scene.api.last();
        assert_eq!(seen.all("x-auth-carrier"), ["cookie"], "{form:?}");
        assert!(seen.all("authorization").is_empty(), "{form:?}");
        let sent = browser.jar.sent_to(browser.page);
        let sent: Vec<String> =
            sent.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(seen.cookies(), sent, "{form:?}: a page of the app still reads the session");
    }
}

/// A gateway that vouches for a credential of this kind.
async fn vouching(kind: Kind, carrier: &str) -> (Recorder, Recorder, Program) {
    let identity = [("X-Auth-User-Id", "ada"), ("X-Auth-Carrier", carrier)];
    let gateway = Recorder::start(200, &identity, "");
    let api = Recorder::api();
    let proxy = kind.start(gateway.address, api.address).await;
    (gateway, api, proxy)
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn cookies_that_hold_no_session_reach_the_api_beside_a_bearer(#[case] kind: Kind) {
    let (_gateway, api, proxy) = vouching(kind, "bearer").await;
    let long = "x".repeat(3180);
    let chunks: Vec<String> = (0..14).map(|n| format!("sb-127-auth-token.{n}={long}")).collect();
    let others: Vec<String> = (0..200).map(|n| format!("other{n}={n}")).collect();
    let large = [&others[..100], &chunks[..], &others[100..]].concat().join("; ");
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let rows: [(&str, &[&str]); 15] = [
        ("a=b; c=d", &["a=b", "c=d"]),
        ("sb-127-auth-token=x", &[]),
        ("sb-127-auth-token=x; a=b", &["a=b"]),
        ("a=b; sb-127-auth-token=x", &["a=b"]),
        ("a=b; sb-127-auth-token=x; c=d", &["a=b", "c=d"]),
        ("a=b;sb-127-auth-token=x;c=d", &["a=b", "c=d"]),
        ("sb-127-auth-token.0=x; sb-127-auth-token.1=y; a=b", &["a=b"]),
        ("sb-127-auth-token.0=x; a=b; sb-127-auth-token.1=y; c=d", &["a=b", "c=d"]),
        ("a=b; sb-another-auth-token=x; sb-another-auth-token-user=y", &["a=b"]),
        ("__Host-sb-127-auth-token=x; __Secure-sb-127-auth-token.0=x; a=b", &["a=b"]),
        ("sb-access-token=x; a=b; sb-refresh-token=y", &["a=b"]),
        ("sb-127-auth-token =x; a=b;\t sb-127-auth-token.0=x", &["a=b"]),
        ("sb-csrf-token=t; sb-127-auth-token=x", &["sb-csrf-token=t"]),
        (
            "a=sb-127-auth-token=x; sb-127-auth-token-code-verifier=v",
            &["a=sb-127-auth-token=x", "sb-127-auth-token-code-verifier=v"],
        ),
        (&large, &others),
    ];
    for (sent, kept) in rows {
        let case = &sent[..sent.len().min(80)];
        let request = Request::new(proxy.address, "GET", "/").bearer("t").header("Cookie", sent);
        assert_eq!(request.send().await.status, 200, "{case}");
        assert_eq!(api.last().cookies(), kept, "{case}");
        assert_eq!(api.last().all("authorization"), ["Bearer t"], "{case}");
    }
    let request = Request::new(proxy.address, "GET", "/").header("Cookie", "a=b");
    let request = request.header("Cookie", "sb-127-auth-token=x").header("Cookie", "c=d");
    assert_eq!(request.send().await.status, 200);
    assert_eq!(api.last().cookies(), ["a=b", "c=d"], "in lines of their own");
    // nginx edits two runs and then drops the header.
    let runs = "sb-a-auth-token=x; a=b; sb-b-auth-token=x; c=d; sb-c-auth-token=x; e=f";
    let request = Request::new(proxy.address, "GET", "/").header("Cookie", runs);
    assert_eq!(request.send().await.status, 200);
    match kind {
        Kind::Nginx => assert!(api.last().cookies().is_empty()),
        Kind::Caddy => assert_eq!(api.last().cookies(), ["a=b", "c=d", "e=f"]),
    }
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn without_a_word_about_the_carrier_the_api_gets_no_credential(#[case] kind: Kind) {
    for carrier in ["", "another"] {
        let (gateway, api, proxy) = vouching(kind, carrier).await;
        let request = |method, path| {
            let request = Request::new(proxy.address, method, path).bearer("t");
            let request = request.header("X-Auth-Carrier", "bearer");
            request.header("Cookie", "sb-127-auth-token=x; a=b")
        };
        assert_eq!(request("GET", "/").send().await.status, 200);
        let seen = api.last();
        assert_eq!(seen.cookies(), ["a=b"], "{carrier}");
        assert!(seen.all("authorization").is_empty(), "{carrier}");
        assert!(!seen.all("x-auth-carrier").contains(&"bearer"), "{carrier}");
        // The gateway's own routes judge all of it.
        assert_eq!(request("POST", "/logout").send().await.status, 200);
        let seen = gateway.last();
        assert_eq!(seen.line(), "POST /logout");
        assert_eq!(seen.all("authorization"), ["Bearer t"]);
        assert_eq!(seen.all("cookie"), ["sb-127-auth-token=x; a=b"]);
    }
}
