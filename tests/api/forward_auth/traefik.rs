//! The real Traefik with the configuration in docs/proxies/traefik.md. `make test-traefik` builds Traefik and runs these
//! tests; no other target does, because the build takes many minutes.

mod header_list;

use std::{env, fs, net::SocketAddr, path::Path, process::Command};

use rstest::rstest;
use serde_json::json;

use super::{ProxiedApi, identity, proxy::documented, recorder::Recorder, with_large_token};
use crate::harness::{
    CookieFormat, Request, ServerProcess, Setup, TestApp, assert_success, eventually,
};

/// The credential that the API behind Traefik accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Credential {
    Cookie,
    Bearer,
}

/// Texts of the documented configuration, each with the text that must replace it.
type Edits<'a> = &'a [(&'a str, String)];

/// The documented configuration.
fn documented_file() -> String {
    documented("docs/proxies/traefik.md", "yaml", "passes a refusal on as it is:")
}

/// Starts Traefik with the documented configuration, of which only addresses and the host's name are changed, and
/// then with `edits`.
async fn start(gateway: SocketAddr, api: SocketAddr, edits: Edits<'_>) -> ServerProcess {
    let addresses = [
        ("http://127.0.0.1:8080/api/auth/verify", format!("http://{gateway}/api/auth/verify")),
        ("url: \"http://127.0.0.1:8080\"", format!("url: \"http://{gateway}\"")),
        ("url: \"http://127.0.0.1:3000\"", format!("url: \"http://{api}\"")),
    ];
    let file = addresses.iter().chain(edits).fold(documented_file(), |text, (old, new)| {
        assert_eq!(text.matches(old).count(), 1, "{old}");
        text.replace(old, new)
    });
    let file = file.replace("Host(`app.example.com`)", "Host(`127.0.0.1`)");
    let traefik = env::var_os("TRAEFIK").expect("`make test-traefik` sets TRAEFIK");
    let proxy = ServerProcess::start("Traefik", |folder: &Path, own| {
        fs::write(folder.join("dynamic.yml"), &file).unwrap();
        let mut command = Command::new(&traefik);
        command.arg(format!("--entrypoints.web.address={own}"));
        command.arg(format!("--providers.file.filename={}/dynamic.yml", folder.display()));
        command.args(["--global.checknewversion=false", "--global.sendanonymoususage=false"]);
        command
    })
    .await;
    // Traefik listens before it has read the file, and answers 404 until then.
    let routed = async || Request::new(proxy.address, "GET", "/").send().await.status != 404;
    eventually("Traefik has read its configuration", routed).await;
    proxy
}

/// The documented edits for an API that takes this credential.
fn edits(credential: Credential) -> Vec<(&'static str, String)> {
    match credential {
        Credential::Cookie => Vec::new(),
        Credential::Bearer => vec![("{ Authorization: \"\" }", "{ Cookie: \"\" }".to_owned())],
    }
}

async fn start_with_gateway(credential: Credential) -> ProxiedApi {
    let app = TestApp::with_flags(&[("trusted-proxies", "127.0.0.1")]).await;
    let api = Recorder::api();
    let proxy = start(app.address, api.address, &edits(credential)).await;
    ProxiedApi { app, api, proxy }
}

#[tokio::test]
#[ignore = "needs Traefik: make test-traefik"]
async fn a_session_by_cookie_reaches_the_api_through_traefik_until_it_is_logged_out() {
    let setup = start_with_gateway(Credential::Cookie).await;
    let app = &setup.app;
    for format in CookieFormat::ALL {
        for large in [false, true] {
            let tokens = app.sign_up();
            let tokens = if large { with_large_token(app, &tokens) } else { tokens };
            let case = format!("{format:?}, large: {large}");
            let mut browser = setup.browser(&tokens, format);
            let request = browser.request("GET", "/").header("Authorization", "Basic YTpi");
            setup.assert_let_in(request, &tokens, &case).await;
            assert_eq!(browser.fetch_csrf().await.status, 200, "{case}");
            let stolen = || browser.request("GET", "/");
            let (stolen, again) = (stolen(), stolen());
            let reply = browser.logout("/api/auth/logout").await;
            assert_success(&reply, "/api/auth/logout", tokens.user_id, "revoked");
            assert!(!app.is_alive(&tokens), "{case}");
            setup.assert_refused(stolen, "revoked", &case).await;
            assert_eq!(again.send().await.header("x-auth-reason"), Some("revoked"), "{case}");
        }
    }
}

#[tokio::test]
#[ignore = "needs Traefik: make test-traefik"]
async fn a_session_by_bearer_reaches_the_api_through_traefik_until_it_is_logged_out() {
    let setup = start_with_gateway(Credential::Bearer).await;
    let app = &setup.app;
    for route in ["/api/auth/logout", "/api/v1/auth/logout", "/logout", "/logout/"] {
        let tokens = with_large_token(app, &app.sign_up());
        let other = app.sign_up();
        let request = || setup.browser(&other, CookieFormat::Base64).request("GET", "/things?a=b");
        let api = || request().bearer(&tokens.access_token);
        setup.assert_let_in(api(), &tokens, route).await;
        assert_eq!(setup.api.last().header_values("authorization").len(), 1);
        let logout = setup.request("POST", route).bearer(&tokens.access_token);
        assert_success(&logout.send().await, route, tokens.user_id, "revoked");
        setup.assert_refused(api(), "revoked", route).await;
        assert!(!app.is_alive(&tokens) && app.is_alive(&other));
    }
}

#[rstest]
#[case::cookie(Credential::Cookie)]
#[case::bearer(Credential::Bearer)]
#[tokio::test]
#[ignore = "needs Traefik: make test-traefik"]
async fn identity_headers_of_the_client_never_reach_the_api_through_traefik(
    #[case] credential: Credential,
) {
    let setup = start_with_gateway(credential).await;
    let (tokens, victim) = (setup.app.sign_up(), setup.app.sign_up());
    let request = || match credential {
        Credential::Cookie => setup.browser(&tokens, CookieFormat::Base64).request("GET", "/"),
        Credential::Bearer => setup.request("GET", "/").bearer(&tokens.access_token),
    };
    let respell: [fn(&str) -> String; 6] = [
        str::to_owned,
        str::to_uppercase,
        |name| name.replace('-', "_"),
        |name| name.replace('-', "."),
        |name| name.replacen('-', "_", 1),
        |name| name.replacen('-', ".", 1),
    ];
    let others = ["x-auth-anonymous", "x-auth-client-id", "x-auth-carrier", "x-auth-email"];
    for respell in respell {
        let forged = identity(&victim).into_iter().filter(|(name, _)| !others.contains(name));
        let forged = forged.chain(others.map(|name| (name, "eve".into())));
        let request = forged.fold(request(), |request, (name, value)| {
            request.header(&respell(name), &value).header(&respell(name), &value)
        });
        let case = respell("x-auth-user-id");
        setup.assert_let_in(request, &tokens, &case).await;
        let received = format!("{:?}", setup.api.last()).to_lowercase();
        assert!(!received.contains("eve") && !received.contains("email"), "{case}: {received}");
        assert!(!received.contains(&victim.user_id.to_string()), "{case}: {received}");
    }
    // A proxy removes the headers that `Connection` names, but must not remove the identity.
    for (name, _) in identity(&tokens) {
        setup.assert_let_in(request().header("Connection", name), &tokens, name).await;
    }
}

#[tokio::test]
#[ignore = "needs Traefik: make test-traefik"]
async fn the_reason_of_a_refusal_reaches_the_client_through_traefik() {
    let setup = start_with_gateway(Credential::Cookie).await;
    let tokens = setup.app.sign_up();
    let browser = setup.browser(&tokens, CookieFormat::Base64);
    setup.app.advance_time(3600);
    for (request, reason) in [
        (setup.request("GET", "/"), "missing"),
        (setup.request("POST", "/").bearer("x"), "invalid"),
        (setup.request("GET", "/").bearer(&tokens.access_token), "expired"),
        (browser.request("GET", "/"), "refreshable"),
    ] {
        let request = request.header("X-Auth-Reason", "eve").header("X-Auth-User-Id", "eve");
        // A client's own `redirect` has no effect: Traefik sends no query to `verify`.
        let reply = request.header("Sec-Fetch-Mode", "navigate").send().await;
        assert_eq!((reply.status, reply.header("x-auth-reason")), (401, Some(reason)), "{reply:?}");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    }
    assert_eq!(setup.api.count(), 0);
}

#[tokio::test]
#[ignore = "needs Traefik: make test-traefik"]
async fn traefik_redirects_a_page_load_to_the_documented_page() {
    let app = TestApp::with_flags(&[("trusted-proxies", "127.0.0.1")]).await;
    let api = Recorder::api();
    let edit = ("/api/auth/verify\n", "/api/auth/verify?redirect=/login\n".to_owned());
    let proxy = start(app.address, api.address, &[edit]).await;
    let get = || Request::new(proxy.address, "GET", "/orders?redirect=/phishing");
    let reply = get().header("Sec-Fetch-Mode", "navigate").send().await;
    assert_eq!((reply.status, reply.header("location")), (302, Some("/login")));
    let reply = get().header("Sec-Fetch-Mode", "cors").send().await;
    assert_eq!((reply.status, reply.header("x-auth-reason")), (401, Some("missing")));
    assert_eq!(api.count(), 0);
}

#[tokio::test]
#[ignore = "needs Traefik: make test-traefik"]
async fn traefik_forwards_nothing_while_no_token_can_be_verified() {
    let no_keys = json!({"operation": "jwks", "kind": "status", "status": 503});
    let app = Setup::new().without_readiness_check().start_with_faults(&[no_keys]).await;
    let (api, tokens) = (Recorder::api(), app.sign_up());
    let proxy = start(app.address, api.address, &edits(Credential::Bearer)).await;
    let get = || Request::new(proxy.address, "GET", "/").bearer(&tokens.access_token);
    let reply = get().send().await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (503, &json!("NOT_READY")));
    app.stop_gateway();
    let reply = get().send().await;
    assert!(reply.status >= 500, "the gateway is stopped: {reply:?}");
    assert_eq!(api.count(), 0);
}

#[tokio::test]
#[ignore = "needs Traefik: make test-traefik"]
async fn verify_gets_traefiks_own_forwarded_headers_and_a_client_reaches_only_the_logout_routes() {
    let identity = [("X-Auth-User-Id", "ada"), ("X-Auth-Carrier", "cookie")];
    let gateway = Recorder::start(200, &identity, "");
    let api = Recorder::api();
    let proxy = start(gateway.address, api.address, &[]).await;
    let forged = [
        ("X-Forwarded-For", "203.0.113.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Uri", "/evil"),
        ("X-Forwarded-Method", "EVIL"),
    ];
    let own = proxy.address.to_string();
    for target in ["/a?b=c", "/api/auth/verify", "/readyz", "/logout/../docs", "/logout;/docs"] {
        let request = Request::new(proxy.address, "POST", target).headers(&forged).body("x");
        assert_eq!(request.send().await.status, 200, "{target}");
        let verify = gateway.last();
        assert_eq!(verify.line(), "GET /api/auth/verify", "{target}");
        assert!(verify.body.is_empty());
        for (name, value) in [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", &*own),
            ("x-forwarded-method", "POST"),
        ] {
            assert_eq!(verify.header_values(name), [value], "{target}");
        }
        assert_eq!(api.last().body, b"x");
        assert_eq!(api.last().header_values("x-auth-user-id"), ["ada"], "{target}");
    }
    let calls = api.count();
    for route in
        ["/api/auth/logout", "/api/auth/csrf", "/api/v1/auth/logout", "/logout", "/logout/"]
    {
        let target = format!("{route}?scope=global");
        assert_eq!(Request::new(proxy.address, "POST", &target).send().await.status, 200);
        assert_eq!(gateway.last().line(), format!("POST {target}"));
    }
    assert_eq!(api.count(), calls);
}
