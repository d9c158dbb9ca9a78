//! Requests with which a client tries to make the proxy forward an identity that the gateway did not
//! return, or a request that the gateway did not check.

use rstest::rstest;

use super::{proxy::Kind, recorder::Recorder};
use crate::harness::{LOGOUT_PATHS, Request};

/// The identity headers that the gateway returns, with the values that the tests use.
const IDENTITY: [(&str, &str); 7] = [
    ("x-auth-user-id", "ada"),
    ("x-auth-session-id", "s"),
    ("x-auth-role", "authenticated"),
    ("x-auth-aal", "aal1"),
    ("x-auth-anonymous", "false"),
    ("x-auth-client-id", "c"),
    ("x-auth-carrier", "bearer"),
];

/// Adds false identity headers to the request, in every spelling that CGI or PHP treats as the same name.
fn with_false_identity(request: Request) -> Request {
    let spellings: [fn(&str) -> String; 5] = [
        str::to_owned,
        str::to_uppercase,
        |name| name.replace('-', "_"),
        |name| name.replacen('-', "_", 1),
        |name| name.replace('-', "."),
    ];
    let names = IDENTITY.map(|(name, _)| name).into_iter().chain(["x-auth-reason"]);
    names.fold(request, |request, name| {
        spellings.iter().fold(request, |request, spelled| request.header(&spelled(name), "eve"))
    })
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn the_api_gets_only_the_identity_that_the_gateway_returned(#[case] kind: Kind) {
    let api = Recorder::api();
    // The first gateway returns all identity headers, and the second returns only one of them.
    for returned in [&IDENTITY[..], &IDENTITY[..1]] {
        let gateway = Recorder::start(200, returned, "");
        let proxy = kind.start(gateway.address, api.address).await;
        let connections = IDENTITY.map(|(name, _)| name).into_iter().chain(["x-other"]);
        for connection in connections {
            let request = with_false_identity(Request::new(proxy.address, "GET", "/").bearer("t"));
            let reply = request.header("Connection", connection).send().await;
            assert_eq!(reply.status, 200, "{connection}");
            let received = api.last();
            for (name, value) in IDENTITY {
                let is_returned = returned.iter().any(|(returned, _)| *returned == name);
                let value = if is_returned { value } else { "" };
                assert_eq!(
                    received.header_values(name).concat(),
                    value,
                    "{name}, Connection: {connection}"
                );
            }
            assert_eq!(received.header_values("x-auth-reason").concat(), "");
            assert!(!format!("{received:?}").contains("eve"), "{received:?}");
        }
    }
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn only_an_upgrade_to_websocket_reaches_the_api(#[case] kind: Kind) {
    let gateway = Recorder::start(200, &[IDENTITY[0]], "");
    let api = Recorder::api();
    let proxy = kind.start(gateway.address, api.address).await;
    let rows: [&[&str]; 6] = [
        &["h2c"],
        &["h2c", "websocket"],
        &["websocket", "h2c"],
        &["websocket, h2c"],
        &["TLS/1.2"],
        &["websocket"],
    ];
    for protocols in rows {
        let request = Request::new(proxy.address, "GET", "/").header("Connection", "Upgrade");
        let request =
            protocols.iter().fold(request, |request, name| request.header("Upgrade", name));
        assert_eq!(request.send().await.status, 200, "{protocols:?}");
        let passes = matches!(kind, Kind::Caddy) && protocols == ["websocket"];
        let expected: &[&str] = if passes { &["websocket"] } else { &[] };
        assert_eq!(api.last().header_values("upgrade"), expected, "{protocols:?}");
    }
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn through_the_proxy_a_client_reaches_only_the_logout_routes(#[case] kind: Kind) {
    let gateway = Recorder::start(200, &[IDENTITY[0]], "");
    let api = Recorder::api();
    let proxy = kind.start(gateway.address, api.address).await;
    let csrf_paths = ["/api/auth/csrf", "/api/auth/csrf/"];
    let routes: Vec<&str> = LOGOUT_PATHS.into_iter().chain(csrf_paths).collect();
    for route in &routes {
        let target = format!("{route}?scope=global&x=%0d%0aX-Y:1");
        assert_eq!(Request::new(proxy.address, "POST", &target).send().await.status, 200);
        assert_eq!(gateway.last().line(), format!("POST {target}"));
    }
    assert_eq!(api.count(), 0);
    for target in [
        "/api/auth/verify",
        "/api/auth/verify/",
        "/api/auth/verify/../logout",
        "/api/auth/verify/..%2flogout",
        "/docs/../logout",
        "/docs/..//logout",
        "/logout/../docs",
        "/logout/..%2fdocs",
        "/logout?/../docs",
        "/logout%0a",
        "/logout;/docs",
        "/_session",
        "/readyz",
    ] {
        let _ = Request::new(proxy.address, "POST", target).send().await;
        let received = gateway.last();
        // Ignore the proxy's own request to `verify`, which always has the method GET.
        let is_verify = received.line() == "GET /api/auth/verify";
        assert!(is_verify || routes.contains(&received.path()), "{target}: {}", received.line());
    }
}
