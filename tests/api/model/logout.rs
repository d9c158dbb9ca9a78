//! One logout of a sequence: its credentials, and the effects that its response promises.

use std::collections::HashSet;

use logout_gateway::internals::csrf::{Binding, BoundTo};

use super::{
    gateway::{GatewayUnderTest, Session},
    project::VerifiedBy,
    queued_logouts::QueuedLogout,
    reference::ReferenceModel,
    revocations::RecordedLogout,
    step::{Credential, Scope},
};
use crate::harness::{Browser, CookieFormat, CookieJar, Page, Reply};

/// Cookies of other applications, which no logout may delete.
const OTHER_COOKIES: [&str; 3] = ["theirs", "sb-127-auth-token-other", "sb-other-auth-token"];

impl GatewayUnderTest {
    pub(super) fn logout(
        &mut self,
        model: &ReferenceModel,
        session: usize,
        route: &str,
        scope: Scope,
        credential: Credential,
    ) {
        let (user, before) = (self.sessions[session].user, self.live_sessions());
        let is_only_logout = !self.may_end_at_any_time(session)
            && self.queued_logouts.iter().all(|p| p.user != user);
        let target = match credential {
            Credential::UnknownScope => format!("{route}?scope=everywhere"),
            _ => format!("{route}?scope={}", scope.as_str()),
        };
        let proof = self.proof(model, session, credential);
        let (id, revocations) = (self.request_id(), self.revocations());
        let (reply, remaining_cookies) =
            self.runtime.block_on(self.send_logout(session, &target, credential, &id));
        let after = self.live_sessions();
        // Ignore sessions that an earlier, queued logout may have ended during this logout.
        let died =
            before.difference(&after).copied().filter(|n| !self.may_end_at_any_time(*n)).collect();

        if let Some(expected) = &model.expected {
            let v1 = route.contains("/v1/") && expected.status == 200;
            let status = if v1 { 204 } else { expected.status };
            assert_eq!(reply.status, status, "{}", reply.text());
            assert_eq!(reply.header("x-logout-outcome"), expected.outcome);
        }
        let expected_statuses = [200, 202, 204, 400, 401, 403, 429, 500];
        assert!(expected_statuses.contains(&reply.status), "{reply:?}");
        assert!(reply.status != 202 || model.project.durable, "{reply:?}");
        assert!(reply.status != 500 || reply.json()["error"]["code"] == "LOGOUT_FAILED");
        self.assert_scope(session, scope, &died);
        let success = reply.status < 300;
        // If a response of GoTrue was lost, a `global` logout can end sessions and still get the error
        // `not_found`.
        let may_have_succeeded = scope == Scope::Global
            && reply.status == 401
            && reply.json()["error"]["reason"] == "not_found";
        let nothing_died = died.is_empty() || may_have_succeeded;
        assert!(
            success || reply.status >= 429 || nothing_died,
            "a refused logout ended a session: {reply:?}"
        );
        self.allow_other_ends_of(user);
        let included =
            self.included_sessions(session, scope, is_only_logout && before.contains(&session));
        if reply.status == 202 {
            self.queued_logouts.push(QueuedLogout { user, session, scope, included });
        } else if success {
            for n in included {
                assert!(!self.alive(n), "session {n} is alive after a success");
            }
        }
        let revoked = reply.header("x-logout-outcome") == Some("revoked");
        if proof == Proof::Unproven && !revoked {
            assert_ne!(reply.status, 202, "{reply:?}");
            self.must_leave_no_trace.insert(id);
            let after = self.revocations();
            assert!(
                self.has_pending_work() || after <= revocations,
                "{revocations} {after}: {reply:?}"
            );
        } else {
            self.record_logout(model, session, scope, credential, proof, &reply);
        }
        assert!(
            OTHER_COOKIES.iter().all(|name| remaining_cookies.iter().any(|n| n == name)),
            "{remaining_cookies:?}"
        );
        if credential.is_cookie() && success && scope != Scope::Others {
            assert_eq!(remaining_cookies.len(), OTHER_COOKIES.len(), "{remaining_cookies:?}");
        }
    }

    /// Sends the logout; returns the response and the names of the cookies that the browser then still has.
    async fn send_logout(
        &self,
        session: usize,
        target: &str,
        credential: Credential,
        id: &str,
    ) -> (Reply, Vec<String>) {
        let tokens = self.tokens_for(session, credential);
        let mut browser = Browser::signed_in_without_csrf(&self.app, &tokens, CookieFormat::Base64);
        if credential.is_cookie() || credential == Credential::BearerBesideCookie {
            let csrf = self.csrf.mint(&Binding::to([BoundTo::Session(tokens.session_id)])).unwrap();
            browser.jar.insert(Page::LOCAL, "sb-csrf-token", &csrf);
        } else {
            browser.jar = CookieJar::default();
        }
        for name in OTHER_COOKIES {
            browser.jar.insert(Page::LOCAL, name, "kept");
        }
        let request = self.request(&mut browser, target, credential, &tokens);
        let reply = request.header("X-Request-Id", id).send().await;
        browser.store_cookies(&reply);
        let remaining_cookies = browser.jar.names().into_iter().map(str::to_owned).collect();
        (reply, remaining_cookies)
    }

    /// How far the gateway can prove the session, either when it receives the request or after a refresh.
    fn proof(&self, model: &ReferenceModel, session: usize, credential: Credential) -> Proof {
        let gotrue_verifies = model.project.verified_by == VerifiedBy::GoTrue;
        if model.is_expired(session) {
            let made_up = credential == Credential::CookieWithMadeUpRefreshToken;
            let refreshed = credential.is_cookie() && !made_up && self.alive(session);
            return match (refreshed, gotrue_verifies) {
                // A refresh proves the session, but the model does not know whether GoTrue fails at the
                // refresh.
                (true, _) => Proof::Unknown,
                (false, true) => Proof::Unproven,
                (false, false) => Proof::Stale,
            };
        }
        let same_token = !credential.is_tampered() && !credential.is_large();
        match (gotrue_verifies, model.accepts_key) {
            (true, _) if same_token && self.may_be_introspected(session) => Proof::Unknown,
            (true, _) => Proof::Unproven,
            (false, Some(true)) => Proof::Proven,
            (false, _) => Proof::Unknown,
        }
    }

    /// Asserts that only sessions have ended that the scope includes.
    fn assert_scope(&self, session: usize, scope: Scope, died: &HashSet<usize>) {
        let user = self.sessions[session].user;
        for &dead in died {
            assert_eq!(self.sessions[dead].user, user, "another user's session {dead}");
            assert!(scope.includes(session, dead), "session {dead} by {scope:?} of {session}");
        }
    }

    /// The sessions that must have ended after a success. If the session that signed out may have ended
    /// before, GoTrue may have refused a `global` logout, so the user's other sessions may still be alive.
    fn included_sessions(&self, session: usize, scope: Scope, was_alive: bool) -> Vec<usize> {
        let user = self.sessions[session].user;
        let sessions = (0..self.sessions.len()).filter(|n| self.sessions[*n].user == user);
        let included = sessions.filter(|n| match scope {
            Scope::Global => was_alive || *n == session,
            scope => scope.includes(session, *n),
        });
        included.collect()
    }

    /// Records in the model which tokens `verify` must or may refuse after the logout.
    fn record_logout(
        &mut self,
        model: &ReferenceModel,
        session: usize,
        scope: Scope,
        credential: Credential,
        proof: Proof,
        reply: &Reply,
    ) {
        let (Session { user, issued_at, .. }, at) = (&self.sessions[session], self.app.clock.now());
        let (user, issued_at) = (*user, *issued_at);
        let may_be_refreshed = model.is_expired(session)
            || (credential.is_cookie() && !model.is_signed_with_current_key(session));
        let outcome = reply.header("x-logout-outcome");
        if outcome.is_none() && !may_reach_gotrue(model, credential) {
            return;
        }
        let certain = proof == Proof::Proven || outcome == Some("revoked");
        let logout =
            RecordedLogout { user, session, scope, at, issued_at, may_be_refreshed, certain };
        let reason = match outcome {
            Some("failed") => reply.json()["error"]["reason"].as_str().map(str::to_owned),
            _ => None,
        };
        let listed = self.is_listed(session);
        match (outcome, reason.as_deref()) {
            // The gateway revokes no stale token if GoTrue or the gateway already knew that the session had
            // ended.
            (Some("already-ended"), _) if proof == Proof::Stale => {}
            // GoTrue does not know the user any more, so the session that `others` spares has ended too.
            (Some("already-ended"), _) if scope == Scope::Others => {
                self.list.insert(RecordedLogout { scope: Scope::Global, ..logout });
            }
            (Some("revoked" | "already-ended"), _) => self.list.insert(logout),
            // GoTrue does not have the session, so the gateway revokes only the session that signed out.
            (Some("failed"), Some("not_found")) => self.list.insert_session(logout),
            // The gateway revokes a stale session only after GoTrue has refreshed it.
            (_, _) if proof == Proof::Stale => {}
            (Some("failed"), Some("user_banned")) | (None, _) if scope == Scope::Others => {}
            (Some("failed"), Some("user_banned")) => self.list.insert_session(logout),
            // The gateway may have refused the request before it called GoTrue, so the revocation is not
            // certain.
            (None, _) => self.list.insert_session(RecordedLogout { certain: false, ..logout }),
            _ => self.list.insert_unconfirmed(logout, listed),
        }
        if outcome == Some("queued") {
            self.list.insert_queued(logout);
        }
    }
}

/// How far the gateway can prove that the client has the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Proven,
    /// The access token has expired, and GoTrue does not refresh the session.
    Stale,
    /// Neither the gateway nor GoTrue can have verified the token.
    Unproven,
    /// The model cannot tell how far the gateway can prove the session.
    Unknown,
}

/// Whether the request may have reached GoTrue, so that GoTrue instead of the gateway may have refused it.
fn may_reach_gotrue(model: &ReferenceModel, credential: Credential) -> bool {
    use Credential as S;
    let good = matches!(
        credential,
        S::Bearer
            | S::BearerBesideCookie
            | S::Cookie
            | S::CookieBesideOtherBearer(_)
            | S::CookieWithMadeUpRefreshToken
            | S::LargeBearer
            | S::LargeCookie
    );
    good || (credential.is_tampered() && model.project.verified_by == VerifiedBy::GoTrue)
}
