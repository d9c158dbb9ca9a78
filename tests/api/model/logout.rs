//! One logout: what it is sent with, and which effects its reply must have.

use std::collections::HashSet;

use gotrue_mock::Tokens;
use logout_gateway::internals::csrf::Binding;
use serde_json::json;

use super::{
    gateway::Gateway,
    list::Entered,
    project::Judge,
    promises::Promise,
    step::{Scope, Showing},
    world::World,
};
use crate::harness::{Browser, CookieFormat, CookieJar, Page, Reply, Request, claims_of};

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
        let proof = self.proof(world, session, showing);
        let (id, revocations) = (self.request_id(), self.revocations());
        let (reply, left) = self.runtime.block_on(self.ask(session, &target, showing, &id));
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
        // A `global` of a session that may have been over before is no success, even if it was done unheard.
        let may_be_false_alarm = scope == Scope::Global
            && reply.status == 401
            && reply.json()["error"]["reason"] == "not_found";
        let nothing_died = died.is_empty() || may_be_false_alarm;
        assert!(success || reply.status >= 429 || nothing_died, "refused: {reply:?}");
        self.meddle_with(user);
        let named = self.named(session, scope, sole && before.contains(&session));
        if reply.status == 202 {
            self.promises.push(Promise { user, session, scope, named });
        } else if success {
            for n in named {
                assert!(!self.alive(n), "session {n} lives");
            }
        }
        let revoked = reply.header("x-logout-outcome") == Some("revoked");
        if proof == Proof::Unproven && !revoked {
            assert_ne!(reply.status, 202, "{reply:?}");
            self.without_trace.insert(id);
            let after = self.revocations();
            assert!(self.is_at_work() || after <= revocations, "{revocations} {after}: {reply:?}");
        } else {
            self.enter(world, session, scope, showing, proof, &reply);
        }
        assert!(FOREIGN.iter().all(|name| left.iter().any(|n| n == name)), "{left:?}");
        if showing.by_cookie() && success && scope != Scope::Others {
            assert_eq!(left.len(), FOREIGN.len(), "{left:?}");
        }
    }

    /// The reply, and the names of the cookies that the browser still has.
    async fn ask(
        &self,
        session: usize,
        target: &str,
        showing: Showing,
        id: &str,
    ) -> (Reply, Vec<String>) {
        let tokens = self.shown(session, showing);
        let mut browser = Browser::signed_in_without_csrf(&self.app, &tokens, CookieFormat::Base64);
        if showing.by_cookie() {
            let csrf = self.csrf.mint(Binding::Session(tokens.session_id)).unwrap();
            browser.jar.insert(Page::LOCAL, "sb-csrf-token", &csrf);
        } else {
            browser.jar = CookieJar::default();
        }
        for name in FOREIGN {
            browser.jar.insert(Page::LOCAL, name, "kept");
        }
        let request = request(&mut browser, target, showing, &tokens.access_token);
        let reply = request.header("X-Request-Id", id).send().await;
        browser.store_cookies(&reply);
        let left = browser.jar.names().into_iter().map(str::to_owned).collect();
        (reply, left)
    }

    /// The session's tokens, as far as they are shown as they are.
    fn shown(&self, session: usize, showing: Showing) -> Tokens {
        let mut tokens = self.sessions[session].tokens.clone();
        if showing.tampered() {
            let (signed, signature) = tokens.access_token.rsplit_once('.').unwrap();
            let changed = if signature.starts_with('A') { "B" } else { "A" };
            tokens.access_token = format!("{signed}.{changed}{}", &signature[1..]);
        }
        if showing.is_large() {
            let mut claims = claims_of(&tokens.access_token);
            claims["user_metadata"] = json!({"picture": "x".repeat(20_000)});
            tokens.access_token = self.app.mock.sign(&claims).unwrap();
        }
        if showing == Showing::CookieWithMadeUpRefreshToken {
            tokens.refresh_token = format!("made-up-{}", fastrand::u64(..));
        }
        tokens
    }

    /// How far the gateway can know the session when the request comes, or by a refresh.
    fn proof(&self, world: &World, session: usize, showing: Showing) -> Proof {
        let gotrue_judges = world.project.judge == Judge::GoTrue;
        if world.expired(session) {
            let made_up = showing == Showing::CookieWithMadeUpRefreshToken;
            let refreshed = showing.by_cookie() && !made_up && self.alive(session);
            return match (refreshed, gotrue_judges) {
                // GoTrue vouches for it, unless it fails.
                (true, _) => Proof::Unknown,
                (false, true) => Proof::Unproven,
                (false, false) => Proof::Stale,
            };
        }
        let same_token = !showing.tampered() && !showing.is_large();
        match (gotrue_judges, world.believed) {
            (true, _) if same_token && self.may_be_vouched(session) => Proof::Unknown,
            (true, _) => Proof::Unproven,
            (false, Some(true)) => Proof::Proven,
            (false, _) => Proof::Unknown,
        }
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
    fn enter(
        &mut self,
        world: &World,
        session: usize,
        scope: Scope,
        showing: Showing,
        proof: Proof,
        reply: &Reply,
    ) {
        let (user, at) = (self.sessions[session].user, self.app.clock.now());
        let outcome = reply.header("x-logout-outcome");
        if outcome.is_none() && !may_reach_gotrue(world, showing) {
            return;
        }
        let certain = proof == Proof::Proven || outcome == Some("revoked");
        let entered = Entered { user, session, scope, at, certain };
        let reason = match outcome {
            Some("failed") => reply.json()["error"]["reason"].as_str().map(str::to_owned),
            _ => None,
        };
        let listed = self.is_listed(session);
        match (outcome, reason.as_deref()) {
            // GoTrue has no such session, or the gateway knew that.
            (Some("already-ended"), _) if proof == Proof::Stale => {}
            (Some("revoked" | "already-ended"), _) => self.list.enter(entered),
            // GoTrue refused: the session that asked is gone, and no other.
            (Some("failed"), Some("not_found")) => self.list.enter_session(entered),
            // A stale session is refused once GoTrue has vouched for it.
            (_, _) if proof == Proof::Stale => {}
            (Some("failed"), Some("user_banned")) | (None, _) if scope == Scope::Others => {}
            (Some("failed"), Some("user_banned")) => self.list.enter_session(entered),
            // The request may have been refused before GoTrue was asked.
            (None, _) => self.list.enter_session(Entered { certain: false, ..entered }),
            _ => self.list.enter_unconfirmed(entered, listed),
        }
        if outcome == Some("queued") {
            self.list.enter_later(entered);
        }
    }
}

/// How far the gateway knows a session, as far as that is certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Proven,
    /// Expired, and GoTrue does not refresh it.
    Stale,
    /// Neither the gateway nor GoTrue can have verified the token.
    Unproven,
    Unknown,
}

/// Whether GoTrue may have been the one to refuse it.
fn may_reach_gotrue(world: &World, showing: Showing) -> bool {
    use Showing as S;
    let good =
        [S::Bearer, S::Cookie, S::CookieWithMadeUpRefreshToken, S::LargeBearer, S::LargeCookie];
    good.contains(&showing) || (showing.tampered() && world.project.judge == Judge::GoTrue)
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
        S::Cookie | S::CookieWithMadeUpRefreshToken | S::LargeCookie | S::TamperedCookie => {
            browser.logout_request(target)
        }
        S::Bearer | S::LargeBearer | S::TamperedBearer | S::UnknownScope => {
            browser.request("POST", target).bearer(token)
        }
        S::TwoBearers => browser.request("POST", target).bearer(token).bearer(token),
    }
}
