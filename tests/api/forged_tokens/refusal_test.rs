//! A forger at work: every way in, with all that he could have beside the token.

use gotrue_mock::Tokens;
use logout_gateway::internals::session::token::TokenError;

use super::{
    project_keys::{ProjectKeys, Rejection, TestVerifier},
    token_factory::TokenCase,
};
use crate::harness::{Connection, CookieFormat, Reply, Request, TestApp, session_cookies};

const SESSION_COOKIE: &str = "sb-127-auth-token";
/// Coded once more, it must leave room in a head of 128 KiB.
const LARGEST_IN_COOKIES: usize = 80_000;

/// Whose session the forger is after, and what he has himself.
pub(crate) struct RefusalTest {
    pub(crate) app: TestApp,
    pub(crate) verifier: TestVerifier,
    pub(crate) owner: Tokens,
    owner_csrf: String,
    attacker: Tokens,
    /// For all requests.
    connection: Connection,
}

impl RefusalTest {
    pub(crate) async fn new(project_keys: ProjectKeys) -> Self {
        let app = project_keys.start_app().await;
        let verifier = project_keys.verifier(&app).await;
        let (owner, attacker) = (app.sign_up(), app.sign_up());
        let owner_csrf = app.csrf_token(&owner).await;
        let connection = Connection::open(app.address).await;
        Self { app, verifier, owner, owner_csrf, attacker, connection }
    }

    async fn send(&mut self, request: &Request) -> Reply {
        self.connection.write(&request.bytes(false)).await;
        self.connection.reply(false).await.expect("an answer, and the connection goes on")
    }

    pub(crate) async fn verify(&mut self, token: &str) -> u16 {
        let request = self.app.get("/api/auth/verify").bearer(token);
        self.send(&request).await.status
    }

    /// By every way in, and the session lives on.
    pub(crate) async fn assert_refused(&mut self, case: &TokenCase) {
        let expired = case.rejection == Rejection::Expired;
        let reason = if expired { "expired" } else { "invalid" };
        // With the forger's own refresh token an expired one would be his session's.
        let refresh_token = if expired { "" } else { &self.attacker.refresh_token };
        let calls_before = self.app.gotrue_call_count();
        for (way, request) in self.requests_with(&case.token, refresh_token) {
            let reply = self.send(&request).await;
            let label = format!("{} ({way})", case.name);
            if way.starts_with("csrf") && expired {
                assert_eq!(reply.status, 200, "{label}: an expired session is not locked in");
                continue;
            }
            assert_eq!(
                status_code_and_reason(&reply),
                (401, "NOT_AUTHENTICATED".to_owned(), reason.to_owned()),
                "{label}"
            );
            assert_eq!(reply.header("x-logout-outcome"), None, "{label}");
            assert_eq!(reply.header("x-auth-user-id"), None, "{label}");
            // A setting of the gateway may be wrong: the browser keeps its session.
            let setting = [TokenError::Issuer, TokenError::Audience].map(Rejection::Invalid);
            let deletes = way == "logout by cookie" && !setting.contains(&case.rejection);
            assert_eq!(reply.deleted_cookies().contains(&SESSION_COOKIE), deletes, "{label}");
        }
        let gotrue_was_called = self.app.gotrue_call_count() != calls_before;
        assert_eq!(
            gotrue_was_called,
            case.rejection == Rejection::ByGoTrue,
            "{}: GoTrue was asked",
            case.name
        );
        for tokens in [&self.owner, &self.attacker] {
            assert!(self.app.is_alive(tokens), "{}", case.name);
        }
        let owner = self.owner.access_token.clone();
        assert_eq!(self.verify(&owner).await, 200, "{} locks the owner out", case.name);
    }

    /// Everywhere that a token is read and that it fits into.
    fn requests_with(&self, token: &str, refresh_token: &str) -> Vec<(&'static str, Request)> {
        let app = &self.app;
        let mut requests = Vec::new();
        // White space around it would be the header's own, and other control characters end a head.
        if token.trim() == token && !token.contains(char::is_control) {
            requests.extend([
                ("verify", app.get("/api/auth/verify").bearer(token)),
                ("csrf", app.get("/api/auth/csrf").bearer(token)),
                ("logout", app.post("/api/auth/logout?scope=global").bearer(token)),
            ]);
        }
        if token.len() < LARGEST_IN_COOKIES {
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
        assert!(!requests.is_empty(), "{token:?} is tried nowhere");
        requests
    }

    /// But for the key set itself, the version, and what GoTrue alone can judge.
    pub(crate) fn assert_no_other_key_fetches(&self) {
        for call in self.app.mock.calls() {
            let known = ["/.well-known/jwks.json", "/health", "/logout", "/user"];
            let path = call.path.strip_prefix("/auth/v1").unwrap();
            assert!(known.contains(&path), "{call:?}");
        }
        let fetches = self.app.gotrue_calls(".well-known/jwks.json").len();
        assert!(fetches <= 2, "{fetches}: all unknown keys together cause one refetch");
    }
}

/// Status, code and reason.
fn status_code_and_reason(reply: &Reply) -> (u16, String, String) {
    let error = &reply.json()["error"];
    let text = |member: &str| error[member].as_str().unwrap_or_default().to_owned();
    (reply.status, text("code"), text("reason"))
}
