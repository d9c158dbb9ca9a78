//! Sends a forged token to every route that reads tokens, together with everything else that an attacker
//! could have.

use gotrue_mock::Tokens;
use logout_gateway::internals::session::token::TokenError;

use super::{
    project_keys::{ProjectKeys, Rejection, TestVerifier},
    token_factory::TokenCase,
};
use crate::harness::{Connection, CookieFormat, Reply, Request, Setup, TestApp, session_cookies};

const SESSION_COOKIE: &str = "sb-127-auth-token";
/// The longest token, in characters, that fits as a cookie into a request head of 128 KiB.
const MAX_TOKEN_IN_COOKIE: usize = 80_000;

/// A test app, the session `owner` that the attacker wants to end, and the attacker's own session.
pub(crate) struct RefusalTest {
    pub(crate) app: TestApp,
    pub(crate) verifier: TestVerifier,
    pub(crate) owner: Tokens,
    owner_csrf: String,
    attacker: Tokens,
    /// The connection on which the test sends all requests.
    connection: Connection,
}

impl RefusalTest {
    pub(crate) async fn new(project_keys: ProjectKeys) -> Self {
        Self::with(project_keys, |setup| setup).await
    }

    /// A test whose app and verifier have the settings that `change` makes.
    pub(crate) async fn with(project_keys: ProjectKeys, change: impl Fn(Setup) -> Setup) -> Self {
        let app = project_keys.start_app_with(&change).await;
        let verifier = project_keys.verifier_with(&app, change).await;
        let (owner, attacker) = (app.sign_up(), app.sign_up());
        let owner_csrf = app.csrf_token(&owner).await;
        let connection = Connection::open(app.address).await;
        Self { app, verifier, owner, owner_csrf, attacker, connection }
    }

    async fn send(&mut self, request: &Request) -> Reply {
        self.connection.write(&request.bytes(false)).await;
        self.connection
            .reply(false)
            .await
            .expect("the gateway responds and keeps the connection open")
    }

    pub(crate) async fn verify(&mut self, token: &str) -> u16 {
        let request = self.app.get("/api/auth/verify").bearer(token);
        self.send(&request).await.status
    }

    /// Asserts that every route refuses the token of the case, and that the owner's and the attacker's
    /// session stay alive.
    pub(crate) async fn assert_refused(&mut self, case: &TokenCase) {
        let expired = case.rejection == Rejection::Expired;
        let reason = if expired { "expired" } else { "invalid" };
        // Send no refresh token of the attacker with an expired token, because the gateway would refresh the
        // attacker's session and end it.
        let refresh_token = if expired { "" } else { &self.attacker.refresh_token };
        let calls_before = self.app.gotrue_call_count();
        for (route, request) in self.requests_with(&case.token, refresh_token) {
            let reply = self.send(&request).await;
            let label = format!("{} ({route})", case.name);
            if route.starts_with("csrf") && expired {
                assert_eq!(
                    reply.status, 200,
                    "{label}: an expired session can still get a CSRF token to sign out"
                );
                continue;
            }
            assert_eq!(
                status_code_and_reason(&reply),
                (401, "NOT_AUTHENTICATED".to_owned(), reason.to_owned()),
                "{label}"
            );
            assert_eq!(reply.header("x-logout-outcome"), None, "{label}");
            assert_eq!(reply.header("x-auth-user-id"), None, "{label}");
            // An unexpected issuer or audience may come from a wrong setting of the gateway, so the gateway
            // must not delete the cookies.
            let setting = [TokenError::Issuer, TokenError::Audience].map(Rejection::Invalid);
            let deletes = route == "logout by cookie" && !setting.contains(&case.rejection);
            assert_eq!(reply.deleted_cookies().contains(&SESSION_COOKIE), deletes, "{label}");
        }
        let gotrue_was_called = self.app.gotrue_call_count() != calls_before;
        assert_eq!(
            gotrue_was_called,
            case.rejection == Rejection::ByGoTrue,
            "{}: GoTrue was called",
            case.name
        );
        for tokens in [&self.owner, &self.attacker] {
            assert!(self.app.is_alive(tokens), "{}", case.name);
        }
        let owner = self.owner.access_token.clone();
        assert_eq!(self.verify(&owner).await, 200, "{}: the owner is still signed in", case.name);
    }

    /// Asserts that the verifier and the route `verify` accept each of these tokens of the owner, which are
    /// given with their names.
    pub(crate) async fn assert_all_accepted(&mut self, tokens: &[(String, String)]) {
        for (name, token) in tokens {
            assert!(self.verifier.accepts(token), "{name}");
            assert_eq!(self.verify(token).await, 200, "{name}");
        }
    }

    /// Requests with the token to all routes that read tokens, in each header and cookie that can hold the
    /// token.
    fn requests_with(&self, token: &str, refresh_token: &str) -> Vec<(&'static str, Request)> {
        let app = &self.app;
        let mut requests = Vec::new();
        // No header value can begin or end with white space or contain control characters (RFC 9110, section
        // 5.5).
        if token.trim() == token && !token.contains(char::is_control) {
            requests.extend([
                ("verify", app.get("/api/auth/verify").bearer(token)),
                ("csrf", app.get("/api/auth/csrf").bearer(token)),
                ("logout", app.post("/api/auth/logout?scope=global").bearer(token)),
            ]);
        }
        if token.len() < MAX_TOKEN_IN_COOKIE {
            let mut cookies =
                session_cookies(SESSION_COOKIE, token, refresh_token, CookieFormat::Base64);
            cookies.push(("sb-csrf-token".to_owned(), self.owner_csrf.clone()));
            if requests.is_empty() {
                requests.extend([
                    ("verify by cookie", app.get("/api/auth/verify").cookies(&cookies)),
                    ("csrf by cookie", app.get("/api/auth/csrf").cookies(&cookies)),
                ]);
            }
            let logout = app.post("/logout?scope=global").cookies(&cookies);
            requests.push(("logout by cookie", logout.header("X-CSRF-Token", &self.owner_csrf)));
        }
        assert!(!requests.is_empty(), "no request can hold {token:?}");
        requests
    }

    /// Asserts that the gateway fetched keys only from the project's key set, and only twice.
    pub(crate) fn assert_no_other_key_fetches(&self) {
        for call in self.app.mock.calls() {
            let expected = [
                "/.well-known/jwks.json",
                "/.well-known/openid-configuration",
                "/health",
                "/logout",
                "/user",
            ];
            let path = call.path.strip_prefix("/auth/v1").unwrap();
            assert!(expected.contains(&path), "{call:?}");
        }
        for document in [".well-known/jwks.json", ".well-known/openid-configuration"] {
            let fetches = self.app.gotrue_calls(document).len();
            assert!(
                fetches <= 2,
                "{fetches} fetches of {document}: all unknown keys and issuers must cause one refetch"
            );
        }
    }
}

/// The status of the response, the error code and the reason.
fn status_code_and_reason(reply: &Reply) -> (u16, String, String) {
    let error = &reply.json()["error"];
    let text = |member: &str| error[member].as_str().unwrap_or_default().to_owned();
    (reply.status, text("code"), text("reason"))
}
