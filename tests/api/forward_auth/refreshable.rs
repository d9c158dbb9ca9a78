//! A page load whose session can be refreshed: both proxies send it to the page of the app that refreshes the
//! session. No other refused request reaches the app.

use rstest::rstest;

use super::{IDENTITY_HEADERS, proxy::Kind, recorder::Recorder};
use crate::harness::{Request, ServerProcess};

const NAVIGATE: (&str, &str) = ("Sec-Fetch-Mode", "navigate");
const HTML: (&str, &str) = ("Accept", "text/html,*/*;q=0.8");

/// A request that has the credentials and headers from which the refreshing page must be protected.
fn request(proxy: &ServerProcess, method: &str, target: &str) -> Request {
    let request = Request::new(proxy.address, method, target).bearer("t").cookies(&[("a", "b")]);
    let request = request.header("X-Forwarded-Uri", "//evil.example");
    IDENTITY_HEADERS.iter().fold(request, |request, name| request.header(name, "eve"))
}

/// Starts a server in the place of the gateway. It refuses each session with this reason, and sends identity headers
/// along as a faulty gateway might.
fn refusing_gateway(reason: &str) -> Recorder {
    let lines = IDENTITY_HEADERS.map(|name| (name, "ada"));
    Recorder::start(401, &[&lines[..], &[("X-Auth-Reason", reason)]].concat(), "the gateway's body")
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn a_page_load_of_a_refreshable_session_reaches_only_the_page_that_refreshes_it(
    #[case] kind: Kind,
) {
    let (gateway, api) = (refusing_gateway("refreshable"), Recorder::api());
    let proxy = kind.start(gateway.address, api.address).await;
    // The page redirects the browser to this path, and a browser takes `//evil` and `/\evil` for another host. Caddy
    // encodes the backslash, so that the path stays one of this host.
    let (two_slashes, backslash): (&[&str], &[&str]) = match kind {
        Kind::Nginx => (&["/"], &["/"]),
        Kind::Caddy => (&[], &["/%5Cevil.example"]),
    };
    for (target, forwarded) in [
        ("/orders?x=1&y", &["/orders?x=1&y"][..]),
        ("/", &["/"]),
        ("//evil.example/x", two_slashes),
        ("/\\evil.example", backslash),
    ] {
        for headers in [&[NAVIGATE][..], &[HTML], &[NAVIGATE, HTML]] {
            let case = format!("{target} {headers:?}");
            let before = api.count();
            let reply = request(&proxy, "GET", target).headers(headers).send().await;
            assert_eq!((reply.status, &*reply.text()), (200, "from the API"), "{case}: {reply:?}");
            assert_eq!(api.count(), before + 1, "{case}");
            let received = api.last();
            assert_eq!(received.line(), "GET /auth/refresh", "{case}");
            assert_eq!(received.header_values("x-forwarded-uri"), forwarded, "{case}");
            assert_eq!(received.header_values("cookie"), ["a=b"], "{case}");
            assert!(received.header_values("authorization").is_empty(), "{case}: {received:?}");
            for name in IDENTITY_HEADERS {
                assert_eq!(received.header_values(name).concat(), "", "{case}: {name}");
            }
        }
    }
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn no_other_refused_request_reaches_the_page_that_refreshes_sessions(#[case] kind: Kind) {
    let cors = ("Sec-Fetch-Mode", "cors");
    let others: &[(&str, &[(&str, &str)])] = &[
        ("POST", &[NAVIGATE, HTML]),
        ("HEAD", &[NAVIGATE, HTML]),
        ("GET", &[cors]),
        ("GET", &[cors, HTML]),
        ("GET", &[("Accept", "application/json")]),
        ("GET", &[]),
    ];
    let page_load: &[(&str, &[(&str, &str)])] = &[("GET", &[NAVIGATE, HTML]), ("GET", &[HTML])];
    for (reason, requests) in [
        ("refreshable", others),
        ("expired", page_load),
        ("revoked", page_load),
        ("invalid", page_load),
        ("missing", page_load),
    ] {
        let (gateway, api) = (refusing_gateway(reason), Recorder::api());
        let proxy = kind.start(gateway.address, api.address).await;
        for (method, headers) in requests {
            let case = format!("{reason}: {method} {headers:?}");
            let reply = request(&proxy, method, "/orders").headers(headers).send().await;
            assert_eq!(reply.status, 401, "{case}: {reply:?}");
            assert_eq!(reply.header_values("x-auth-reason"), [reason], "{case}");
        }
        assert_eq!(api.count(), 0, "{reason}");
    }
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn with_the_change_for_an_app_without_such_a_page_no_refused_page_load_reaches_the_app(
    #[case] kind: Kind,
) {
    let (gateway, api) = (refusing_gateway("refreshable"), Recorder::api());
    let proxy = kind.start_without_refresh(gateway.address, api.address).await;
    for headers in [&[NAVIGATE][..], &[HTML], &[]] {
        let reply = request(&proxy, "GET", "/orders").headers(headers).send().await;
        assert_eq!(reply.status, 401, "{headers:?}: {reply:?}");
    }
    assert_eq!(api.count(), 0);
}
