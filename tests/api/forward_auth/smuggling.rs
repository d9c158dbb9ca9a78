//! What a client may write to have the proxy pass on what the gateway did not say or judge.

use rstest::rstest;

use super::{proxy::Kind, recorder::Recorder};
use crate::harness::Request;

/// Every header in which the gateway says whose request it is, with what it says here.
const IDENTITY: [(&str, &str); 7] = [
    ("x-auth-user-id", "ada"),
    ("x-auth-session-id", "s"),
    ("x-auth-role", "authenticated"),
    ("x-auth-aal", "aal1"),
    ("x-auth-anonymous", "false"),
    ("x-auth-client-id", "c"),
    ("x-auth-carrier", "bearer"),
];

/// What a client says under these names, in every spelling that a CGI program or PHP takes for them.
fn forged(request: Request) -> Request {
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
async fn the_api_gets_the_identity_that_the_gateway_says_and_no_other(#[case] kind: Kind) {
    let api = Recorder::api();
    // A gateway that says all of it, and one that says the least.
    for said in [&IDENTITY[..], &IDENTITY[..1]] {
        let gateway = Recorder::start(200, said, "");
        let proxy = kind.start(gateway.address, api.address).await;
        let connections = IDENTITY.map(|(name, _)| name).into_iter().chain(["x-other"]);
        for connection in connections {
            let request = forged(Request::new(proxy.address, "GET", "/").bearer("t"));
            let reply = request.header("Connection", connection).send().await;
            assert_eq!(reply.status, 200, "{connection}");
            let seen = api.last();
            for (name, value) in IDENTITY {
                let said = said.iter().any(|(said, _)| *said == name);
                let value = if said { value } else { "" };
                assert_eq!(seen.all(name).concat(), value, "{name}, Connection: {connection}");
            }
            assert_eq!(seen.all("x-auth-reason").concat(), "");
            assert!(!format!("{seen:?}").contains("eve"), "{seen:?}");
        }
    }
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn no_upgrade_but_that_to_a_websocket_reaches_the_api(#[case] kind: Kind) {
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
        assert_eq!(api.last().all("upgrade"), expected, "{protocols:?}");
    }
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn a_client_reaches_no_route_of_the_gateway_but_those_to_sign_out(#[case] kind: Kind) {
    let gateway = Recorder::start(200, &[IDENTITY[0]], "");
    let api = Recorder::api();
    let proxy = kind.start(gateway.address, api.address).await;
    let routes =
        ["/api/auth/logout", "/api/auth/csrf", "/api/v1/auth/logout", "/logout", "/logout/"];
    for route in routes {
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
        let seen = gateway.last();
        // The proxy asks with GET.
        let own = seen.line() == "GET /api/auth/verify";
        assert!(own || routes.contains(&seen.path()), "{target}: {}", seen.line());
    }
}
