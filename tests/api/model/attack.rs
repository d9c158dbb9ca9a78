//! Requests of attackers: with forged tokens, with old tokens, and in great number.

use uuid::Uuid;

use super::{
    gateway::GatewayUnderTest,
    project::VerifiedBy,
    reference::{FLOOD, ReferenceModel},
    step::{Attack, Credential, Scope},
};
use crate::harness::{Browser, CookieFormat, Reply, claims_of, hs256_token};

impl GatewayUnderTest {
    /// Sends a logout with the ids of a session that the attacker does not have. Asserts that `verify` still
    /// accepts the session, and that no session ends.
    pub(super) fn attack(
        &mut self,
        model: &ReferenceModel,
        victim: usize,
        attack: Attack,
        scope: Scope,
    ) {
        let (alive, revocations) = (self.live_sessions(), self.revocations());
        let before = self.victim_status(model, victim);
        let id = self.request_id();
        let reply = self.runtime.block_on(self.send_attack(victim, attack, scope, &id));

        let stale = attack == Attack::Stale && model.project.verified_by != VerifiedBy::GoTrue;
        let queued = reply.status == 202 && stale && model.project.durable;
        // The gateway does not send a `local` logout of an ended session to GoTrue, whether the token is
        // genuine or not, because GoTrue before 2.150 treats a second local logout as global.
        let known_ended =
            scope == Scope::Local && model.sessions[victim].known_ended != Some(false);
        let ended = reply.header("x-logout-outcome") == Some("already-ended") && known_ended;
        assert!(reply.status >= 400 || queued || ended, "{attack:?}: {reply:?}");
        if !stale {
            self.must_leave_no_trace.insert(id);
        }
        let died: Vec<_> = alive.difference(&self.live_sessions()).copied().collect();
        assert!(
            died.iter().all(|session| self.may_end_at_any_time(*session)),
            "{attack:?}: {died:?}"
        );
        let after = (self.victim_status(model, victim), self.revocations());
        if !self.has_pending_work() {
            assert_eq!(after.1, revocations, "{attack:?}: {reply:?}");
            // The attack may have made the gateway fetch a key set that has changed, so compare only if its
            // keys are certain.
            assert!(model.accepts_key.is_none() || after.0 == before, "{attack:?}: {after:?}");
        }
    }

    /// The status of `verify` for the victim's token; `None` if only GoTrue can verify the token.
    fn victim_status(&self, model: &ReferenceModel, victim: usize) -> Option<u16> {
        let gateway_verifies = model.project.verified_by != VerifiedBy::GoTrue;
        let tokens = &self.sessions[victim].tokens;
        gateway_verifies.then(|| self.runtime.block_on(self.app.verify(tokens)))
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
        let target = format!("/api/auth/logout?scope={}", scope.as_str());
        if attack == Attack::Forged {
            let request = self.app.post(&target).bearer(&tokens.access_token);
            return request.header("X-Request-Id", id).send().await;
        }
        // The gateway issues a CSRF token even for an expired access token, which it does not verify.
        let mut browser = Browser::signed_in_without_csrf(&self.app, &tokens, CookieFormat::Base64);
        browser.fetch_csrf().await;
        browser.logout_request(&target).header("X-Request-Id", id).send().await
    }

    /// Sends the same logout with the scope `others` many times. Asserts that the revocation list and the
    /// queue grow only once.
    pub(super) fn flood(&mut self, model: &ReferenceModel, session: usize) {
        let revocations = self.revocations();
        for _ in 0..FLOOD {
            let credential = Credential::CookieWithMadeUpRefreshToken;
            self.logout(
                &model.clone_without_expectation(),
                session,
                "/logout",
                Scope::Others,
                credential,
            );
        }
        let grown = self.revocations().saturating_sub(revocations);
        // The logouts may add a cut-off and, if GoTrue reports the session as ended, an entry for the
        // session.
        assert!(
            self.has_pending_work() || grown <= 2,
            "the revocation list grew by {grown} entries"
        );
    }
}
