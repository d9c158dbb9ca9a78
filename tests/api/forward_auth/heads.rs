//! Which headers must reach the gateway and the API through the proxy, and which headers of the client must
//! not.

use std::collections::HashSet;

use rstest::rstest;
use serde_json::json;

use super::{ProxiedApi, identity, proxy::Kind, recorder::Recorder};
use crate::harness::{CookieFormat, Request, assert_error, assert_success, claims_of};

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn identity_headers_of_the_client_never_reach_the_api(#[case] kind: Kind) {
    let setup = ProxiedApi::new(kind).await;
    let tokens = setup.app.sign_up();
    let victim = setup.app.sign_up();
    let mut claims = claims_of(&tokens.access_token);
    claims["role"] = json!("not a\nheader");
    claims.as_object_mut().unwrap().remove("aal");
    let without = setup.app.mock.sign(&claims).unwrap();
    let spellings: [fn(&str) -> String; 4] = [
        str::to_owned,
        str::to_uppercase,
        |name| name.replace('-', "_"),
        |name| name.replacen('-', "_", 1),
    ];
    for respell in spellings {
        let forge = |token: &str| {
            let request = setup.request("GET", "/").bearer(token);
            let others = [("x-auth-carrier", "cookie"), ("x-auth-client-id", "eve")];
            let others = others.map(|(name, value)| (name, value.to_owned()));
            identity(&victim).into_iter().chain(others).fold(request, |request, (name, value)| {
                let value = match name {
                    "x-auth-aal" => "aal2",
                    "x-auth-anonymous" => "true",
                    _ => &value,
                };
                request.header(&respell(name), value).header(&respell(name), value)
            })
        };
        let case = respell("x-auth-user-id");
        setup.assert_let_in(forge(&tokens.access_token), &tokens, &case).await;
        assert_eq!(setup.api.last().header_values("x-auth-carrier"), ["bearer"], "{case}");
        // If the token has no valid `role` and no `aal`, the API must not get the client's values of their
        // headers.
        assert_eq!(forge(&without).send().await.status, 200, "{case}");
        for name in ["x-auth-role", "x-auth-aal"] {
            let received = setup.api.last();
            assert_eq!(received.header_values(name).concat(), "", "{case}: {name}");
            assert!(received.names_like(name).iter().all(|found| *found == name), "{case}");
        }
    }
    // A proxy removes the headers that `Connection` names (RFC 9110, section 7.6.1), but must not remove the
    // identity headers.
    let names = identity(&tokens).map(|(name, _)| name);
    for name in names.into_iter().chain(["x-auth-carrier"]) {
        let request = setup.request("GET", "/").bearer(&tokens.access_token);
        setup.assert_let_in(request.header("Connection", name), &tokens, name).await;
    }
    if let Kind::Caddy = kind {
        let request = setup.request("GET", "/").bearer(&tokens.access_token);
        setup.assert_let_in(request.header("X-Auth-Email", "ada"), &tokens, "another").await;
        assert!(
            setup.api.last().header_values("x-auth-email").is_empty(),
            "Caddy removes all X-Auth headers, nginx those in its list"
        );
    }
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn the_client_address_is_the_one_that_the_proxy_saw(#[case] kind: Kind) {
    let setup = ProxiedApi::new(kind).await;
    let false_headers = [
        ("X-Forwarded-For", "203.0.113.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
    ];
    let own = format!("http://{}", setup.proxy.address);
    // Old browsers send `Origin` without `Sec-Fetch-Site`, so the gateway must know its own origin through
    // the proxy.
    for (origin, allowed) in [(&*own, true), ("https://evil.example", false)] {
        let tokens = setup.app.sign_up();
        let mut browser = setup.browser(&tokens, CookieFormat::Base64);
        assert_eq!(browser.fetch_csrf().await.status, 200);
        browser.headers = vec![("Origin".to_owned(), origin.to_owned())];
        let reply = browser.logout_request("/logout").headers(&false_headers).send().await;
        assert_eq!(
            reply.header("strict-transport-security"),
            None,
            "the client uses http, whatever it claims"
        );
        if allowed {
            assert_success(&reply, "/logout", tokens.user_id, "revoked");
            let call = setup.app.gotrue_calls("logout").pop().unwrap();
            assert_eq!(call.header("x-forwarded-for"), Some("127.0.0.1"));
        } else {
            assert_error(&reply, 403, "CSRF_FAILED", Some("cross_site"));
        }
        assert_eq!(setup.app.is_alive(&tokens), !allowed, "{origin}");
    }
    let tokens = setup.app.sign_up();
    let browser = setup.browser(&tokens, CookieFormat::Base64);
    let reply = browser.logout_request("/logout").send().await;
    assert_error(&reply, 403, "CSRF_FAILED", Some("missing"));
    assert!(setup.app.is_alive(&tokens));
    setup
        .assert_let_in(browser.request("GET", "/").headers(&false_headers), &tokens, "the API")
        .await;
    let (received, own) = (setup.api.last(), setup.proxy.address.to_string());
    for ((name, _), actual) in false_headers.into_iter().zip(["127.0.0.1", "http", &own]) {
        assert_eq!(received.header_values(&name.to_lowercase()), [actual], "{name}");
    }
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn verify_gets_the_head_and_the_api_gets_the_whole_request(#[case] kind: Kind) {
    let identity = [("X-Auth-User-Id", "ada"), ("X-Auth-Carrier", "bearer")];
    let gateway = Recorder::start(200, &identity, "");
    let api = Recorder::api();
    let proxy = kind.start(gateway.address, api.address).await;
    let host = proxy.address.to_string();
    let mut connections = HashSet::new();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
        for length in [0, 1, 200_000] {
            let case = format!("{method}, {length}");
            let body = b"x".repeat(length);
            let request = Request::new(proxy.address, method, "/a%2Fb//c?d=e&f").bearer("t");
            let request = request.cookies(&[("a", "b"), ("c", "d")]).body(body.clone());
            let request = request.header("X-Auth-Aal", "aal2").header("X-Forwarded-Port", "1");
            assert_eq!(request.send().await.status, 200, "{case}");
            let (verify, received) = (gateway.last(), api.last());
            // Caddy sends the client's query along, which `verify` ignores.
            let verify_line = verify.line();
            assert_eq!(verify_line.split('?').next(), Some("GET /api/auth/verify"), "{case}");
            assert!(verify.body.is_empty(), "{case}");
            assert_eq!(verify.header_values("x-forwarded-method"), [method]);
            assert_eq!(verify.header_values("x-forwarded-uri"), ["/a%2Fb//c?d=e&f"]);
            connections.insert(verify.peer);
            assert_eq!(received.line(), format!("{method} /a%2Fb//c?d=e&f"), "{case}");
            assert!(received.body == body, "{case}: {}", received.body.len());
            for request in [&verify, &received] {
                assert_eq!(request.header_values("authorization"), ["Bearer t"], "{case}");
                assert!(request.header_values("x-forwarded-port").is_empty(), "{case}");
            }
            assert_eq!(verify.header_values("cookie"), ["a=b; c=d"], "{case}");
            assert_eq!(received.header_values("x-auth-user-id"), ["ada"], "{case}");
            assert!(
                !received.header_values("x-auth-aal").contains(&"aal2"),
                "{case}: the gateway did not return it"
            );
        }
    }
    assert_eq!((gateway.count(), api.count()), (21, 21));
    assert_eq!(connections.len(), 1, "the proxy reuses its connection to the gateway");
    let verify = gateway.last();
    let logout = Request::new(proxy.address, "POST", "/logout").header("X-Forwarded-Port", "1");
    assert_eq!(logout.send().await.status, 200);
    assert!(gateway.last().header_values("x-forwarded-port").is_empty());
    for received in [verify, gateway.last(), api.last()] {
        for (name, value) in [
            ("host", &*host),
            ("x-forwarded-host", &host),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-for", "127.0.0.1"),
        ] {
            assert_eq!(received.header_values(name), [value], "{name}: {}", received.line());
        }
    }
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn heads_larger_than_a_proxys_default_limit_arrive(#[case] kind: Kind) {
    let setup = ProxiedApi::new(kind).await;
    let tokens = setup.app.sign_up();
    let mut browser = setup.browser(&tokens, CookieFormat::Chunked);
    for n in 0..60 {
        browser.jar.insert(
            browser.page,
            &format!("sb-127-auth-token-flow-{n:08}-code-verifier"),
            "v",
        );
    }
    assert_eq!(browser.fetch_csrf().await.status, 200);
    let reply = browser.logout("/logout").await;
    assert_success(&reply, "/logout", tokens.user_id, "revoked");
    let left = reply.header("x-logout-cookies-left").unwrap().to_owned();
    assert_eq!(
        left,
        browser.jar.names().len().to_string(),
        "the first logout deletes as many cookies as fit into the budget"
    );
    while !browser.jar.is_empty() {
        assert_eq!(browser.logout("/logout").await.status, 401);
    }

    // An application renews a session of 32 KiB: its `Set-Cookie` lines must pass the proxy.
    let chunk = "v".repeat(3180);
    let lines: Vec<String> = (0..14).map(|n| format!("sb-127-auth-token.{n}={chunk}")).collect();
    let lines: Vec<_> = lines.iter().map(|line| ("Set-Cookie", line.as_str())).collect();
    let api = Recorder::start(200, &lines, "renewed");
    let tokens = setup.app.sign_up();
    let proxy = kind.start(setup.app.address, api.address).await;
    let reply = Request::new(proxy.address, "GET", "/").bearer(&tokens.access_token).send().await;
    assert_eq!((reply.status, &*reply.text()), (200, "renewed"));
    assert_eq!(reply.set_cookies(), lines.iter().map(|(_, line)| *line).collect::<Vec<_>>());
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn the_reason_of_a_refusal_reaches_the_client(#[case] kind: Kind) {
    let lines = [("X-Auth-Reason", "refreshable"), ("WWW-Authenticate", "Bearer")];
    let gateway = Recorder::start(401, &lines, "the gateway's body");
    let api = Recorder::api();
    let proxy = kind.start(gateway.address, api.address).await;
    let request = Request::new(proxy.address, "GET", "/").header("X-Auth-Reason", "eve");
    let reply = request.send().await;
    assert_eq!((reply.status, &*reply.text()), (401, "the gateway's body"));
    assert_eq!(reply.header_values("x-auth-reason"), ["refreshable"]);
    assert_eq!(api.count(), 0);
}
