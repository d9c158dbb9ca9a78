//! One client with one user of its own, so that nobody else can be blamed for what its sessions do.
//!
//! 1. Success means that what the scope names is dead, and `verify` refuses it from then on.
//! 2. A refused request ends nothing; no session dies that the scope does not name.
//! 3. Nothing that anybody else does ends a session of this user.
//! 4. A client that hangs up once its request is sent ends its session where GoTrue is well.
//! 5. No foreign cookie is touched.
//! 6. No answer but the contract's: 5xx is `LOGOUT_FAILED`, or a 503.
//! 7. Forged tokens with a session's ids, and old tokens of it with made-up refresh tokens, end nothing and
//!    change nothing of what `verify` says of the session.

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
/// Cookies that no logout may touch.
const FOREIGN: [&str; 3] = ["theirs", "sb-127-auth-token-other", "sb-other-auth-token"];
/// How long a session may live on after its client hung up.
const SOON: Duration = Duration::from_secs(5);

struct Session {
    tokens: Tokens,
    issued_at: i64,
    alive: bool,
    /// Asked to die, and nobody knows when.
    doomed: bool,
    /// By a logout that was a success, and which: its tokens are on the list.
    ended: Option<String>,
}

impl Session {
    fn of(tokens: Tokens) -> Self {
        let issued_at = claims_of(&tokens.access_token)["iat"].as_i64().unwrap();
        Self { tokens, issued_at, alive: true, doomed: false, ended: None }
    }
}

pub(super) struct Client {
    soak: Rc<Soak>,
    random: fastrand::Rng,
    sessions: Vec<Session>,
}

impl Client {
    pub(super) fn new(soak: Rc<Soak>, random: fastrand::Rng) -> Self {
        Self { soak, random, sessions: Vec::new() }
    }

    pub(super) async fn run(mut self) {
        self.sign_up();
        while self.soak.next() {
            self.assert_nobody_died();
            let which = self.random.usize(0..SESSIONS);
            match self.random.usize(0..22) {
                0..7 => self.verify(which).await,
                7..9 => self.csrf(which).await,
                9..14 => self.logout(which).await,
                14..16 => self.refused(which).await,
                16 => self.hang_up(which).await,
                17 => self.garbage().await,
                18 => self.expired(which).await,
                19 => self.forged(which).await,
                20 => self.old_token(which).await,
                _ => self.other().await,
            }
            if self.sessions.iter().all(|session| !session.alive) || self.random.u8(..) < 2 {
                self.sign_up();
            }
        }
        assert!(self.soak.app.mock.delete_user(self.sessions[0].tokens.user_id));
    }

    /// A new user takes the place of the old one, whose rows the mock forgets.
    fn sign_up(&mut self) {
        if let Some(session) = self.sessions.first() {
            assert!(self.soak.app.mock.delete_user(session.tokens.user_id));
        }
        let first = self.soak.app.sign_up();
        let again = (1..SESSIONS).map(|_| self.soak.app.sign_in_again(&first)).collect();
        self.sessions = [vec![first], again].concat().into_iter().map(Session::of).collect();
    }

    fn assert_nobody_died(&self) {
        for session in self.sessions.iter().filter(|session| session.alive) {
            assert!(self.soak.app.is_alive(&session.tokens), "a session died that nobody ended");
        }
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

    async fn verify(&mut self, which: usize) {
        let Session { tokens, ended, .. } = &self.sessions[which];
        let request = self.request("GET", "/api/auth/verify").bearer(&tokens.access_token);
        let status = self.send("verify", request).await.status;
        if let Some(ended) = ended {
            let by = format!("{} where tokens are judged {}", ended, self.soak.name);
            assert_eq!(status, 401, "an ended session is let in, ended by {by}");
        }
        let nobody_can_tell = self.soak.gotrue_judges && status == 503;
        assert!(matches!(status, 200 | 401) || nobody_can_tell, "{status}");
    }

    async fn csrf(&mut self, which: usize) {
        let token = &self.sessions[which].tokens.access_token;
        let request = self.request("GET", "/api/auth/csrf").bearer(token);
        let status = self.send("csrf", request).await.status;
        let nobody_can_tell = self.soak.gotrue_judges && matches!(status, 429 | 500);
        assert!(status == 200 || nobody_can_tell, "{status}");
    }

    async fn logout(&mut self, which: usize) {
        let (scope, target) = self.target();
        let tokens = self.sessions[which].tokens.clone();
        let asked_at = self.soak.app.clock.now();
        let reply = if self.random.bool() {
            let request = self.request("POST", &target).bearer(&tokens.access_token);
            Some(self.send("logout by bearer", request).await)
        } else {
            self.by_cookie("logout by cookie", &tokens, &target).await
        };
        if let Some(reply) = reply {
            self.judge(which, scope, asked_at, &reply);
        }
    }

    /// With an access token whose time is over.
    async fn expired(&mut self, which: usize) {
        let (scope, target) = self.target();
        let mut tokens = self.sessions[which].tokens.clone();
        let mut claims = claims_of(&tokens.access_token);
        let asked_at = self.soak.app.clock.now();
        claims["exp"] = json!(asked_at - 10);
        tokens.access_token = self.soak.app.mock.sign(&claims).unwrap();
        let reply = self.by_cookie("logout of an expired session", &tokens, &target).await;
        if let Some(reply) = reply {
            self.judge(which, scope, asked_at, &reply);
        }
    }

    /// An HS256 token with the session's ids, signed with a secret of an attacker's.
    async fn forged(&mut self, which: usize) {
        let (_, target) = self.target();
        let mut claims = claims_of(&self.sessions[which].tokens.access_token);
        claims["exp"] = json!(self.soak.app.clock.now() + 3600);
        let token = hs256_token(&claims, "a-secret-of-the-attacker-0123456789abcdef");
        let request = self.request("POST", &target).bearer(&token);
        let reply = self.send("logout by a forged token", request).await;
        self.assert_harmless(which, &reply);
    }

    /// An expired token that GoTrue issued, and a refresh token that it did not.
    async fn old_token(&mut self, which: usize) {
        let (_, target) = self.target();
        let mut tokens = self.sessions[which].tokens.clone();
        let mut claims = claims_of(&tokens.access_token);
        claims["exp"] = json!(self.soak.app.clock.now() - 10);
        tokens.access_token = self.soak.app.mock.sign(&claims).unwrap();
        tokens.refresh_token = format!("made-up-{}", self.random.u64(..));
        if let Some(reply) = self.by_cookie("logout by an old token", &tokens, &target).await {
            self.assert_harmless(which, &reply);
        }
    }

    /// Nothing is said to be done but for a session that was over already, and every session lives that did.
    fn assert_harmless(&self, which: usize, reply: &Reply) {
        let Session { alive, .. } = self.sessions[which];
        let ended = reply.header("x-logout-outcome") == Some("already-ended") && !alive;
        assert!(reply.status >= 400 || ended, "{reply:?}");
        self.assert_nobody_died();
    }

    fn target(&mut self) -> (&'static str, String) {
        let scope = SCOPES[self.random.usize(0..3)];
        (scope, format!("{}?scope={scope}", LOGOUT_PATHS[self.random.usize(0..LOGOUT_PATHS.len())]))
    }

    /// Nothing is asked for where there is no CSRF token to be had.
    async fn by_cookie(&self, what: &str, tokens: &Tokens, target: &str) -> Option<Reply> {
        let request = self.request("GET", "/api/auth/csrf").bearer(&tokens.access_token);
        let minted = self.send("csrf", request).await;
        let mut browser =
            Browser::signed_in_without_csrf(&self.soak.app, tokens, CookieFormat::Base64);
        for name in FOREIGN {
            browser.jar.insert(browser.page, name, "kept");
        }
        browser.store_cookies(&minted);
        let csrf = browser.csrf_cookie()?;
        let cookies = browser.jar.cookies_for(browser.page);
        let request = self.request("POST", target).cookies(&cookies);
        let reply = self.send(what, request.header("X-CSRF-Token", csrf)).await;
        browser.store_cookies(&reply);
        let left = browser.jar.names();
        assert!(FOREIGN.iter().all(|name| left.contains(name)), "{left:?}: {reply:?}");
        Some(reply)
    }

    /// Holds what died against what the scope names and the reply says.
    fn judge(&mut self, which: usize, scope: &str, asked_at: i64, reply: &Reply) {
        let (success, refused) = (reply.status < 300, (400..429).contains(&reply.status));
        let was_alive = self.sessions[which].alive;
        let revoked = reply.header("x-logout-outcome") == Some("revoked");
        for (n, session) in self.sessions.iter_mut().enumerate() {
            let named = match scope {
                "local" => n == which,
                "others" => n != which,
                _ => true,
            };
            let alive = self.soak.app.is_alive(&session.tokens);
            assert!(
                alive || !session.alive || (named && !refused),
                "{n} by {scope} of {which}: {reply:?}"
            );
            // After a try of unknown outcome, a session that is gone counts as ended by it.
            let must_be_dead = named && (scope != "global" || was_alive || n == which);
            assert!(
                !(success && must_be_dead && alive),
                "{n} lives: {scope} of {which}: {reply:?}"
            );
            session.doomed |= named && reply.status >= 429;
            session.alive = alive && !session.doomed;
            // GoTrue's clock was at this second or later.
            let before_the_cut_off = scope != "local" && session.issued_at <= asked_at;
            let itself = n == which && scope != "others";
            if revoked && (itself || (named && before_the_cut_off)) {
                session.ended = Some(format!("{scope} of {which}, itself {itself}: {reply:?}"));
            }
        }
    }

    async fn refused(&mut self, which: usize) {
        let tokens = &self.sessions[which].tokens;
        let browser =
            Browser::signed_in_without_csrf(&self.soak.app, tokens, CookieFormat::Chunked);
        let cookies = browser.jar.cookies_for(browser.page);
        let (request, status) = match self.random.usize(0..5) {
            0 => (self.request("POST", "/logout").cookies(&cookies), 403),
            1 => (self.request("POST", "/logout?scope=all").bearer(&tokens.access_token), 400),
            2 => (self.request("POST", "/logout").bearer("e30.e30.e30"), 401),
            // Now and then it makes the gateway ask for the key set.
            3 => {
                let claims = claims_of(&tokens.access_token).to_string();
                let token = forged_token(r#"{"alg":"ES256","kid":"of-nobody"}"#, &claims);
                (self.request("POST", "/logout").bearer(&token), 401)
            }
            _ => {
                let request = self.request("POST", "/api/auth/logout").cookies(&cookies);
                (request.header("Sec-Fetch-Site", "cross-site"), 403)
            }
        };
        assert_eq!(self.send("refused", request).await.status, status);
    }

    /// Before the request is whole, or before its answer: then the session dies all the same, later.
    async fn hang_up(&mut self, which: usize) {
        let session = &mut self.sessions[which];
        let soak = &self.soak;
        let request = soak.gateway.request("POST", "/logout").bearer(&session.tokens.access_token);
        let bytes = request.bytes(false);
        let whole = self.random.bool();
        let length = if whole { bytes.len() } else { self.random.usize(1..bytes.len()) };
        // Who expired while waiting dies no more.
        let fresh = session.issued_at + LIFETIME.cast_signed() > soak.app.clock.now() + 5;
        let calm = whole && fresh && self.random.u8(..) < 16;
        if calm {
            soak.calm.set(soak.calm.get() + 1);
            soak.app.mock.clear_faults();
            // So that the answer is still to come.
            let late = json!({"operation": "logout", "kind": "delay", "seconds": 0.05, "times": 1});
            soak.app.inject_fault(late);
        }
        soak.count(match (whole, calm) {
            (true, true) => "hung up before the answer, without faults",
            (true, false) => "hung up before the answer",
            (false, _) => "hung up in the head",
        });
        let mut connection = Connection::open(soak.gateway.address).await;
        connection.write(&bytes[..length]).await;
        drop(connection);
        if whole {
            (session.alive, session.doomed) = (false, true);
        }
        if calm {
            let died = eventually_within(SOON, async || !soak.app.is_alive(&session.tokens)).await;
            soak.calm.set(soak.calm.get() - 1);
            assert!(died, "a client that hung up stopped its logout");
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
