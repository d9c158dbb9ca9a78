//! One logout: what it is sent with, and what its reply must have brought about.

use std::collections::HashSet;

use super::{
    gateway::Gateway,
    project::Judge,
    promises::Promise,
    step::{Scope, Showing},
    world::World,
};
use logout_gateway::csrf::Binding;

use crate::harness::{Browser, Form, Jar, Page, Reply, Request};

/// Cookies that no logout may touch.
const FOREIGN: [&str; 3] = ["theirs", "sb-127-auth-token-other", "sb-other-auth-token"];

impl Gateway {
    pub(super) fn logout(
        &mut self,
        world: &World,
        session: usize,
        route: &str,
        scope: Scope,
        showing: Showing,
    ) {
        let (user, before) = (self.sessions[session].user, self.living());
        let sole = !self.is_awaited(session) && self.promises.iter().all(|p| p.user != user);
        let target = match showing {
            Showing::UnknownScope => format!("{route}?scope=everywhere"),
            _ => format!("{route}?scope={}", scope.word()),
        };
        let (reply, left) = self.runtime.block_on(self.ask(session, &target, showing));
        let living = self.living();
        // Who is awaited may have died just now by what was asked for earlier.
        let died = before.difference(&living).copied().filter(|n| !self.is_awaited(*n)).collect();

        if let Some(expected) = &world.expected {
            let v1 = route.contains("/v1/") && expected.status == 200;
            let status = if v1 { 204 } else { expected.status };
            assert_eq!(reply.status, status, "{}", reply.text());
            assert_eq!(reply.header("x-logout-outcome"), expected.outcome);
        }
        let known = [200, 202, 204, 400, 401, 403, 429, 500];
        assert!(known.contains(&reply.status), "{reply:?}");
        assert!(reply.status != 202 || world.project.durable, "{reply:?}");
        assert!(reply.status != 500 || reply.json()["error"]["code"] == "LOGOUT_FAILED");
        self.assert_scope(session, scope, &died);
        let success = reply.status < 300;
        assert!(success || reply.status >= 429 || died.is_empty(), "refused: {reply:?}");
        self.meddle_with(user);
        let named = self.named(session, scope, sole && before.contains(&session));
        if reply.status == 202 {
            self.promises.push(Promise { user, session, scope, named });
        } else if success {
            for n in named {
                assert!(!self.alive(n), "session {n} lives");
            }
        }
        self.remember(world, session, scope, showing, &reply);
        assert!(FOREIGN.iter().all(|name| left.iter().any(|n| n == name)), "{left:?}");
        if showing.by_cookie() && success && scope != Scope::Others {
            assert_eq!(left.len(), FOREIGN.len(), "{left:?}");
        }
    }

    /// The reply, and the names of the cookies that the browser still has.
    async fn ask(&self, session: usize, target: &str, showing: Showing) -> (Reply, Vec<String>) {
        let mut tokens = self.sessions[session].tokens.clone();
        if showing.tampered() {
            let (signed, signature) = tokens.access_token.rsplit_once('.').unwrap();
            let changed = if signature.starts_with('A') { "B" } else { "A" };
            tokens.access_token = format!("{signed}.{changed}{}", &signature[1..]);
        }
        let mut browser = Browser::without_csrf(&self.stage, &tokens, Form::Base64);
        if showing.by_cookie() {
            let csrf = self.csrf.mint(Binding::Session(tokens.session_id)).unwrap();
            browser.jar.put(Page::LOCAL, "sb-csrf-token", &csrf);
        } else {
            browser.jar = Jar::default();
        }
        for name in FOREIGN {
            browser.jar.put(Page::LOCAL, name, "kept");
        }
        let request = request(&mut browser, target, showing, &tokens.access_token);
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
            assert!(scope.names(session, dead), "session {dead} by {scope:?} of {session}");
        }
    }

    /// Everybody who is dead after a success. Where the session that asked may have gone by other
    /// means, it counts as gone by a try of unknown outcome: nothing is certain of the others then.
    fn named(&self, session: usize, scope: Scope, was_alive: bool) -> Vec<usize> {
        let user = self.sessions[session].user;
        let theirs = (0..self.sessions.len()).filter(|n| self.sessions[*n].user == user);
        let named = theirs.filter(|n| match scope {
            Scope::Global => was_alive || *n == session,
            scope => scope.names(session, *n),
        });
        named.collect()
    }

    /// What `verify` has to refuse, or may, from now on.
    fn remember(
        &mut self,
        world: &World,
        session: usize,
        scope: Scope,
        showing: Showing,
        reply: &Reply,
    ) {
        let user = self.sessions[session].user;
        let gotrue_judges = world.project.judge == Judge::GoTrue;
        // An expired token that GoTrue did not refresh proves nothing, and ends nothing here.
        let fresh = !world.expired(session);
        let may_end_all = scope == Scope::Local || self.is_listed(session) == Some(false);
        let outcome = reply.header("x-logout-outcome");
        let certain = match outcome {
            Some("revoked") => true,
            Some("already-ended") => fresh,
            Some(_) => fresh && !gotrue_judges && may_end_all,
            None if may_reach_gotrue(world, showing) => false,
            None => return,
        };
        self.list.enter(user, session, scope, self.stage.time.now(), certain);
        // What is done later enters once more, later.
        if world.project.durable && !matches!(outcome, Some("revoked" | "already-ended")) {
            self.list.enter(user, session, scope, i64::MAX, false);
        }
    }
}

/// Whether GoTrue may have been the one to refuse it.
fn may_reach_gotrue(world: &World, showing: Showing) -> bool {
    matches!(showing, Showing::Bearer | Showing::Cookie)
        || (showing.tampered() && world.project.judge == Judge::GoTrue)
}

fn request(browser: &mut Browser, target: &str, showing: Showing, token: &str) -> Request {
    use Showing as S;
    match showing {
        S::CookieFromForeignPage => {
            browser.headers = vec![("Sec-Fetch-Site".to_owned(), "cross-site".to_owned())];
            browser.logout_request(target)
        }
        S::CookieWithoutCsrf | S::Nothing => browser.request("POST", target),
        S::CookieWithWrongCsrf => browser.request("POST", target).header("X-CSRF-Token", "wrong"),
        S::Cookie | S::TamperedCookie => browser.logout_request(target),
        S::Bearer | S::TamperedBearer | S::UnknownScope => {
            browser.request("POST", target).bearer(token)
        }
        S::TwoBearers => browser.request("POST", target).bearer(token).bearer(token),
    }
}
