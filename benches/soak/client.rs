//! A client of the soak test with its own user, whose sessions no other client uses. The client asserts:
//!
//! 1. After a success the sessions that the scope includes have ended, and `verify` refuses them.
//! 2. A refused request ends no session; a logout ends only sessions that its scope includes.
//! 3. No request of another client ends a session of this user.
//! 4. A client that hangs up after it has sent a logout still ends its session, if GoTrue has no fault.
//! 5. Cookies of other applications are kept.
//! 6. Responses are those of the contract: a 5xx is `LOGOUT_FAILED` or a 503.
//! 7. Forged tokens with a session's ids, and old tokens with made-up refresh tokens, end no session, and
//!    `verify` still accepts the session.

use std::{rc::Rc, time::Duration};

use gotrue_mock::Tokens;
use serde_json::json;

use super::{LIFETIME, Soak};
use test_harness::{
    Browser, Connection, CookieFormat, LOGOUT_PATHS, Reply, Request, claims_of, eventually_within,
    forged_token, hs256_token,
};

const SESSIONS: usize = 3;
const SCOPES: [&str; 3] = ["local", "others", "global"];
/// Cookies of other applications on the same host, which no logout may delete.
const OTHER_COOKIES: [&str; 3] = ["theirs", "sb-127-auth-token-other", "sb-other-auth-token"];
/// How long a session may stay alive after its client hung up.
const MAX_DELAY_AFTER_HANG_UP: Duration = Duration::from_secs(5);

pub(super) struct Session {
    pub(super) tokens: Tokens,
    pub(super) issued_at: i64,
    pub(super) alive: bool,
    /// The result of a logout that includes this session is unknown: GoTrue may end the session at any time.
    pub(super) may_end: bool,
    /// Describes the successful logout that ended this session; from then on `verify` must refuse its tokens.
    pub(super) ended: Option<String>,
}

impl Session {
    fn of(tokens: Tokens) -> Self {
        let issued_at = claims_of(&tokens.access_token)["iat"].as_i64().unwrap();
        Self { tokens, issued_at, alive: true, may_end: false, ended: None }
    }
}

pub(super) struct Client {
    pub(super) soak: Rc<Soak>,
    random: fastrand::Rng,
    pub(super) sessions: Vec<Session>,
}

impl Client {
    pub(super) fn new(soak: Rc<Soak>, random: fastrand::Rng) -> Self {
        Self { soak, random, sessions: Vec::new() }
    }

    pub(super) async fn run(mut self) {
        self.sign_up();
        while self.soak.next() {
            self.assert_no_session_ended();
            let index = self.random.usize(0..SESSIONS);
            match self.random.usize(0..22) {
                0..7 => self.verify(index).await,
                7..9 => self.csrf(index).await,
                9..14 => self.logout(index).await,
                14..16 => self.refused(index).await,
                16 => self.hang_up(index).await,
                17 => self.garbage().await,
                18 => self.expired(index).await,
                19 => self.forged(index).await,
                20 => self.old_token(index).await,
                _ => self.other().await,
            }
            if self.sessions.iter().all(|session| !session.alive) || self.random.u8(..) < 2 {
                self.sign_up();
            }
        }
        assert!(self.soak.app.mock.delete_user(self.sessions[0].tokens.user_id));
    }

    /// Deletes the client's user and creates a new one with [`SESSIONS`] sessions.
    fn sign_up(&mut self) {
        if let Some(session) = self.sessions.first() {
            assert!(self.soak.app.mock.delete_user(session.tokens.user_id));
        }
        let first = self.soak.app.sign_up();
        let again = (1..SESSIONS).map(|_| self.soak.app.sign_in_again(&first)).collect();
        self.sessions = [vec![first], again].concat().into_iter().map(Session::of).collect();
    }

    fn request(&self, method: &str, target: &str) -> Request {
        self.soak.gateway.request(method, target)
    }

    async fn send(&self, what: &str, request: Request) -> Reply {
        let reply = request.send().await;
        let outcome = reply.header("x-logout-outcome").unwrap_or_default();
        self.soak.count(format!("{what} {} {outcome}", reply.status));
        if reply.status >= 500 {
            let code = reply.json()["error"]["code"].as_str().unwrap().to_owned();
            assert!(code == "LOGOUT_FAILED" || reply.status == 503, "{reply:?}");
        }
        reply
    }

    async fn verify(&mut self, index: usize) {
        let Session { tokens, ended, .. } = &self.sessions[index];
        let request = self.request("GET", "/api/auth/verify").bearer(&tokens.access_token);
        let status = self.send("verify", request).await.status;
        if let Some(ended) = ended {
            let by = format!("{} where tokens are judged {}", ended, self.soak.name);
            assert_eq!(status, 401, "an ended session is let in, ended by {by}");
        }
        let gotrue_failed = self.soak.gotrue_verifies && status == 503;
        assert!(matches!(status, 200 | 401) || gotrue_failed, "{status}");
    }

    async fn csrf(&mut self, index: usize) {
        let token = &self.sessions[index].tokens.access_token;
        let request = self.request("GET", "/api/auth/csrf").bearer(token);
        let status = self.send("csrf", request).await.status;
        let gotrue_failed = self.soak.gotrue_verifies && matches!(status, 429 | 500);
        assert!(status == 200 || gotrue_failed, "{status}");
    }

    async fn logout(&mut self, index: usize) {
        let (scope, target) = self.target();
        let tokens = self.sessions[index].tokens.clone();
        let requested_at = self.soak.app.clock.now();
        let reply = if self.random.bool() {
            let request = self.request("POST", &target).bearer(&tokens.access_token);
            Some(self.send("logout by bearer", request).await)
        } else {
            self.by_cookie("logout by cookie", &tokens, &target).await
        };
        if let Some(reply) = reply {
            self.check_logout(index, scope, requested_at, &reply);
        }
    }

    /// Sends a logout by cookie with an expired access token and a valid refresh token.
    async fn expired(&mut self, index: usize) {
        let (scope, target) = self.target();
        let mut tokens = self.sessions[index].tokens.clone();
        let mut claims = claims_of(&tokens.access_token);
        let requested_at = self.soak.app.clock.now();
        claims["exp"] = json!(requested_at - 10);
        tokens.access_token = self.soak.app.mock.sign(&claims).unwrap();
        let reply = self.by_cookie("logout of an expired session", &tokens, &target).await;
        if let Some(reply) = reply {
            self.check_logout(index, scope, requested_at, &reply);
        }
    }

    /// Sends a logout with an HS256 token that has the session's ids and is signed with the attacker's
    /// secret.
    async fn forged(&mut self, index: usize) {
        let (_, target) = self.target();
        let mut claims = claims_of(&self.sessions[index].tokens.access_token);
        claims["exp"] = json!(self.soak.app.clock.now() + 3600);
        let token = hs256_token(&claims, "a-secret-of-the-attacker-0123456789abcdef");
        let request = self.request("POST", &target).bearer(&token);
        let reply = self.send("logout by a forged token", request).await;
        self.assert_harmless(index, &reply);
    }

    /// Sends a logout with an expired token that GoTrue issued and a made-up refresh token.
    async fn old_token(&mut self, index: usize) {
        let (_, target) = self.target();
        let mut tokens = self.sessions[index].tokens.clone();
        let mut claims = claims_of(&tokens.access_token);
        claims["exp"] = json!(self.soak.app.clock.now() - 10);
        tokens.access_token = self.soak.app.mock.sign(&claims).unwrap();
        tokens.refresh_token = format!("made-up-{}", self.random.u64(..));
        if let Some(reply) = self.by_cookie("logout by an old token", &tokens, &target).await {
            self.assert_harmless(index, &reply);
        }
    }

    fn target(&mut self) -> (&'static str, String) {
        let scope = SCOPES[self.random.usize(0..3)];
        (scope, format!("{}?scope={scope}", LOGOUT_PATHS[self.random.usize(0..LOGOUT_PATHS.len())]))
    }

    /// Sends a logout by cookie; returns `None` without sending it if the gateway issues no CSRF token.
    async fn by_cookie(&self, what: &str, tokens: &Tokens, target: &str) -> Option<Reply> {
        let request = self.request("GET", "/api/auth/csrf").bearer(&tokens.access_token);
        let minted = self.send("csrf", request).await;
        let mut browser =
            Browser::signed_in_without_csrf(&self.soak.app, tokens, CookieFormat::Base64);
        for name in OTHER_COOKIES {
            browser.jar.insert(browser.page, name, "kept");
        }
        browser.store_cookies(&minted);
        let csrf = browser.csrf_cookie()?;
        let cookies = browser.jar.cookies_for(browser.page);
        let request = self.request("POST", target).cookies(&cookies);
        let reply = self.send(what, request.header("X-CSRF-Token", csrf)).await;
        browser.store_cookies(&reply);
        let left = browser.jar.names();
        assert!(OTHER_COOKIES.iter().all(|name| left.contains(name)), "{left:?}: {reply:?}");
        Some(reply)
    }

    async fn refused(&mut self, index: usize) {
        let tokens = &self.sessions[index].tokens;
        let browser =
            Browser::signed_in_without_csrf(&self.soak.app, tokens, CookieFormat::Chunked);
        let cookies = browser.jar.cookies_for(browser.page);
        let (request, status) = match self.random.usize(0..5) {
            0 => (self.request("POST", "/logout").cookies(&cookies), 403),
            1 => (self.request("POST", "/logout?scope=all").bearer(&tokens.access_token), 400),
            2 => (self.request("POST", "/logout").bearer("e30.e30.e30"), 401),
            // A token with an unknown key id makes the gateway fetch the key set again, at most once per
            // interval.
            3 => {
                let claims = claims_of(&tokens.access_token).to_string();
                let token = forged_token(r#"{"alg":"ES256","kid":"unknown-key"}"#, &claims);
                (self.request("POST", "/logout").bearer(&token), 401)
            }
            _ => {
                let request = self.request("POST", "/api/auth/logout").cookies(&cookies);
                (request.header("Sec-Fetch-Site", "cross-site"), 403)
            }
        };
        assert_eq!(self.send("refused", request).await.status, status);
    }

    /// Sends a logout and hangs up before the request is complete, or after it but before the response. After
    /// a complete request the session must still end.
    async fn hang_up(&mut self, index: usize) {
        let session = &mut self.sessions[index];
        let soak = &self.soak;
        let request = soak.gateway.request("POST", "/logout").bearer(&session.tokens.access_token);
        let bytes = request.bytes(false);
        let whole = self.random.bool();
        let length = if whole { bytes.len() } else { self.random.usize(1..bytes.len()) };
        // The gateway refuses the logout if the token expires before the gateway handles it.
        let fresh = session.issued_at + LIFETIME.cast_signed() > soak.app.clock.now() + 5;
        let without_faults = whole && fresh && self.random.u8(..) < 16;
        if without_faults {
            soak.clients_needing_gotrue.set(soak.clients_needing_gotrue.get() + 1);
            soak.app.mock.clear_faults();
            // Delay the response so that it arrives after the client has hung up.
            let late = json!({"operation": "logout", "kind": "delay", "seconds": 0.05, "times": 1});
            soak.app.inject_fault(late);
        }
        soak.count(match (whole, without_faults) {
            (true, true) => "hung up before the answer, without faults",
            (true, false) => "hung up before the answer",
            (false, _) => "hung up in the head",
        });
        let mut connection = Connection::open(soak.gateway.address).await;
        connection.write(&bytes[..length]).await;
        drop(connection);
        if whole {
            (session.alive, session.may_end) = (false, true);
        }
        if without_faults {
            let died = eventually_within(MAX_DELAY_AFTER_HANG_UP, async || {
                !soak.app.is_alive(&session.tokens)
            })
            .await;
            soak.clients_needing_gotrue.set(soak.clients_needing_gotrue.get() - 1);
            assert!(died, "a logout was stopped because the client hung up");
        }
    }

    async fn garbage(&mut self) {
        let length = self.random.usize(1..2000);
        let bytes: Vec<u8> = (0..length).map(|_| self.random.u8(..)).collect();
        self.soak.count("garbage");
        let mut connection = Connection::open(self.soak.gateway.address).await;
        connection.write(&bytes).await;
        connection.write(b"\r\n\r\n").await;
        let reply = connection.reply(false).await;
        assert!(reply.is_none_or(|reply| (400..500).contains(&reply.status)));
    }

    async fn other(&mut self) {
        let (path, status) =
            [("/healthz", 200), ("/openapi.json", 200), ("/nope", 404), ("/logout", 405)]
                [self.random.usize(0..4)];
        assert_eq!(self.send("other", self.request("GET", path)).await.status, status);
    }
}
