//! Section 9 of the contract with real proxies: which requests reach an API if the proxy sends each request
//! to `/api/auth/verify` first.

mod credentials;
mod envoy;
mod heads;
mod limits;
mod proxy;
mod recorder;
mod refreshable;
mod smuggling;
mod supabase;
mod traefik;

use gotrue_mock::Tokens;
use rstest::rstest;
use serde_json::json;

use self::{proxy::Kind, recorder::Recorder};
use crate::harness::{
    Browser, CookieFormat, LOGOUT_PATHS, Request, ServerProcess, Setup, TestApp, assert_success,
    claims_of, forged_token,
};

/// All headers by which `verify` identifies a session.
const IDENTITY_HEADERS: [&str; 7] = [
    "x-auth-user-id",
    "x-auth-session-id",
    "x-auth-role",
    "x-auth-aal",
    "x-auth-anonymous",
    "x-auth-client-id",
    "x-auth-carrier",
];

/// A proxy, the gateway that the proxy asks, and the API to which the proxy forwards accepted requests.
struct ProxiedApi {
    app: TestApp,
    api: Recorder,
    proxy: ServerProcess,
}

impl ProxiedApi {
    async fn new(kind: Kind) -> Self {
        let app = TestApp::with_flags(&[("trusted-proxies", "127.0.0.1")]).await;
        let api = Recorder::api();
        let proxy = kind.start(app.address, api.address).await;
        Self { app, api, proxy }
    }

    fn request(&self, method: &str, target: &str) -> Request {
        Request::new(self.proxy.address, method, target)
    }

    /// A browser that has the session's cookies and sends its requests to the proxy.
    fn browser(&self, tokens: &Tokens, format: CookieFormat) -> Browser {
        let browser = Browser::signed_in_without_csrf(&self.app, tokens, format);
        Browser { address: self.proxy.address, ..browser }
    }

    /// Asserts that the proxy forwards the request to the API once, with the identity headers of the session.
    async fn assert_let_in(&self, request: Request, tokens: &Tokens, case: &str) {
        let before = self.api.count();
        let reply = request.send().await;
        assert_eq!((reply.status, &*reply.text()), (200, "from the API"), "{case}: {reply:?}");
        assert_eq!(self.api.count(), before + 1, "{case}");
        let received = self.api.last();
        for (name, value) in identity(tokens) {
            assert_eq!(received.header_values(name), [value], "{case}: {name}");
            assert_eq!(received.names_like(name), [name], "{case}");
        }
        // The token is not one of a third party. nginx sends no header with an empty value.
        assert_eq!(received.header_values("x-auth-client-id").concat(), "", "{case}");
        assert!(received.names_like("x-auth-client-id").len() <= 1, "{case}");
        assert_eq!(received.names_like("x-auth-carrier"), ["x-auth-carrier"], "{case}");
        match *received.header_values("x-auth-carrier") {
            ["bearer"] => assert!(!received.has_session_cookie(), "{case}: {received:?}"),
            ["cookie"] => {
                assert!(received.header_values("authorization").is_empty(), "{case}: {received:?}");
            }
            ref other => panic!("{case}: {other:?}"),
        }
    }

    /// Asserts that the response is the gateway's 401 with this reason, and that the request does not reach
    /// the API.
    async fn assert_refused(&self, request: Request, reason: &str, case: &str) {
        let before = self.api.count();
        let reply = request.send().await;
        assert_eq!(reply.status, 401, "{case}: {reply:?}");
        assert_eq!(reply.json()["error"]["code"], "NOT_AUTHENTICATED", "{case}");
        assert_eq!(reply.json()["error"]["reason"], reason, "{case}");
        for (name, value) in [
            ("www-authenticate", "Bearer"),
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{case}");
        }
        assert_eq!(reply.header("x-auth-user-id"), None, "{case}");
        assert_eq!(self.api.count(), before, "{case}");
    }
}

/// The names and values of the identity headers that an API must receive for the session.
fn identity(tokens: &Tokens) -> [(&'static str, String); 5] {
    [
        ("x-auth-user-id", tokens.user_id.to_string()),
        ("x-auth-session-id", tokens.session_id.to_string()),
        ("x-auth-role", "authenticated".to_owned()),
        ("x-auth-aal", "aal1".to_owned()),
        ("x-auth-anonymous", "false".to_owned()),
    ]
}

/// The session with another access token, whose user metadata makes it 32 KiB long.
pub(crate) fn with_large_token(app: &TestApp, tokens: &Tokens) -> Tokens {
    let mut claims = claims_of(&tokens.access_token);
    claims["user_metadata"] = json!({"about": "x".repeat(24 * 1024)});
    let access_token = app.mock.sign(&claims).unwrap();
    assert!(access_token.len() > 32 * 1024);
    Tokens { access_token, ..tokens.clone() }
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn after_a_logout_through_the_proxy_the_session_does_not_reach_the_api(#[case] kind: Kind) {
    let setup = ProxiedApi::new(kind).await;
    let app = &setup.app;
    for route in LOGOUT_PATHS {
        for large in [false, true] {
            let tokens = app.sign_up();
            let tokens = if large { with_large_token(app, &tokens) } else { tokens };
            let other_session = app.sign_in_again(&tokens);
            let case = format!("Bearer, {route}, large: {large}");
            let api = || setup.request("GET", "/things?of=mine").bearer(&tokens.access_token);
            setup.assert_let_in(api(), &tokens, &case).await;
            let logout = setup.request("POST", route).bearer(&tokens.access_token);
            assert_success(&logout.send().await, route, tokens.user_id, "revoked");
            setup.assert_refused(api(), "revoked", &case).await;
            assert!(!app.is_alive(&tokens) && app.is_alive(&other_session), "{case}");
            let other = setup.request("GET", "/").bearer(&other_session.access_token);
            setup.assert_let_in(other, &other_session, &case).await;
        }
    }
    for format in CookieFormat::ALL {
        for large in [false, true] {
            let tokens = app.sign_up();
            let tokens = if large { with_large_token(app, &tokens) } else { tokens };
            let case = format!("{format:?}, large: {large}");
            let mut browser = setup.browser(&tokens, format);
            setup.assert_let_in(browser.request("GET", "/"), &tokens, &case).await;
            assert_eq!(browser.fetch_csrf().await.status, 200, "{case}");
            let stolen = browser.request("GET", "/");
            let reply = browser.logout("/api/auth/logout").await;
            assert_success(&reply, "/api/auth/logout", tokens.user_id, "revoked");
            assert!(!app.is_alive(&tokens), "{case}");
            assert!(browser.jar.is_empty(), "{case}: {:?}", browser.jar.names());
            setup.assert_refused(stolen, "revoked", &case).await;
            setup.assert_refused(browser.request("GET", "/"), "missing", &case).await;
        }
    }
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn a_request_without_a_live_session_does_not_reach_the_api(#[case] kind: Kind) {
    let setup = ProxiedApi::new(kind).await;
    let app = &setup.app;
    let expired = app.sign_up();
    app.advance_time(3600);
    let live = app.sign_up();
    let unsigned = forged_token(r#"{"alg":"none"}"#, &claims_of(&live.access_token).to_string());
    let bearer = |token: &str| ("Authorization", format!("Bearer {token}"));
    let cookie = |value: &str| ("Cookie", format!("sb-127-auth-token={value}"));
    let rows = [
        ("nothing", None, "missing"),
        ("another scheme", Some(("Authorization", "Basic YTpi".to_owned())), "missing"),
        ("no token", Some(bearer("x")), "invalid"),
        ("an unsigned token", Some(bearer(&unsigned)), "invalid"),
        ("an expired token", Some(bearer(&expired.access_token)), "expired"),
        ("a cookie that is not the library's", Some(cookie("x")), "invalid"),
    ];
    for (name, credential, reason) in rows {
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
            let request = setup.request(method, "/things").body("of the client");
            let request = request.header("X-Auth-User-Id", live.user_id.to_string());
            let request = match &credential {
                Some((header, value)) => request.header(header, value),
                None => request,
            };
            setup.assert_refused(request, reason, &format!("{name}, {method}")).await;
        }
    }
    let browser = setup.browser(&expired, CookieFormat::Base64);
    setup.assert_refused(browser.request("GET", "/"), "expired", "an expired cookie").await;

    // nginx itself refuses a repeated `Authorization`, so the response has no reason of the gateway.
    for (name, reason) in [("Authorization", None), ("Origin", Some("duplicate_header"))] {
        let request = setup.request("GET", "/").header(name, "x").header(name, "y");
        let reply = request.cookies(&[("sb-127-auth-token", "x")]).send().await;
        assert_eq!(reply.status, 400, "{name}: {reply:?}");
        if let Some(reason) = reason {
            assert_eq!(reply.json()["error"]["reason"], reason, "{name}");
        }
    }
    assert_eq!((setup.api.count(), app.gotrue_call_count()), (0, 0));
    let inside = setup.request("GET", "/_session").bearer(&live.access_token).send().await;
    assert_eq!(
        inside.header("x-auth-user-id"),
        None,
        "clients cannot use the proxy's internal location"
    );
    let request = setup.request("GET", "/").bearer(&live.access_token);
    setup.assert_let_in(request, &live, "the live session").await;
}

#[rstest]
#[case::nginx(Kind::Nginx)]
#[case::caddy(Kind::Caddy)]
#[tokio::test]
async fn while_no_token_can_be_verified_no_request_passes(#[case] kind: Kind) {
    let no_keys = json!({"operation": "jwks", "kind": "status", "status": 503});
    let app = Setup::new().without_readiness_check().start_with_faults(&[no_keys]).await;
    let api = Recorder::api();
    let tokens = app.sign_up();
    let proxy = kind.start(app.address, api.address).await;
    let send = async |proxy: &ServerProcess, method: &str| {
        let request = Request::new(proxy.address, method, "/").bearer(&tokens.access_token);
        request.header("X-Auth-User-Id", "ada").body("of the client").send().await
    };
    for method in ["GET", "POST"] {
        let reply = send(&proxy, method).await;
        assert_eq!(reply.status, 503, "{reply:?}");
        assert_eq!(reply.json()["error"]["code"], "NOT_READY");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    app.stop_gateway();
    for method in ["GET", "POST"] {
        let reply = send(&proxy, method).await;
        assert!((502..=504).contains(&reply.status), "the gateway is stopped: {reply:?}");
    }
    // The proxy now asks a server that sends the identity header with every status, as a faulty gateway
    // might.
    let other_server = Recorder::start(200, &[("X-Auth-User-Id", "ada")], "");
    let proxy = kind.start(other_server.address, api.address).await;
    for status in [301, 302, 307, 403, 404, 405, 418, 429, 431, 500, 501, 502, 503, 504] {
        other_server.set_status(status);
        let reply = send(&proxy, "GET").await;
        assert!(reply.status >= 300, "{status}: {reply:?}");
        assert_eq!(reply.status >= 500, status >= 500 || reply.status == 503, "{status}");
        assert_eq!(other_server.last().line(), "GET /api/auth/verify");
    }
    assert_eq!(api.count(), 0);
}
