//! The gateway and its mock under the steps of a history.

use std::collections::HashSet;

use logout_gateway::mock::Tokens;
use proptest_state_machine::StateMachineTest;
use serde_json::json;
use tokio::runtime::{self, Runtime};
use uuid::Uuid;

use super::world::{LIFETIME, Scope, Showing, Step, World};
use crate::harness::{Browser, Form, Page, Reply, Request, Setup, Stage};

/// Cookies that no logout may touch.
const FOREIGN: [&str; 3] = ["theirs", "sb-127-auth-token-other", "sb-other-auth-token"];

struct Session {
    user: usize,
    tokens: Tokens,
    issued_at: i64,
    /// Whether `verify` must refuse its tokens from now on.
    ended_here: bool,
    /// Whether it may: a logout of all that failed enters the list, too.
    perhaps_ended_here: bool,
}

pub(super) struct Gateway {
    runtime: Runtime,
    stage: Stage,
    users: Vec<Uuid>,
    sessions: Vec<Session>,
}

impl StateMachineTest for Gateway {
    type SystemUnderTest = Self;
    type Reference = World;

    fn init_test(world: &World) -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let setup = Setup::new().token_lifetime(LIFETIME.unsigned_abs());
        let setup = setup.flag("upstream-timeout", "250ms");
        let stage = runtime.block_on(setup.start());
        let mut gateway = Self { runtime, stage, users: Vec::new(), sessions: Vec::new() };
        world.users.iter().for_each(|_| gateway.sign_up());
        for session in &world.sessions {
            gateway.sign_in(session.user);
        }
        gateway
    }

    fn apply(mut gateway: Self, world: &World, step: Step) -> Self {
        match step {
            Step::SignUp => {
                gateway.sign_up();
                gateway.sign_in(gateway.users.len() - 1);
            }
            Step::SignInAgain { user } => gateway.sign_in(user),
            Step::Refresh { session } => gateway.refresh(session),
            Step::Logout { session, route, scope, showing } => {
                gateway.logout(world, session, route, scope, showing);
            }
            Step::Verify { session } => gateway.verify(world, session),
            Step::Fault(fault) => gateway.stage.fault(fault),
            Step::FaultsPass => gateway.stage.mock.clear_faults(),
            Step::Ban { user } => assert!(gateway.stage.mock.ban_user(gateway.users[user])),
            Step::DeleteUser { user } => {
                assert!(gateway.stage.mock.delete_user(gateway.users[user]));
            }
            Step::DeleteSession { session } => {
                let _ =
                    gateway.stage.mock.delete_session(gateway.sessions[session].tokens.session_id);
            }
            Step::RotateKeys => gateway.stage.mock.rotate_keys().unwrap(),
            Step::Pass { seconds } => gateway.stage.pass(seconds),
        }
        gateway
    }

    fn check_invariants(gateway: &Self, world: &World) {
        if !world.doubtful {
            for (n, session) in world.sessions.iter().enumerate() {
                assert_eq!(gateway.alive(n), session.alive, "session {n}");
            }
        }
    }
}

impl Gateway {
    fn sign_up(&mut self) {
        let email = format!("{}@example.com", Uuid::new_v4());
        self.users.push(self.stage.mock.create_user(&email, "password"));
    }

    fn sign_in(&mut self, user: usize) {
        let tokens = self.stage.mock.sign_in(self.users[user]).unwrap();
        let issued_at = self.stage.time.now();
        self.sessions.push(Session {
            user,
            tokens,
            issued_at,
            ended_here: false,
            perhaps_ended_here: false,
        });
    }

    /// As the app does it.
    fn refresh(&mut self, session: usize) {
        let address = self.stage.mock.url().trim_start_matches("http://").parse().unwrap();
        let request = Request::new(address, "POST", "/auth/v1/token?grant_type=refresh_token");
        let tokens = &mut self.sessions[session].tokens;
        let body = json!({"refresh_token": tokens.refresh_token}).to_string();
        let reply = self.runtime.block_on(request.body(body).send());
        assert_eq!(reply.status, 200, "{}", reply.text());
        let word = |name: &str| reply.json()[name].as_str().unwrap().to_owned();
        tokens.access_token = word("access_token");
        tokens.refresh_token = word("refresh_token");
        self.sessions[session].issued_at = self.stage.time.now();
    }

    fn alive(&self, session: usize) -> bool {
        self.stage.alive(&self.sessions[session].tokens)
    }

    fn living(&self) -> HashSet<usize> {
        (0..self.sessions.len()).filter(|n| self.alive(*n)).collect()
    }

    fn verify(&self, world: &World, session: usize) {
        let status = self.runtime.block_on(self.stage.verify(&self.sessions[session].tokens));
        let refused = self.sessions[session].ended_here || world.expired(session);
        if refused {
            assert_eq!(status, 401, "session {session}");
        } else if world.certain()
            && world.sessions[session].alive
            && !self.sessions[session].perhaps_ended_here
        {
            assert_eq!(status, 200, "session {session}");
        }
    }

    fn logout(
        &mut self,
        world: &World,
        session: usize,
        route: &str,
        scope: Scope,
        showing: Showing,
    ) {
        let before = self.living();
        let target = match showing {
            Showing::UnknownScope => format!("{route}?scope=everywhere"),
            _ => format!("{route}?scope={}", scope.word()),
        };
        let (reply, left) = self.runtime.block_on(self.ask(session, &target, showing));
        let died: HashSet<usize> = before.difference(&self.living()).copied().collect();

        if let Some(expected) = &world.expected {
            let status = if route.contains("/v1/") && expected.status == 200 {
                204
            } else {
                expected.status
            };
            assert_eq!(reply.status, status, "{}", reply.text());
            assert_eq!(reply.header("x-logout-outcome"), expected.outcome);
        }
        let known = [200, 204, 400, 401, 403, 429, 500];
        assert!(known.contains(&reply.status), "{reply:?}");
        assert!(reply.status != 500 || reply.json()["error"]["code"] == "LOGOUT_FAILED");
        self.assert_scope(session, scope, &died);
        let success = reply.status < 300;
        assert!(success || reply.status >= 429 || died.is_empty(), "refused: {reply:?}");
        if success {
            self.assert_ended(session, scope, before.contains(&session));
            self.remember(world, session, scope, &reply);
        } else if scope != Scope::Local {
            let user = self.sessions[session].user;
            let theirs = self.sessions.iter_mut().filter(|session| session.user == user);
            theirs.for_each(|session| session.perhaps_ended_here = true);
        }
        assert!(FOREIGN.iter().all(|name| left.iter().any(|n| n == name)), "{left:?}");
        if showing.by_cookie() && success && scope != Scope::Others {
            assert_eq!(left.len(), FOREIGN.len(), "{left:?}");
        }
    }

    /// The reply, and the names of the cookies that the browser still has.
    async fn ask(&self, session: usize, target: &str, showing: Showing) -> (Reply, Vec<String>) {
        let stage = &self.stage;
        let mut tokens = self.sessions[session].tokens.clone();
        let genuine = stage.get("/api/auth/csrf").bearer(&tokens.access_token).send().await;
        if matches!(showing, Showing::TamperedBearer | Showing::TamperedCookie) {
            let (signed, signature) = tokens.access_token.rsplit_once('.').unwrap();
            let changed = if signature.starts_with('A') { "B" } else { "A" };
            tokens.access_token = format!("{signed}.{changed}{}", &signature[1..]);
        }
        let mut browser = Browser::without_csrf(stage, &tokens, Form::Base64);
        if !showing.by_cookie() {
            browser.jar = crate::harness::Jar::default();
        }
        if genuine.status == 200 && showing.by_cookie() {
            browser.take(&genuine);
        }
        for name in FOREIGN {
            browser.jar.put(Page::LOCAL, name, "kept");
        }
        let request = match showing {
            Showing::CookieFromForeignPage => {
                browser.headers = vec![("Sec-Fetch-Site".to_owned(), "cross-site".to_owned())];
                browser.logout_request(target)
            }
            Showing::CookieWithoutCsrf | Showing::Nothing => browser.request("POST", target),
            Showing::CookieWithWrongCsrf => {
                browser.request("POST", target).header("X-CSRF-Token", "wrong")
            }
            Showing::Cookie | Showing::TamperedCookie => browser.logout_request(target),
            Showing::Bearer | Showing::TamperedBearer | Showing::UnknownScope => {
                browser.request("POST", target).bearer(&tokens.access_token)
            }
            Showing::TwoBearers => {
                let request = browser.request("POST", target).bearer(&tokens.access_token);
                request.bearer(&tokens.access_token)
            }
        };
        let reply = request.send().await;
        browser.take(&reply);
        let left = browser.jar.names().into_iter().map(str::to_owned).collect();
        (reply, left)
    }

    /// Nobody died whom the scope does not name.
    fn assert_scope(&self, session: usize, scope: Scope, died: &HashSet<usize>) {
        let user = self.sessions[session].user;
        for &dead in died {
            assert_eq!(self.sessions[dead].user, user, "another user's session {dead}");
            let named = match scope {
                Scope::Local => dead == session,
                Scope::Others => dead != session,
                Scope::Global => true,
            };
            assert!(named, "session {dead} by {scope:?} of {session}");
        }
    }

    /// After a success everybody is dead whom the scope names.
    fn assert_ended(&self, session: usize, scope: Scope, was_alive: bool) {
        let user = self.sessions[session].user;
        for (n, other) in self.sessions.iter().enumerate().filter(|(_, s)| s.user == user) {
            let named = match scope {
                Scope::Local => n == session,
                Scope::Others => n != session,
                // After a try of unknown outcome, a session that is gone counts as ended by it.
                Scope::Global => was_alive || n == session,
            };
            assert!(!named || !self.stage.alive(&other.tokens), "session {n} lives");
        }
    }

    /// What `verify` has to refuse after a success.
    fn remember(&mut self, world: &World, session: usize, scope: Scope, reply: &Reply) {
        let revoked = reply.header("x-logout-outcome") == Some("revoked");
        // An expired token that GoTrue did not refresh proves nothing, and ends nothing here.
        if world.expired(session) && !revoked {
            return;
        }
        let (user, now) = (self.sessions[session].user, self.stage.time.now());
        for (n, other) in self.sessions.iter_mut().enumerate() {
            let older = other.user == user && other.issued_at < now;
            other.ended_here |= match scope {
                Scope::Local => n == session,
                Scope::Others => n != session && older,
                Scope::Global => n == session || older,
            };
        }
    }
}
