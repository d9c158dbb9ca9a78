//! Requests of clients that want to harm others: with tokens that were not verified, with old tokens, and
//! in great number.

use uuid::Uuid;

use super::{
    gateway::Gateway,
    project::Judge,
    step::{Attack, Scope, Showing},
    world::{FLOOD, World},
};
use crate::harness::{Browser, CookieFormat, Reply, claims_of, hs256_token};

impl Gateway {
    /// A request with the ids of a session that its client does not hold. The session is let in by `verify`
    /// as before, and no session ends.
    pub(super) fn attack(&mut self, world: &World, victim: usize, attack: Attack, scope: Scope) {
        let (alive, revocations) = (self.living(), self.revocations());
        let before = self.victim_status(world, victim);
        let id = self.request_id();
        let reply = self.runtime.block_on(self.send_attack(victim, attack, scope, &id));

        let stale = attack == Attack::Stale && world.project.judge != Judge::GoTrue;
        let queued = reply.status == 202 && stale && world.project.durable;
        // The gateway shows GoTrue no token of a session that is over, genuine or not: an old GoTrue
        // takes a second local logout for a global one.
        let over = scope == Scope::Local && world.sessions[victim].over != Some(false);
        let ended = reply.header("x-logout-outcome") == Some("already-ended") && over;
        assert!(reply.status >= 400 || queued || ended, "{attack:?}: {reply:?}");
        if !stale {
            self.without_trace.insert(id);
        }
        let died: Vec<_> = alive.difference(&self.living()).copied().collect();
        assert!(died.iter().all(|session| self.is_awaited(*session)), "{attack:?}: {died:?}");
        let after = (self.victim_status(world, victim), self.revocations());
        if !self.is_at_work() {
            assert_eq!(after.1, revocations, "{attack:?}: {reply:?}");
            // It may have made the gateway fetch the key set, and GoTrue's keys may be others now.
            assert!(world.believed.is_none() || after.0 == before, "{attack:?}: {after:?}");
        }
    }

    /// The status of `verify` for the victim, where the gateway judges tokens itself.
    fn victim_status(&self, world: &World, victim: usize) -> Option<u16> {
        let judged_here = world.project.judge != Judge::GoTrue;
        let tokens = &self.sessions[victim].tokens;
        judged_here.then(|| self.runtime.block_on(self.app.verify(tokens)))
    }

    async fn send_attack(&self, victim: usize, attack: Attack, scope: Scope, id: &str) -> Reply {
        let mut tokens = self.sessions[victim].tokens.clone();
        let mut claims = claims_of(&tokens.access_token);
        let now = self.app.clock.now();
        let exp = if attack == Attack::Forged { now + 600 } else { now - 10 };
        (claims["iat"], claims["exp"]) = ((exp - 600).into(), exp.into());
        tokens.access_token = match attack {
            Attack::Stale => self.app.mock.sign(&claims).unwrap(),
            _ => hs256_token(&claims, "a-secret-of-the-attacker-0123456789abcdef"),
        };
        tokens.refresh_token = format!("made-up-{}", Uuid::new_v4());
        let target = format!("/api/auth/logout?scope={}", scope.word());
        if attack == Attack::Forged {
            let request = self.app.post(&target).bearer(&tokens.access_token);
            return request.header("X-Request-Id", id).send().await;
        }
        // The gateway gives a CSRF token for any expired token.
        let mut browser = Browser::signed_in_without_csrf(&self.app, &tokens, CookieFormat::Base64);
        browser.fetch_csrf().await;
        browser.logout_request(&target).header("X-Request-Id", id).send().await
    }

    /// The other sessions of the user end, as often as this is asked. List and queue grow once.
    pub(super) fn flood(&mut self, world: &World, session: usize) {
        let revocations = self.revocations();
        for _ in 0..FLOOD {
            let showing = Showing::CookieWithMadeUpRefreshToken;
            self.logout(
                &world.clone_without_expectation(),
                session,
                "/logout",
                Scope::Others,
                showing,
            );
        }
        let grown = self.revocations().saturating_sub(revocations);
        // A cut-off, and the session itself where GoTrue says that it is gone.
        assert!(self.is_at_work() || grown <= 2, "the list grew by {grown} lines");
    }
}
