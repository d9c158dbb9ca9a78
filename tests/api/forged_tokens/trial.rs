//! A forger at work: every way in, with all that he could have beside the token.

use gotrue_mock::Tokens;
use logout_gateway::internals::session::token::TokenError;

use super::{
    court::{Court, Judge, Why},
    mint::Row,
};
use crate::harness::{Connection, Form, Reply, Request, Stage, session_cookies};

const K: &str = "sb-127-auth-token";
/// Coded once more, it must leave room in a head of 128 KiB.
const LARGEST_IN_COOKIES: usize = 80_000;

/// Whose session the forger is after, and what he has himself.
pub(crate) struct Trial {
    pub(crate) stage: Stage,
    pub(crate) judge: Judge,
    pub(crate) owner: Tokens,
    owners_csrf: String,
    forger: Tokens,
    /// For all requests.
    connection: Connection,
}

impl Trial {
    pub(crate) async fn new(court: Court) -> Self {
        let stage = court.stage().await;
        let judge = court.judge(&stage).await;
        let (owner, forger) = (stage.sign_up(), stage.sign_up());
        let owners_csrf = stage.csrf_token(&owner).await;
        let connection = Connection::open(stage.address).await;
        Self { stage, judge, owner, owners_csrf, forger, connection }
    }

    async fn ask(&mut self, request: &Request) -> Reply {
        self.connection.write(&request.bytes(false)).await;
        self.connection.reply(false).await.expect("an answer, and the connection goes on")
    }

    pub(crate) async fn verify(&mut self, token: &str) -> u16 {
        let request = self.stage.get("/api/auth/verify").bearer(token);
        self.ask(&request).await.status
    }

    /// By every way in, and the session lives on.
    pub(crate) async fn is_refused(&mut self, row: &Row) {
        let expired = row.why == Why::Expired;
        let reason = if expired { "expired" } else { "invalid" };
        // With the forger's own refresh token an expired one would be his session's.
        let refresh_token = if expired { "" } else { &self.forger.refresh_token };
        let asked = self.stage.asked();
        for (way, request) in self.ways(&row.token, refresh_token) {
            let reply = self.ask(&request).await;
            let case = format!("{} ({way})", row.name);
            if way.starts_with("csrf") && expired {
                assert_eq!(reply.status, 200, "{case}: an expired session is not locked in");
                continue;
            }
            assert_eq!(
                told(&reply),
                (401, "NOT_AUTHENTICATED".to_owned(), reason.to_owned()),
                "{case}"
            );
            assert_eq!(reply.header("x-logout-outcome"), None, "{case}");
            assert_eq!(reply.header("x-auth-user-id"), None, "{case}");
            // A setting of the gateway may be wrong: the browser keeps its session.
            let setting = [TokenError::Issuer, TokenError::Audience].map(Why::Breaks);
            let deletes = way == "logout by cookie" && !setting.contains(&row.why);
            assert_eq!(reply.deleted().contains(&K), deletes, "{case}");
        }
        let was_asked = self.stage.asked() != asked;
        assert_eq!(was_asked, row.why == Why::GoTrueSays, "{}: GoTrue was asked", row.name);
        for tokens in [&self.owner, &self.forger] {
            assert!(self.stage.alive(tokens), "{}", row.name);
        }
        let owner = self.owner.access_token.clone();
        assert_eq!(self.verify(&owner).await, 200, "{} locks the owner out", row.name);
    }

    /// Everywhere that a token is read and that it fits into.
    fn ways(&self, token: &str, refresh_token: &str) -> Vec<(&'static str, Request)> {
        let stage = &self.stage;
        let mut ways = Vec::new();
        // White space around it would be the header's own, and other control characters end a head.
        if token.trim() == token && !token.contains(char::is_control) {
            ways.extend([
                ("verify", stage.get("/api/auth/verify").bearer(token)),
                ("csrf", stage.get("/api/auth/csrf").bearer(token)),
                ("logout", stage.post("/api/auth/logout?scope=global").bearer(token)),
            ]);
        }
        if token.len() < LARGEST_IN_COOKIES {
            let mut cookies = session_cookies(K, token, refresh_token, Form::Base64);
            cookies.push(("sb-csrf-token".to_owned(), self.owners_csrf.clone()));
            if ways.is_empty() {
                ways.extend([
                    ("verify by cookie", stage.get("/api/auth/verify").cookies(&cookies)),
                    ("csrf by cookie", stage.get("/api/auth/csrf").cookies(&cookies)),
                ]);
            }
            let logout = stage.post("/logout?scope=global").cookies(&cookies);
            ways.push(("logout by cookie", logout.header("X-CSRF-Token", &self.owners_csrf)));
        }
        assert!(!ways.is_empty(), "{token:?} is tried nowhere");
        ways
    }

    /// But for the key set itself, the version, and what GoTrue alone can judge.
    pub(crate) fn nobody_was_asked_for_keys(&self) {
        for call in self.stage.mock.calls() {
            let known = ["/.well-known/jwks.json", "/health", "/logout", "/user"];
            let path = call.path.strip_prefix("/auth/v1").unwrap();
            assert!(known.contains(&path), "{call:?}");
        }
        let fetches = self.stage.calls(".well-known/jwks.json").len();
        assert!(fetches <= 2, "{fetches}: all unknown keys together cause one refetch");
    }
}

/// Status, code and reason.
fn told(reply: &Reply) -> (u16, String, String) {
    let error = &reply.json()["error"];
    let text = |member: &str| error[member].as_str().unwrap_or_default().to_owned();
    (reply.status, text("code"), text("reason"))
}
